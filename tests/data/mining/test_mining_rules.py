"""Mining end to end, on rankings that are known: ranges, exclusions, rules, quotas, filling, teachers, the audit."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from planted import ByNumber, PlantedEncoder, inputs, line_of_texts, read_rows, text_at, write_rows

from trivec.data.mining import Inputs, MiningOptions, MiningReport, Source, mine
from trivec.data.reading import read_examples
from trivec.errors import InputError

QUERY = text_at("query", 1, 0)
POSITIVE = text_at("the answer", 2, 0)
"""Scores 2, so that no rule about the positive's score touches a corpus of scores up to 1."""


def run(folder: Path, examples: Any, corpus: Any = (), **settings: Any) -> tuple[list[dict[str, Any]], MiningReport]:
    """Mined rows and the report; settings of `mine` and of `MiningOptions` may be mixed."""
    own = {name: settings.pop(name) for name in ("teacher", "audit", "allow_few", "index") if name in settings}
    found = examples if isinstance(examples, Inputs) else inputs(folder, examples, corpus)
    report = mine(found, folder / "mined.jsonl", PlantedEncoder(), MiningOptions(**settings), **own)  # type: ignore[arg-type]
    return read_rows(folder / "mined.jsonl"), report


@pytest.mark.parametrize("ranks", [(0, 5), (1, 6), (4, 9), (15, 20)])
def test_negatives_come_from_the_range_and_from_all_of_it(ranks: tuple[int, int], tmp_path: Path) -> None:
    corpus = line_of_texts(20)
    (row,), _ = run(tmp_path, [{"query": QUERY, "pos": [POSITIVE]}], corpus, ranks=ranks, negatives=5)
    assert row["neg_ids"] == [f"text{number}" for number in range(*ranks)]
    assert row["neg"] == [corpus[number]["text"] for number in range(*ranks)]
    assert row["neg_ranks"] == list(range(*ranks))
    np.testing.assert_allclose(row["neg_sims"], [1 - number / 20 for number in range(*ranks)], atol=1e-6)
    assert row["neg_source"] == ["dense"] * 5
    assert row["miner"].startswith("planted ")


def test_excluded_texts_count_in_the_ranks(tmp_path: Path) -> None:
    corpus = line_of_texts(20)
    example = {"query": QUERY, "pos": [POSITIVE, corpus[3]["text"].upper()]}
    (row,), report = run(tmp_path, [example], corpus, ranks=(2, 6), negatives=3, percent=None)
    assert row["neg_ids"] == ["text2", "text4", "text5"]
    assert report.rejected == {"dense": {"positive": 0.25}}


def test_no_positive_in_any_form_and_no_query_comes_back(tmp_path: Path) -> None:
    letters = "which of these many long words are the same as those of the other text"
    corpus = [
        {"_id": "same", "text": text_at(letters, 0.5, 0)},
        {"_id": "case", "text": text_at(letters.upper() + " 2", 0.5, 0)},
        {"_id": "named", "text": text_at("nothing like it", 0.5, 0)},
        {"_id": "other", "text": text_at("answers the same query elsewhere", 0.5, 0)},
        {"_id": "query", "text": QUERY},
        {"_id": "left", "text": text_at("unlike all of them", 0.5, 0)},
        *line_of_texts(3, "last"),
    ]
    examples = [
        {"query": QUERY, "pos": [text_at(letters, 0.5, 0), text_at("second", 0.9, 0)], "pos_ids": ["same", "named"]},
        {"query": QUERY.upper(), "pos": [corpus[3]["text"]]},
    ]
    rows, _ = run(tmp_path, examples, corpus, ranks=(0, 50), percent=None, negatives=9, allow_few=True)
    assert sorted(rows[0]["neg_ids"]) == ["last0", "last1", "last2", "left"]
    assert "same" not in rows[1]["neg_ids"] and "query" not in rows[1]["neg_ids"]
    everything, _ = run(
        tmp_path, examples, corpus, ranks=(0, 50), percent=None, near_duplicate=None, negatives=9, allow_few=True
    )
    assert "case" in everything[0]["neg_ids"]


