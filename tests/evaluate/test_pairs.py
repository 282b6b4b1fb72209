"""Pairs of texts: their files, and scores against numbers worked out by hand or one by one."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from trivec import Encoder
from trivec.errors import InputError
from trivec.evaluate import evaluate_pairs, read_pairs
from trivec.evaluate.text_pairs import TextPairs
from trivec.scoring import score, score_pairs

FIRST = ["the city of paris", "a river", "water and bread", "the house in the city", "bread"]
SECOND = ["paris", "the river in the city", "bread", "a house", "water"]
SYSTEMS = ["dense", "sparse", "multi", "dense=1,multi=1"]


def write(path: Path, rows: Sequence[object]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def test_graded_pairs_from_json_lines(tmp_path: Path) -> None:
    rows = [{"sentence1": "a", "sentence2": "b", "score": 2.5}, {"sentence1": "c", "sentence2": "d", "score": 0}]
    path = tmp_path / "sts.jsonl.gz"
    path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
    assert read_pairs(path) == TextPairs("sts", ["a", "c"], ["b", "d"], [2.5, 0.0], ["", ""])


def test_the_sts_benchmark(tmp_path: Path) -> None:
    path = tmp_path / "sts-dev.csv"
    path.write_text('main-news\tMSRpar\t2012\t0001\t5.0\tA "quoted man.\tA man.\n', encoding="utf-8")
    assert read_pairs(path) == TextPairs("sts-dev", ('A "quoted man.',), ("A man.",), (5.0,), [""])
    path.write_text("one\ttwo\n", encoding="utf-8")
    with pytest.raises(InputError, match="2 columns, and the STS benchmark has seven or more"):
        read_pairs(path)


def test_translations(tmp_path: Path) -> None:
    rows = [{"lang": "deu", "src": "Brot", "eng": "bread"}, {"lang": "fra", "src": "eau", "eng": "water"}]
    found = read_pairs(write(tmp_path / "tatoeba.jsonl", rows))
    assert found == TextPairs("tatoeba", ["Brot", "eau"], ["bread", "water"], None, ["deu", "fra"])


def test_translations_in_the_files_of_laser(tmp_path: Path) -> None:
    folder = tmp_path / "tatoeba"
    folder.mkdir()
    for name, lines in {"deu-eng.deu": "Brot\nWasser\n", "deu-eng.eng": "bread\nwater\n",
                        "fra-eng.fra": "pain\n", "fra-eng.eng": "bread\n"}.items():  # fmt: skip
        (folder / f"tatoeba.{name}").write_text(lines, encoding="utf-8")
    expected = TextPairs(
        "tatoeba", ["Brot", "Wasser", "pain"], ["bread", "water", "bread"], None, ["deu", "deu", "fra"]
    )
    assert read_pairs(folder) == expected
    (folder / "tatoeba.fra-eng.fra").write_text("pain\neau\n", encoding="utf-8")
    with pytest.raises(InputError, match="1: they should be pairs"):
        read_pairs(folder)


def test_what_holds_no_pairs(tmp_path: Path) -> None:
    assert read_pairs(tmp_path) is None
    assert read_pairs(write(tmp_path / "train.jsonl", [{"query": "a", "pos": ["b"]}])) is None
    assert read_pairs(write(tmp_path / "empty.jsonl", [])) is None
    assert read_pairs(tmp_path / "corpus.tsv") is None


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"sentence1": "a", "sentence2": None, "score": 1}, "sentence2 is None, and should be a text"),
        ({"sentence1": "a", "sentence2": "b", "score": "high"}, "the score 'high' is no number"),
        ({"sentence1": "a", "sentence2": "b"}, "1 of 2 pairs have a score"),
    ],
)
def test_broken_pairs(row: object, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "sts.jsonl", [{"sentence1": "a", "sentence2": "b", "score": 1}, row])
    with pytest.raises(InputError, match=message):
        read_pairs(path)


def test_similarity_is_the_correlation_of_scores_and_grades(load_tiny: Callable[..., Encoder]) -> None:
    encoder = load_tiny("m3")
    grades = [3.0, 4.5, 2.0, 5.0, 0.0]
    found = evaluate_pairs(encoder, TextPairs("sts", FIRST, SECOND, grades, [""] * 5), SYSTEMS)
    scores = score_pairs(encoder.encode(FIRST), encoder.encode(SECOND))
    back = score_pairs(encoder.encode(SECOND), encoder.encode(FIRST))
    assert scores.dense is not None and scores.sparse is not None
    assert scores.multi is not None and back.multi is not None
    multi = (scores.multi + back.multi) / 2
    for name, own in zip(SYSTEMS, (scores.dense, scores.sparse, multi, scores.dense + multi), strict=True):
        assert found.values[name]["Spearman"] == pytest.approx(spearmanr(own, grades).statistic)
        assert found.values[name]["Pearson"] == pytest.approx(np.corrcoef(own, grades)[0, 1], abs=1e-6)
    assert found.by_language == {}


def test_equal_grades_have_no_correlation(load_tiny: Callable[..., Encoder]) -> None:
    found = evaluate_pairs(load_tiny("m3"), TextPairs("sts", FIRST, SECOND, [1.0] * 5, [""] * 5), ["dense"])
    assert found.values == {"dense": {"Spearman": 0.0, "Pearson": 0.0}}


def test_translations_are_found_within_their_language(load_tiny: Callable[..., Encoder]) -> None:
    encoder = load_tiny("m3")
    languages = ["de", "fr", "de", "fr", "de"]
    found = evaluate_pairs(encoder, TextPairs("bitext", FIRST, SECOND, None, languages), SYSTEMS)
    first, second = encoder.encode(FIRST), encoder.encode(SECOND)
    for name in ("dense", "multi"):
        accuracies = []
        for rows in ([0, 2, 4], [1, 3]):
            sides = first.select(rows), second.select(rows)
            forth, back = getattr(score(*sides), name), getattr(score(*reversed(sides)), name)
            hits = [np.mean(own.argmax(axis=1) == np.arange(len(rows))) for own in (forth, back)]
            accuracies.append(np.mean(hits))
        assert [found.by_language[language][name] for language in ("de", "fr")] == pytest.approx(accuracies)
        assert found.values[name]["accuracy"] == pytest.approx(np.mean(accuracies))


def test_a_text_is_its_own_translation(load_tiny: Callable[..., Encoder]) -> None:
    found = evaluate_pairs(load_tiny("m3"), TextPairs("bitext", FIRST, FIRST, None, [""] * 5))
    assert list(found.values) == ["dense", "sparse", "multi", "dense+sparse", "dense+sparse+multi", "hybrid"]
    for name in ("dense", "multi", "dense+sparse+multi", "hybrid"):
        assert set(found.values[name].values()) == {1.0}


def test_what_cannot_be_measured_on_pairs(load_tiny: Callable[..., Encoder]) -> None:
    pairs = TextPairs("sts", FIRST, SECOND, None, [""] * 5)
    with pytest.raises(InputError, match="bm25-words ranks documents, and sts holds pairs: leave it out"):
        evaluate_pairs(load_tiny("m3"), pairs, ["bm25-words"])
    with pytest.raises(InputError, match="the system 'bm25' needs bm25"):
        evaluate_pairs(load_tiny("m3"), pairs, ["bm25"])
    with pytest.raises(InputError, match="has 1 pairs"):
        evaluate_pairs(load_tiny("m3"), TextPairs("sts", FIRST[:1], SECOND[:1], None, [""]))
