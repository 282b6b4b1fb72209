"""Candidates and their scores with a real, tiny encoder, compared with brute force; encoders as teachers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from planted import read_rows, write_rows

import tiny_vocabularies
import trivec
from trivec.data.mining import EncoderTeacher, Inputs, MiningOptions, Source, mine
from trivec.data.mining.catalogue import TextCatalogue
from trivec.data.mining.index import IndexPlan, MiningIndex
from trivec.data.mining.options import By
from trivec.data.mining.recall import dense_recall
from trivec.data.mining.retrieval import Retriever, mixing_weights, needed_heads
from trivec.errors import InputError
from trivec.index import Bm25Index
from trivec.index.queries import term_counts
from trivec.scoring import score

COUNT = 60
WEIGHTS = {"dense": 1.0, "sparse": 0.3, "multi": 1.0}


@pytest.fixture(scope="module")
def texts() -> list[str]:
    rng = np.random.default_rng(5)
    return [" ".join(rng.choice(tiny_vocabularies.WORDS, rng.integers(3, 12))) for _ in range(COUNT)]


@pytest.fixture
def encoder(load_tiny: Callable[..., trivec.Encoder]) -> trivec.Encoder:
    return load_tiny("m3")


@pytest.fixture
def index(encoder: trivec.Encoder, texts: list[str], tmp_path: Path) -> Iterator[MiningIndex]:
    """Forty candidates, and twenty positives that are none."""
    pairs = write_rows(tmp_path / "pairs.jsonl", [{"query": text, "pos": [text]} for text in texts[40:]])
    corpus = write_rows(tmp_path / "corpus.jsonl", [{"_id": str(n), "text": text} for n, text in enumerate(texts[:40])])
    inputs = Inputs([pairs], [corpus])
    plan = IndexPlan(inputs.digest(), encoder.fingerprint.digest, encoder.heads, None, None)
    index = MiningIndex.prepare(tmp_path / "index", plan, inputs, encoder)
    yield index
    index.close()


def brute_force(encoder: trivec.Encoder, query: trivec.Embeddings, texts: list[str], by: By) -> np.ndarray:
    """Scores of all texts for one query."""
    vectors = encoder.encode_documents(texts)
    if by == "bm25":
        bm25 = Bm25Index()
        assert vectors.terms is not None
        bm25.add([str(number) for number in range(len(texts))], vectors.terms)
        counts = term_counts(query)
        return bm25.score_passages(counts, [str(n) for n in range(len(texts))]) / sum(bm25.weights(counts).values())
    found = score(query, vectors, WEIGHTS)
    scores = getattr(found, by)
    return np.asarray(scores[0])


@pytest.mark.parametrize("by", ["dense", "sparse", "bm25", "multi", "hybrid"])
def test_candidates_are_those_of_brute_force(
    by: By, index: MiningIndex, encoder: trivec.Encoder, texts: list[str]
) -> None:
    source = Source(by)
    retriever = Retriever(index, MiningOptions(sources=(source,), ranks=(0, 15)), WEIGHTS, encoder.heads)
    for query in encoder.encode_queries(["the river and the night", texts[3], texts[50]]):
        found = retriever.ranked(source, query)
        expected = brute_force(encoder, query, texts, by)
        numbers = [candidate.number for candidate in found]
        assert [candidate.rank for candidate in found] == list(range(len(found)))
        assert all(number < 40 for number in numbers) and len(found) == min(
            15, int((expected[:40] > 0).sum()) if by in ("bm25", "sparse") else 15
        )
        np.testing.assert_allclose([candidate.score for candidate in found], expected[numbers], atol=0.02)
        np.testing.assert_allclose(
            [candidate.score for candidate in found], np.sort(expected[:40])[::-1][: len(found)], atol=0.02
        )
        assert retriever.scores(source, query, numbers) == pytest.approx([c.score for c in found], abs=1e-5)
        everything = retriever.scores(source, query, range(COUNT))
        np.testing.assert_allclose(everything, expected, atol=0.02)  # the store keeps tokens as int8


def test_the_dense_search_is_exact(index: MiningIndex, encoder: trivec.Encoder, texts: list[str]) -> None:
    queries = encoder.encode_queries(texts, ["dense"])
    assert dense_recall(index, queries, 20) == 1.0
    assert dense_recall(index, [], 20) == 1.0


def test_heads_that_sources_need(load_tiny: Callable[..., trivec.Encoder]) -> None:
    full, plain = load_tiny("m3"), load_tiny("bert")

    def heads(encoder: trivec.Encoder, *names: By, weights: dict[str, float] | None = None) -> tuple[str, ...]:
        options = MiningOptions(sources=tuple(map(Source, names)), weights=weights)  # type: ignore[arg-type]
        return needed_heads(encoder, options, mixing_weights(encoder, options))

    assert heads(full, "dense") == ("dense",)
    assert heads(full, "bm25", "random") == ("terms",)
    assert heads(full, "multi") == ("dense", "sparse", "multi")
    assert heads(full, "hybrid") == ("dense", "sparse", "multi")
    assert heads(plain, "hybrid") == ("dense", "terms")
    assert heads(full, "hybrid", weights={"dense": 1.0, "bm25": 0.5}) == ("dense", "terms")
    with pytest.raises(InputError, match="cannot retrieve by sparse, only by dense, bm25"):
        heads(plain, "sparse")


def test_prompts_of_examples_stand_before_their_queries(
    encoder: trivec.Encoder, texts: list[str], tmp_path: Path
) -> None:
    rows = [{"query": "the river", "pos": ["answer"], **({"prompt": "night: "} if n else {})} for n in range(2)]
    corpus = write_rows(tmp_path / "corpus.jsonl", [{"text": text} for text in texts])
    inputs = Inputs([write_rows(tmp_path / "pairs.jsonl", rows)], [corpus])
    options = MiningOptions(ranks=(0, 5), sampling="top", negatives=5, percent=None)
    mine(inputs, tmp_path / "out.jsonl", encoder, options)
    first, second = read_rows(tmp_path / "out.jsonl")
    documents = encoder.encode_documents(texts, ["dense"])
    for row, prompt in ((first, ""), (second, "night: ")):
        query = encoder.encode(["the river"], ["dense"], prompt)
        expected = sorted(score(query, documents).hybrid[0], reverse=True)[:5]
        np.testing.assert_allclose(row["neg_sims"], expected, atol=1e-5)
    assert first["neg_sims"] != second["neg_sims"] and second["prompt"] == "night: "


def test_an_encoder_as_a_teacher(encoder: trivec.Encoder, texts: list[str]) -> None:
    teacher = EncoderTeacher(encoder)
    expected = score(encoder.encode_queries(["water"]), encoder.encode_documents(texts)).hybrid[0]
    for chosen in ([3, 1, 3, 7], [7, 8], list(range(COUNT)), []):
        np.testing.assert_allclose(
            teacher.score("water", [texts[n] for n in chosen]), [expected[n] for n in chosen], atol=1e-4
        )
    dense = EncoderTeacher(encoder, "dense", max_length=16)
    assert dense.name == f"{encoder.name} {encoder.fingerprint.digest} dense 16 tokens"
    assert teacher.name.endswith(f"hybrid {encoder.max_length} tokens")


def test_titles_ids_and_forms_of_a_corpus(tmp_path: Path) -> None:
    folder = tmp_path / "beir"
    folder.mkdir()
    write_rows(
        folder / "corpus.jsonl",
        [
            {"_id": "a", "title": "Rhine", "text": "A river."},
            {"_id": "b", "title": "", "text": "rhine  A RIVER."},
            {"_id": "c", "title": "", "text": "A mountain."},
        ],
    )
    write_rows(folder / "queries.jsonl", [{"_id": "q", "text": "river?"}])
    (folder / "qrels.tsv").write_text("query-id\tcorpus-id\tscore\nq\tb\t1\n")
    catalogue = TextCatalogue.create(tmp_path / "texts.sqlite")
    Inputs([folder], [folder]).fill(catalogue)
    catalogue.close()
    catalogue = TextCatalogue.open(tmp_path / "texts.sqlite")
    assert (len(catalogue), catalogue.candidates, catalogue.examples) == (2, 2, 1)
    assert [text.id for text in catalogue.texts([1, 0])] == ["c", "a"]
    assert catalogue.texts([0])[0].text == "Rhine A river."
    assert catalogue.named(["b"]) == catalogue.named(["a"]) == catalogue.answers("River?") == [0]
    assert catalogue.numbers(["a mountain."]) == [1] and catalogue.stretch(1, 9) == ["A mountain."]
    catalogue.close()
