"""The second stage of a search: a reranker reads the best passages of the first, and puts them in its order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trivec.rerank.reranker import Reranker
from trivec.search.retrieval import RankedPassage


@dataclass(frozen=True)
class Reranking:
    """What a reranker thought of a passage.

    Attributes:
        model: the reranker.
        score: its logit.
        probability: see `trivec.rerank.reranker.Reranker.probabilities`.
        first_rank: the passage's rank before, from 1.
        first_score: its score before.
    """

    model: str
    score: float
    probability: float
    first_rank: int
    first_score: float


@dataclass(frozen=True)
class RerankedPassage:
    """A passage in its place.

    Attributes:
        found: how the first stage found it.
        reranking: what the reranker thought of it; None if there is none.
        score: what it is ranked by now.
    """

    found: RankedPassage
    reranking: Reranking | None
    score: float


def rerank(
    reranker: Reranker, query: str, found: Sequence[RankedPassage], contents: Sequence[str], first_stage: float = 0.0
) -> list[RerankedPassage]:
    """Passages in their new order; equal ones stay in the old one.

    Args:
        reranker: reads every passage with the query.
        query: what was asked.
        found: passages, best first.
        contents: their texts with titles.
        first_stage: weight of the first stage's scores beside the logits, both as standard scores over these passages;
            0 ranks by the logits alone.
    """
    logits = reranker.score(query, contents)
    probabilities = reranker.probabilities(logits)
    totals = np.asarray(logits, np.float64)
    if first_stage:
        before = np.asarray([passage.score for passage in found], np.float64)
        totals = _standard(totals) + first_stage * _standard(before)
    order = np.argsort(-totals, kind="stable").tolist()
    return [
        RerankedPassage(
            found[place],
            Reranking(reranker.name, float(logits[place]), float(probabilities[place]), place + 1, found[place].score),
            float(totals[place]),
        )
        for place in order
    ]


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = float(values.std()) if len(values) else 0.0
    return (values - values.mean()) / spread if spread else np.zeros_like(values)
