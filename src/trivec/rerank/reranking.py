"""Results of a search in the order of a reranker, which keep what the first stage knew of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, Self, TypeVar

import numpy as np

from trivec.rerank.mixing import mixed_scores
from trivec.types import FloatArray


@dataclass(frozen=True)
class Reranking:
    """What a reranker thought of a result.

    Attributes:
        model: the reranker.
        score: its logit.
        probability: see `trivec.rerank.reranker.Reranker.probabilities`.
        first_rank: where the first stage had it, from 1.
        first_score: its score there.
    """

    model: str
    score: float
    probability: float
    first_rank: int
    first_score: float


class Found(Protocol):
    """A result of a search: `trivec.Hit` is one."""

    @property
    def rank(self) -> int:
        """From 1."""
        ...

    @property
    def score(self) -> float:
        """What it is ranked by."""
        ...

    @property
    def content(self) -> str:
        """What a reranker reads."""
        ...

    @property
    def reranking(self) -> Reranking | None:
        """What an earlier reranker thought of it."""
        ...

    def moved(self, rank: int, score: float, reranking: Reranking) -> Self:
        """The same in another place."""
        ...


AnyFound = TypeVar("AnyFound", bound=Found)


def reranked(
    found: Sequence[AnyFound], model: str, logits: FloatArray, probabilities: FloatArray, first_stage: float
) -> list[AnyFound]:
    """Results in their new order; equal ones stay in the old one.

    Of results that were reranked before, the scores of the first stage count, not those of the other reranker.

    Args:
        found: results for one query, best first.
        model: the reranker's name.
        logits: (n,) of each.
        probabilities: (n,) of each.
        first_stage: weight of the first stage's scores, see `trivec.rerank.mixing.mixed_scores`.
    """
    before = [(one.rank, one.score) if one.reranking is None else _first(one.reranking) for one in found]
    totals = mixed_scores(logits, np.asarray([score for _, score in before]), first_stage)
    thoughts = [
        Reranking(model, logit, probability, *first)
        for logit, probability, first in zip(logits.tolist(), probabilities.tolist(), before, strict=True)
    ]
    order = np.argsort(-totals, kind="stable").tolist()
    return [
        found[place].moved(rank, float(totals[place]), thoughts[place]) for rank, place in enumerate(order, start=1)
    ]


def _first(reranking: Reranking) -> tuple[int, float]:
    return reranking.first_rank, reranking.first_score
