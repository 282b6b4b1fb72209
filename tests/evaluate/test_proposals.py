"""What is kept of a pass is enough for every mix, or it is told that it may not be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from trivec.evaluate.all_scores import AllScores, collector
from trivec.evaluate.proposals import Proposals
from trivec.evaluate.ranking import best_documents, could_enter, total_scores
from trivec.evaluate.systems import System
from trivec.search.fusion import ReciprocalRank, WeightedSum
from trivec.types import FloatArray, Signal

SIGNALS: tuple[Signal, ...] = ("dense", "sparse", "multi")
MIX: dict[Signal, float] = {"dense": 1.0, "sparse": 0.5, "multi": 2.0}


def random_scores(seed: int, queries: int = 20, passages: int = 300) -> dict[Signal, FloatArray]:
    """Signals that agree in part."""
    rng = np.random.default_rng(seed)
    shared = rng.standard_normal((queries, passages))
    return {
        signal: np.asarray(shared + spread * rng.standard_normal((queries, passages)), np.float32)
        for signal, spread in zip(SIGNALS, (0.5, 2.0, 1.0), strict=True)
    }


def collect(scores: dict[Signal, FloatArray], depth: int, part: int) -> Proposals:
    queries, passages = scores["dense"].shape
    proposals = Proposals(queries, SIGNALS, depth)
    for start in range(0, passages, part):
        proposals.add({signal: values[:, start : start + part] for signal, values in scores.items()})
    return proposals


@pytest.mark.parametrize("part", [1, 37, 300])
def test_the_lists_are_the_best_of_all_parts(part: int) -> None:
    scores = random_scores(0)
    for query, proposed in enumerate(collect(scores, 25, part)):
        for signal, values in scores.items():
            expected = np.argsort(-values[query], kind="stable")[:25]
            assert proposed.lists[signal].tolist() == expected.tolist()
            assert proposed.last[signal] == values[query, expected[-1]]
            np.testing.assert_array_equal(proposed.scores[signal], values[query, proposed.passages])


def test_a_mix_is_exact_unless_it_is_told() -> None:
    system, told, wrong = System("mix", WeightedSum(MIX)), 0, 0
    for seed in range(8):
        scores = random_scores(seed)
        total = sum(np.float32(weight) * scores[signal] for signal, weight in MIX.items())
        assert isinstance(total, np.ndarray)
        for query, proposed in enumerate(collect(scores, 30, 64)):
            numbers, totals = total_scores(system, proposed)
            best = np.argsort(-totals, kind="stable")[:20]
            expected = np.argsort(-total[query], kind="stable")[:20]
            is_right = numbers[best].tolist() == expected.tolist()
            is_told = could_enter(system, proposed) > totals[best[-1]]
            assert is_right or is_told
            told += is_told
            wrong += not is_right
    assert 0 < wrong <= told < 160


def test_nothing_can_enter_a_list_of_everything() -> None:
    proposed = next(iter(collect(random_scores(1), 300, 100)))
    assert could_enter(System("mix", WeightedSum(MIX)), proposed) == -np.inf
    few = next(iter(collect(random_scores(1), 10, 100)))
    assert could_enter(System("dense", WeightedSum({"dense": 1.0})), few) == -np.inf
    assert could_enter(System("ranks", ReciprocalRank()), few) == -np.inf


def test_lexical_signals_list_only_what_shares_a_term() -> None:
    proposals = Proposals(1, ["sparse", "dense"], 5)
    proposals.add({"sparse": np.array([[0.0, 0.5, 0.0]], np.float32), "dense": np.array([[-1.0, -2, -3]], np.float32)})
    proposed = next(iter(proposals))
    assert total_scores(System("sparse", WeightedSum({"sparse": 1.0})), proposed)[0].tolist() == [1]
    assert total_scores(System("dense", WeightedSum({"dense": 1.0})), proposed)[0].tolist() == [0, 1, 2]


def test_a_document_stands_at_its_best_passage() -> None:
    owners = ["a", "a", "b", "c"]
    arguments: tuple[Any, ...] = (np.array([0, 1, 2, 3]), np.array([0.7, 0.9, 0.8, 0.5], np.float32), owners)
    assert best_documents(*arguments, 5, None) == pytest.approx({"a": 0.9, "b": 0.8, "c": 0.5})
    assert list(best_documents(*arguments, 2, None)) == ["a", "b"]
    assert list(best_documents(*arguments, 2, "a")) == ["b", "c"]


def test_a_document_of_many_passages_crowds_nobody_out() -> None:
    owners = ["long"] * 50 + ["b", "c"]
    scores = np.linspace(1, 0, 52, dtype=np.float32)
    assert list(best_documents(np.arange(52), scores, owners, 3, None)) == ["long", "b", "c"]


@pytest.mark.parametrize(
    "system",
    [
        System("mix", WeightedSum(MIX)),
        System("dense", WeightedSum({"dense": 1.0})),
        System("sparse", WeightedSum({"sparse": 1.0})),
        System("ranks", ReciprocalRank()),
        System("listed", WeightedSum(MIX), "listed"),
        System("first", WeightedSum(MIX), "first-dense"),
    ],
    ids=lambda system: system.name,
)
def test_all_scores_rank_as_the_lists_of_a_large_set_do(system: System) -> None:
    scores = random_scores(2)
    kept = AllScores(20, 300, SIGNALS, 60)
    for start in range(0, 300, 64):
        kept.add({signal: values[:, start : start + 64] for signal, values in scores.items()})
    owners = [f"d{number // 2}" for number in range(300)]
    for listed, everything in zip(collect(scores, 60, 64), kept, strict=True):
        assert could_enter(system, everything) == -np.inf
        ours, theirs = (best_documents(*total_scores(system, found), owners, 8, None) for found in (everything, listed))
        assert could_enter(system, listed) <= min(theirs.values())
        assert list(ours.items()) == list(theirs.items())


def test_a_small_set_keeps_all_scores() -> None:
    assert isinstance(collector(1000, 50_000, SIGNALS, 100), AllScores)
    assert isinstance(collector(1000, 500_000, SIGNALS, 100), Proposals)
