"""Measures against numbers worked out by hand, and against the definitions on random runs."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trivec.errors import InputError
from trivec.evaluate.measures import measure, parse_measures, ranked

GRADED = {"q": {"a": 3, "b": 1, "c": 2}}


def value(name: str, run: dict[str, dict[str, float]], relevance: dict[str, dict[str, int]]) -> float:
    return measure(run, relevance, [name]).means()[name]


def test_gains_are_linear() -> None:
    run = {"q": {"b": 0.9, "a": 0.8, "x": 0.7}}
    ideal = 3 + 2 / math.log2(3) + 1 / 2
    assert value("nDCG@10", run, GRADED) == pytest.approx((1 + 3 / math.log2(3)) / ideal)
    assert value("nDCG@10", run, GRADED) == pytest.approx(0.6075, abs=5e-5)


@pytest.mark.parametrize("name", ["RR@10", "RR", "AP", "nDCG@10", "P@1", "Success@1"])
def test_equal_scores_go_by_the_later_id(name: str) -> None:
    later = value(name, {"q": {"d1": 1.0, "d2": 1.0}}, {"q": {"d1": 1}})
    assert later == value(name, {"q": {"d1": 0.0, "d2": 1.0}}, {"q": {"d1": 1}})
    assert later != value(name, {"q": {"d1": 1.0, "d2": 1.0}}, {"q": {"d2": 1}})


def test_scores_are_single_precision() -> None:
    relevance = {"q": {"d1": 1}}
    assert value("RR", {"q": {"d1": 1.0 + 1e-9, "d2": 1.0}}, relevance) == 0.5
    assert value("RR", {"q": {"d1": 1.0 + 1e-6, "d2": 1.0}}, relevance) == 1.0


def test_stable_ties_keep_the_order_given() -> None:
    run = {"q": {"d1": 1.0, "d2": 1.0 + 1e-9, "d0": 1.0}}
    assert ranked(run["q"], "stable") == ["d2", "d1", "d0"]
    assert ranked(run["q"]) == ["d2", "d1", "d0"]
    assert measure({"q": {"d1": 1.0, "d2": 1.0}}, {"q": {"d1": 1}}, ["RR"], "stable").means() == {"RR": 1.0}


def test_a_query_without_a_ranking_counts_nothing_and_is_told() -> None:
    relevance = {"q1": {"a": 1}, "q2": {"b": 1}, "q3": {"c": 0}, "q4": {"d": -1, "e": 1}}
    found = measure({"q1": {"a": 1.0}, "q4": {"d": 2.0, "e": 1.0}, "unjudged": {"a": 1.0}}, relevance, ["rr", "map"])
    assert list(found.queries) == ["q1", "q2", "q4"]
    assert found.values["RR"].tolist() == [1.0, 0.0, 0.5]
    assert found.values["AP"].tolist() == [1.0, 0.0, 0.5]
    assert (found.unanswered, found.without_relevant) == (["q2"], ["q3"])
    assert found.means()["RR"] == pytest.approx(0.5)


def test_an_empty_ranking_counts_nothing() -> None:
    assert measure({"q": {}, "r": {"a": 1.0}}, {"q": {"a": 1}, "r": {"a": 1}}, ["R@10"]).means() == {"R@10": 0.5}


def test_other_spellings() -> None:
    names = ["ndcg@10", "nDCG@10", "recall@100", "MRR@10", "map", "hit@5", "precision@5", "R(rel=2)@50"]
    assert parse_measures(names) == ["nDCG@10", "R@100", "RR@10", "AP", "Success@5", "P@5", "R(rel=2)@50"]


@pytest.mark.parametrize("names", [["nonsense@10"], ["nDCG@"], ["nDCG@x"], ["@10"], [], ["__import__('os')"]])
def test_unknown_measures_are_refused(names: list[str]) -> None:
    with pytest.raises(InputError, match="measure"):
        parse_measures(names)


def test_runs_and_judgements_that_do_not_meet_are_refused() -> None:
    with pytest.raises(InputError, match=r"none of the 1 judged queries \(such as 'q'; it has 'Q1'\)"):
        measure({"Q1": {"a": 1.0}}, {"q": {"a": 1}})
    with pytest.raises(InputError, match="it has no query"):
        measure({}, {"q": {"a": 1}})
    with pytest.raises(InputError, match="none of 1 judged queries has a relevant document"):
        measure({"q": {"a": 1.0}}, {"q": {"a": 0}})


documents = st.sampled_from([f"d{number}" for number in range(12)])
rankings = st.dictionaries(documents, st.sampled_from([0.0, 0.25, 0.5, 1.0, 1.0 + 1e-9, 3.5]), max_size=12)
grades = st.dictionaries(documents, st.integers(-1, 3), min_size=1, max_size=8)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(["q1", "q2", "q3"]), st.tuples(rankings, grades), min_size=1))
def test_random_runs_follow_the_definitions(cases: dict[str, tuple[dict[str, float], dict[str, int]]]) -> None:
    run = {query: ranking for query, (ranking, _) in cases.items()}
    relevance = {query: judged for query, (_, judged) in cases.items()}
    counted = [query for query, judged in relevance.items() if max(judged.values()) > 0]
    if not counted:
        return
    found = measure(run, relevance, ["nDCG@5", "R@5", "RR@5", "AP", "P@5", "Success@5"])
    assert list(found.queries) == counted
    for place, query in enumerate(counted):
        expected = by_definition(run[query], relevance[query], 5)
        assert {name: values[place] for name, values in found.values.items()} == pytest.approx(expected, abs=1e-9)


def by_definition(ranking: dict[str, float], judged: dict[str, int], k: int) -> dict[str, float]:
    order = sorted(ranking, key=lambda d: (float(np.float32(ranking[d])), d), reverse=True)
    gains = [max(0, judged.get(document, 0)) for document in order]
    ideal = sorted((max(0, grade) for grade in judged.values()), reverse=True)
    hits = [gain > 0 for gain in gains]
    relevant = sum(gain > 0 for gain in ideal)
    precisions = [sum(hits[: rank + 1]) / (rank + 1) for rank, hit in enumerate(hits) if hit]

    def dcg(values: list[int]) -> float:
        return sum(gain / math.log2(rank + 2) for rank, gain in enumerate(values[:k]))

    return {
        "nDCG@5": dcg(gains) / dcg(ideal),
        "R@5": sum(hits[:k]) / relevant,
        "RR@5": next((1 / (rank + 1) for rank, hit in enumerate(hits[:k]) if hit), 0.0),
        "AP": sum(precisions) / relevant,
        "P@5": sum(hits[:k]) / k,
        "Success@5": float(any(hits[:k])),
    }