def test_candidates_without_a_corpus_are_all_texts_of_the_examples(tmp_path: Path) -> None:
    examples = [
        {"query": text_at(f"query {n}", 1, 0), "pos": [text_at(f"answer {n}", 1, n / 10)],
         "neg": [text_at(f"wrong {n}", 0.5, 0), text_at("wrong for all", 0.4, 0)]}
        for n in range(6)
    ]  # fmt: skip
    rows, report = run(tmp_path, examples, ranks=(0, 99), percent=None, negatives=12)
    assert report.texts == 13
    for number, row in enumerate(rows):
        texts = {example["pos"][0] for example in examples} | {text for one in examples for text in one["neg"]}
        assert set(row["neg"]) == texts - set(examples[number]["pos"])
        assert len(row["neg"]) == 12 and row["pos"] == examples[number]["pos"]


def test_random_texts_fill_up_to_exactly_as_many(tmp_path: Path) -> None:
    corpus = [*line_of_texts(40), {"_id": "q", "text": QUERY}, {"_id": "p", "text": POSITIVE}]
    examples = [{"query": QUERY, "pos": [POSITIVE]}]
    (row,), report = run(tmp_path, examples, corpus, ranks=(2, 7), negatives=20, allow_few=True)
    assert len(set(row["neg_ids"])) == 20 and report.filled == 16 and report.short == 0
    # ranks 0 to 2 are the positive, text0 and the query
    mined, filled = row["neg_ids"][:4], row["neg_ids"][4:]
    assert mined == ["text1", "text2", "text3", "text4"]
    assert row["neg_source"] == ["dense"] * 4 + ["random"] * 16
    assert row["neg_ranks"][4:] == [None] * 16
    assert not {"q", "p"} & set(filled)
    (short,), _ = run(tmp_path, examples, corpus, ranks=(2, 7), negatives=20, allow_few=True, fill=False)
    assert short["neg_ids"] == mined
    (all_of_it,), report = run(tmp_path, examples, corpus, ranks=(2, 7), negatives=99, allow_few=True)
    assert report.short == 1
    assert sorted(all_of_it["neg_ids"]) == sorted(f"text{n}" for n in range(1, 40))  # text0 is above the range


def test_random_texts_pass_the_same_rules(tmp_path: Path) -> None:
    corpus = line_of_texts(40)
    example = {"query": QUERY, "pos": [text_at("the answer", 0.51, 0)]}
    (row,), _ = run(tmp_path, [example], corpus, ranks=(0, 5), negatives=30, allow_few=True)
    below = [f"text{n}" for n in range(40) if 1 - n / 40 < 0.95 * 0.51]
    assert sorted(row["neg_ids"]) == sorted(below)


def test_sampling_is_even_or_takes_the_best(tmp_path: Path) -> None:
    corpus = line_of_texts(30)
    examples = [{"query": text_at(f"query {n}", 1, 0), "pos": [POSITIVE]} for n in range(300)]
    rows, _ = run(tmp_path, examples, corpus, ranks=(5, 15), negatives=3)
    counts = Counter(name for row in rows for name in row["neg_ids"])
    assert set(counts) == {f"text{n}" for n in range(5, 15)}
    assert sum((count - 90) ** 2 / 90 for count in counts.values()) < 27.9
    rows, _ = run(tmp_path, examples[:2], corpus, ranks=(5, 15), negatives=3, sampling="top")
    assert [row["neg_ranks"] for row in rows] == [[5, 6, 7]] * 2


def test_given_negatives_are_replaced_or_kept(tmp_path: Path) -> None:
    corpus = line_of_texts(10)
    example = {
        "query": QUERY,
        "pos": [POSITIVE],
        "neg": [corpus[3]["text"], "wrong | 0 1"],
        "lang": "en",
        "neg_ranks": 1,
    }
    (row,), _ = run(tmp_path, [example], corpus, ranks=(2, 6), negatives=3)
    assert "text3" in row["neg_ids"] or len(row["neg_ids"]) == 3
    assert "wrong | 0 1" not in row["neg"] and row["lang"] == "en"
    (row,), _ = run(tmp_path, [example], corpus, ranks=(2, 6), negatives=3, keep_negatives=True)
    assert row["neg"][:2] == example["neg"]
    assert row["neg_ids"][2:] == ["text2", "text4", "text5"]
    assert row["neg_source"] == ["given", "given", "dense", "dense", "dense"]
    assert row["neg_ranks"] == [None, None, 2, 4, 5]
    (example_read,) = read_examples([tmp_path / "mined.jsonl"])
    assert len(example_read.negatives) == len(example_read.negative_ids) == 5


