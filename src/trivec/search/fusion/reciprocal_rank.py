"""Reciprocal rank fusion (Cormack, Clarke, Büttcher 2009): sum over s of w_s / (k + rank_s).

Only ranks count, so no scale has to be known; differences in score are lost with them. Equal scores share the
better rank, and a missing score contributes 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from trivec.errors import InputError
from trivec.search.fusion.rule import check_weights, equal_weights, taking_part
from trivec.types import FloatArray, Signal


@dataclass(frozen=True)
class ReciprocalRank:
    """score = sum of weight / (k + rank), ranks from 1."""

    weights: Mapping[Signal, float] = field(default_factory=equal_weights)
    k: float = 60.0

    def __post_init__(self) -> None:
        check_weights(self.weights)
        if not self.k >= 0:  # NaN neither
            raise InputError(f"k of reciprocal rank fusion must be 0 or more, got {self.k}")

    def contributions(self, signals: Mapping[Signal, FloatArray]) -> dict[Signal, FloatArray]:
        """See `Fusion.contributions`."""
        parts = taking_part(self.weights, signals)
        return {name: np.float32(weight) * self._shares(scores) for name, weight, scores in parts}

    def _shares(self, scores: FloatArray) -> FloatArray:
        present = ~np.isnan(scores)
        descending = np.sort(-scores[present])
        ranks = 1 + np.searchsorted(descending, -scores[present], side="left")
        shares = np.zeros(len(scores), np.float32)
        shares[present] = 1.0 / (self.k + ranks)
        return shares
