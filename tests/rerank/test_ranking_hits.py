"""Hits of a search in the order of a reranker, with hand-worked numbers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import numpy as np
import pytest

from trivec.errors import CorruptModelError, InputError
from trivec.rerank.calibration import Calibration
from trivec.rerank.mixing import mixed_scores
from trivec.rerank.own_ways import OwnWays, read_own_ways, write_own_ways
from trivec.rerank.reranker import Pair, Reranker
from trivec.rerank.reranking import Reranking
from trivec.types import FloatArray


@dataclass(frozen=True)
class Found:
    """The least that a hit has."""

    rank: int
    score: float
    content: str
    reranking: Reranking | None = None

    def moved(self, rank: int, score: float, reranking: Reranking) -> Self:
        return replace(self, rank=rank, score=score, reranking=reranking)


class Numbers:
    """Reads the number that a document is."""

    name, layers = "numbers", ()

    def score(self, pairs: Sequence[Pair]) -> FloatArray:
        return np.asarray([[float(pair.document)] for pair in pairs], np.float32)


FOUND = [Found(1, 6.0, "-1"), Found(2, 5.0, "3"), Found(3, 4.0, "1")]
RERANKER = Reranker(Numbers(), Calibration("platt", (1.0,), (0.0,)))


def test_hits_come_back_as_hits() -> None:
    ranked = RERANKER.rank("q", FOUND)
    assert [(one.rank, one.score, one.content) for one in ranked] == [(1, 3.0, "3"), (2, 1.0, "1"), (3, -1.0, "-1")]
    best = ranked[0].reranking
    assert best == Reranking("numbers", 3.0, pytest.approx(1 / (1 + np.exp(-3))), 2, 5.0)
    assert RERANKER.rank("q", FOUND, k=2) == ranked[:2]
    assert RERANKER.rank("q", []) == []


def test_the_mix_by_hand() -> None:
    # 6, 5, 4 have mean 5 and deviation sqrt(2/3)
    logits, first = np.array([-1, 3, 1], np.float32), np.array([6, 5, 4], np.float32)
    expected = [-1 + 1.5 / np.sqrt(2 / 3), 3, 1 - 1.5 / np.sqrt(2 / 3)]
    np.testing.assert_allclose(mixed_scores(logits, first, 1.5), expected, rtol=1e-6)
    ranked = RERANKER.rank("q", FOUND, first_stage=1.5)
    assert [one.content for one in ranked] == ["3", "-1", "1"]
    np.testing.assert_allclose([one.score for one in ranked], sorted(expected, reverse=True), rtol=1e-6)
    assert mixed_scores(logits, first, 0.0).tolist() == logits.tolist()
    alike = mixed_scores(logits, np.ones(3, np.float32), 1.0)  # a first stage that tells nothing apart
    assert alike.tolist() == logits.tolist()
    assert mixed_scores(np.zeros(0, np.float32), np.zeros(0, np.float32), 1.0).tolist() == []


def test_a_model_brings_the_weight_that_suits_it() -> None:
    own = Reranker(Numbers(), first_stage=1.5)
    assert [one.content for one in own.rank("q", FOUND)] == ["3", "-1", "1"]
    assert own.rank("q", FOUND, first_stage=0.0) == Reranker(Numbers()).rank("q", FOUND)
    assert [one.number for one in own.rank("q", ["-1", "3", "1"])] == [1, 2, 0]


@pytest.mark.parametrize(
    "wrong",
    [
        {"first_stage": "much"},
        {"first_stage": -1},
        {"first_stage": None},
        {"first_stage": [1]},
        {"max_length": 0},
        {"max_length": "long"},
        {"kept": "end"},
    ],
)
def test_a_folder_says_how_it_is_best_used(tmp_path: Path, wrong: dict[str, object]) -> None:
    assert read_own_ways(tmp_path) == OwnWays()
    write_own_ways(tmp_path, OwnWays(0.5, 192, "best"))
    assert read_own_ways(tmp_path) == OwnWays(0.5, 192, "best")
    (tmp_path / "reranker.json").write_text(json.dumps(wrong), "utf-8")
    with pytest.raises(CorruptModelError, match=r"reranker\.json does not say how to use a reranker"):
        read_own_ways(tmp_path)


def test_what_was_reranked_before_keeps_its_first_place() -> None:
    once = RERANKER.rank("q", FOUND)
    twice = RERANKER.rank("q", once, first_stage=1000.0)
    assert [one.content for one in twice] == ["-1", "3", "1"]
    assert [(one.reranking.first_rank, one.reranking.first_score) for one in twice if one.reranking] == [
        (1, 6.0),
        (2, 5.0),
        (3, 4.0),
    ]


@pytest.mark.parametrize(
    ("documents", "weight", "message"),
    [
        (["1", FOUND[0]], 0.0, "all strings, or all hits of a search, got '1' among them"),
        ([7], 0.0, "all strings, or all hits of a search, got 7 among them"),
        (["1", "2"], 0.5, "first_stage is 0.5, and texts have no scores yet"),
        (FOUND, -1.0, "first_stage must be a weight of at least 0, got -1"),
        (FOUND, float("nan"), "first_stage must be a weight of at least 0, got nan"),
        ("12", 0.0, "documents must be a list of strings"),
    ],
)
def test_what_cannot_be_ranked(documents: Sequence[object], weight: float, message: str) -> None:
    with pytest.raises(InputError, match=message):
        RERANKER.rank("q", documents, first_stage=weight)  # type: ignore[call-overload]