def mixed_corpus() -> list[dict[str, Any]]:
    """Dense vectors know the texts named near, BM25 those named word; both know those named both."""
    rows = [{"_id": f"near{n}", "text": text_at(f"a{n}", 0.9 - n / 100, 0)} for n in range(10)]
    rows += [{"_id": f"word{n}", "text": text_at(f"query {'x ' * n}b{n}", -0.5, 0)} for n in range(10)]
    rows += [{"_id": f"both{n}", "text": text_at(f"query c{n}", 0.95, 0)} for n in range(2)]
    return rows + [{"_id": f"far{n}", "text": text_at(f"d{n}", -0.9, n)} for n in range(30)]


def test_sources_by_quota(tmp_path: Path) -> None:
    sources = (Source("dense", 50), Source("bm25", 25), Source("random", 25))
    example = {"query": QUERY, "pos": [text_at("query the query answers", 2, 0)]}
    (row,), report = run(
        tmp_path, [example], mixed_corpus(), sources=sources, ranks=(0, 12), negatives=8, percent=None, fill=False
    )
    assert Counter(row["neg_source"]) == {"dense": 4, "bm25": 2, "random": 2}
    assert len(set(row["neg_ids"])) == 8
    for name, source, rank in zip(row["neg_ids"], row["neg_source"], row["neg_ranks"], strict=True):
        allowed = {"dense": ("near", "both"), "bm25": ("word", "both"), "random": ("far", "near", "word", "both")}[
            source
        ]
        assert name.startswith(allowed) and (rank is None) == (source == "random")
    assert report.filled == 0


def test_what_one_source_drops_no_other_brings_back(tmp_path: Path) -> None:
    sources = (Source("dense"), Source("bm25"))
    example = {"query": QUERY, "pos": [text_at("query answer", 0.96, 0)]}
    (row,), _ = run(
        tmp_path, [example], mixed_corpus(), sources=sources, ranks=(0, 12), negatives=20, allow_few=True,
        audit=tmp_path / "audit.jsonl", fill=False,
    )  # fmt: skip
    assert not any(name.startswith("both") for name in row["neg_ids"])
    audit = {(line["candidate_id"], line["source"]): line for line in read_rows(tmp_path / "audit.jsonl")}
    assert audit["both0", "dense"]["why"] == "above-percent"
    assert audit["both0", "dense"]["limit"] == pytest.approx(0.95 * 0.96)
    assert audit["both0", "bm25"]["why"] in ("elsewhere", "above-percent")


def test_missing_candidates_of_one_source_come_from_the_others(tmp_path: Path) -> None:
    sources = (Source("dense"), Source("bm25"))
    corpus = [row for row in mixed_corpus() if not row["_id"].startswith(("word", "both"))]
    example = {"query": QUERY, "pos": [POSITIVE.replace("the answer", "query answer")]}
    (row,), _ = run(tmp_path, [example], corpus, sources=sources, ranks=(0, 20), negatives=8, fill=False)
    assert row["neg_source"] == ["dense"] * 8


def test_a_teacher_scores_and_vetoes(tmp_path: Path) -> None:
    corpus = line_of_texts(20)
    numbers = {row["text"]: float(n) for n, row in enumerate(corpus)} | {POSITIVE: 10.0, "second | 2 0": 12.0}
    teacher = ByNumber(numbers.__getitem__, "the rule")
    example = {"query": QUERY, "pos": [POSITIVE, "second | 2 0"], "pos_scores": [1, 1], "teacher": "another"}
    (row,), _ = run(
        tmp_path, [example], corpus, ranks=(2, 20), negatives=6, teacher=teacher, audit=tmp_path / "audit.jsonl"
    )
    assert row["pos_scores"] == [10.0, 12.0] and row["teacher"] == "the rule"
    assert row["neg_scores"] == [numbers[text] for text in row["neg"]]
    assert set(row["neg_ids"]) < {f"text{n}" for n in range(2, 10)} and len(row["neg_ids"]) == 6
    asked = teacher.asked
    assert len(asked) == len(set(asked))  # each once
    for line in read_rows(tmp_path / "audit.jsonl"):
        number = int(line["candidate_id"].removeprefix("text"))
        if "teacher_score" in line:
            assert line["teacher_score"] == number
            assert (line["why"] == "veto") == (number >= 10)
    (row,), _ = run(
        tmp_path, [example], corpus, ranks=(2, 20), negatives=9, teacher=teacher, veto_margin=2, veto_below=7.5,
        allow_few=True, fill=False,
    )  # fmt: skip
    assert row["neg_ids"] == [f"text{n}" for n in range(2, 8)]  # below 10 - 2 and below 7.5


def test_scores_follow_their_texts_when_lists_are_shuffled(tmp_path: Path) -> None:
    corpus = line_of_texts(30)
    score = lambda text: float(text.count("e")) + len(text) / 100 - 5 * ("answer" not in text)  # noqa: E731
    rng = np.random.default_rng(0)
    for _ in range(3):
        positives = [text_at(f"answer {name}", 2, 0) for name in ("one", "three", "seventeen")]
        rng.shuffle(positives)
        rng.shuffle(corpus)
        example = {"query": QUERY, "pos": positives, "neg": [row["text"] for row in corpus[:3]]}
        (row,), _ = run(
            tmp_path, [example], corpus, ranks=(0, 30), teacher=ByNumber(score), keep_negatives=True, percent=None
        )
        assert len(row["neg"]) == 10
        for texts, scores in ((row["pos"], row["pos_scores"]), (row["neg"], row["neg_scores"])):
            np.testing.assert_allclose(scores, [score(text) for text in texts], atol=1e-5)


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_scores_that_are_no_numbers_are_refused(bad: float, tmp_path: Path) -> None:
    teacher = ByNumber(lambda text: bad if "text 7" in text else "answer" in text)
    corpus = [{"_id": str(n), "text": text_at(f"text {n}", 0.5, 0)} for n in range(9)]
    with pytest.raises(InputError, match=r"the teacher rule gave (nan|inf) for the query .* and the text 'text 7"):
        run(tmp_path, [{"query": QUERY, "pos": [POSITIVE]}], corpus, ranks=(0, 9), teacher=teacher, negatives=9)
    with pytest.raises(InputError, match=r"shape \(0,\) for 1 texts"):
        few = SimpleTeacher()
        run(tmp_path, [{"query": QUERY, "pos": [POSITIVE]}], corpus, ranks=(0, 9), teacher=few)


class SimpleTeacher:
    name = "few"

    def score(self, query: str, texts: Any) -> Any:
        return np.zeros(0, np.float32)


def test_scores_without_a_teacher_are_not_mixed_with_none(tmp_path: Path) -> None:
    corpus = line_of_texts(20)
    example = {"query": QUERY, "pos": [POSITIVE], "neg": ["wrong | 0 1"], "pos_scores": [3], "neg_scores": [1]}
    with pytest.raises(InputError, match=r"pairs\.jsonl:1.*--drop-scores"):
        run(tmp_path, [example], corpus)
    (row,), report = run(tmp_path, [example], corpus, drop_scores=True)
    assert "pos_scores" not in row and "neg_scores" not in row
    assert report.scores_dropped == 1


def test_the_audit_says_what_became_of_every_candidate(tmp_path: Path) -> None:
    corpus = [*line_of_texts(20), {"_id": "dup", "text": text_at("the answer 2", 0.7, 0)}]
    example = {"query": QUERY, "pos": [text_at("the answer", 0.7, 0), corpus[9]["text"]], "query_id": "q1"}
    (row,), report = run(
        tmp_path, [example], corpus, ranks=(2, 15), negatives=2, near_duplicate=0.5, audit=tmp_path / "audit.jsonl"
    )
    audit = read_rows(tmp_path / "audit.jsonl")
    assert [line["rank"] for line in audit] == list(range(15))
    assert {line["query_id"] for line in audit} == {"q1"} and {line["query"] for line in audit} == {QUERY}
    why = {line["candidate_id"]: line["why"] for line in audit}
    limit = 0.95 * 0.55  # the positive that scores lowest is text9
    assert why["dup"] == "near-duplicate" and why["text0"] == "before-range"
    assert why["text9"] == "positive"
    for n in range(2, 14):
        score = 1 - n / 20
        if n != 9:
            assert (why[f"text{n}"] == "above-percent") == (score >= limit)
    kept = [line["candidate_id"] for line in audit if line["decision"] == "kept"]
    assert kept == row["neg_ids"]
    # in range: ranks 2 to 14, which are text2 to text13 and dup
    dropped = Counter(line["why"] for line in audit if line["decision"] == "dropped" and line["rank"] >= 2)
    assert report.rejected["dense"] == {name: count / 13 for name, count in dropped.items()}
    assert report.median_left == 13 - sum(dropped.values())


def test_rejection_rates_are_those_of_a_brute_force_count(tmp_path: Path) -> None:
    rng = np.random.default_rng(7)
    corpus = [{"_id": str(n), "text": text_at(f"text {n}", *rng.normal(size=4))} for n in range(80)]
    examples = [
        {"query": text_at(f"query {n}", *rng.normal(size=4)), "pos": [corpus[n]["text"], corpus[(n * 7) % 80]["text"]]}
        for n in range(40)
    ]
    _, report = run(tmp_path, examples, corpus, ranks=(3, 30), negatives=2, allow_few=True, near_duplicate=None)
    vectors = np.asarray([row["text"].partition("|")[2].split() for row in corpus], np.float32)
    counts: Counter[str] = Counter()
    left = []
    for n, example in enumerate(examples):
        scores = vectors @ np.asarray(example["query"].partition("|")[2].split(), np.float32)
        positives = {n, (n * 7) % 80}
        lowest = min(scores[number] for number in positives)
        limit, name = (0.95 * lowest, "above-percent") if lowest > 0 else (lowest - 0.05, "within-margin")
        ranked = [number for number in np.argsort(-scores)[3:30] if number not in positives]
        counts["positive"] += 27 - len(ranked)
        dropped = sum(scores[number] >= limit for number in ranked)
        counts[name] += dropped
        left.append(len(ranked) - dropped)
    assert report.rejected["dense"] == pytest.approx(
        {name: count / (40 * 27) for name, count in counts.items() if count}
    )
    assert report.median_left == sorted(left)[(len(left) - 1) // 2]
    assert report.fell_back["dense"] > 0


def test_too_few_candidates_stop_the_run(tmp_path: Path) -> None:
    corpus = line_of_texts(20)
    examples = [{"query": text_at(f"query {n}", 1, 0), "pos": [text_at(f"answer {n}", 0.2, 0)]} for n in range(3)]
    with pytest.raises(InputError, match=r"median query has 0 candidates left and needs 7 .*above-percent 100\.0%"):
        run(tmp_path, examples, corpus, ranks=(0, 10))
    assert not (tmp_path / "mined.jsonl").exists()
    rows, report = run(tmp_path, examples, corpus, ranks=(0, 10), allow_few=True)
    assert report.median_left == 0 and report.short == 3
    assert all(len(row["neg"]) == 3 for row in rows)  # random ones below 0.19


def test_planted_false_negatives_are_dropped_and_hard_negatives_kept(tmp_path: Path) -> None:
    """Positives score 0.8, unlabelled answers 0.8 plus noise of 0.02, hard negatives 0.65 plus noise of 0.05.

    With the limit at 0.76, two of the first noise's deviations lie between answers and limit, and two of the second
    between limit and hard negatives: about 97 % of either are on their side.
    """
    rng = np.random.default_rng(3)
    examples, corpus = [], []
    for n in range(60):
        axis = np.zeros(60)
        axis[n] = 1
        examples.append({"query": text_at(f"query {n}", *axis), "pos": [text_at(f"answer {n}", *(0.8 * axis))]})
        for kind, mean, noise, count in (("false", 0.8, 0.02, 3), ("hard", 0.65, 0.05, 10)):
            scores = rng.normal(mean, noise, count)
            corpus += [
                {"_id": f"{kind}-{n}-{i}", "text": text_at(f"{kind} {n} {i}", *(s * axis))}
                for i, s in enumerate(scores)
            ]
    rows, _ = run(tmp_path, examples, corpus, ranks=(0, 13), negatives=13, allow_few=True, fill=False)
    kept = Counter(name.partition("-")[0] for row in rows for name in row["neg_ids"])
    assert kept["false"] <= 0.2 * 180
    assert kept["hard"] >= 0.8 * 600
    rows, _ = run(tmp_path, examples, corpus, ranks=(0, 13), negatives=13, percent=None, fill=False)
    assert Counter(name.partition("-")[0] for row in rows for name in row["neg_ids"]) == {"false": 180, "hard": 600}


def test_queries_that_cannot_be_mined_for(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no texts to choose negatives from"):
        empty = write_rows(tmp_path / "empty.jsonl", [])
        run(tmp_path, Inputs([inputs(tmp_path, [{"query": QUERY, "pos": [POSITIVE]}]).examples[0]], [empty]))
    with pytest.raises(InputError, match="no examples"):
        run(tmp_path, Inputs([write_rows(tmp_path / "none.jsonl", [])]))
    with pytest.raises(InputError, match="cannot retrieve by multi, only by dense, bm25"):
        run(tmp_path, [{"query": QUERY, "pos": [POSITIVE]}], sources=(Source("multi"),))
    with pytest.raises(InputError, match=r"no-such\.jsonl"):
        run(tmp_path, Inputs([tmp_path / "no-such.jsonl"]))
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
