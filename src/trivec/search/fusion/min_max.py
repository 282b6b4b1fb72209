"""Weighted sum of scores scaled to [0, 1]: sum over s of w_s (x_s - min_s) / (max_s - min_s) over the candidates.

A missing score counts 0, as the lowest does; a signal that is the same for all candidates contributes 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from trivec.search.fusion.rule import check_weights, equal_weights, taking_part
from trivec.types import FloatArray, Signal


@dataclass(frozen=True)
class MinMax:
    """score = sum of weight x share of the way from the lowest to the highest candidate."""

    weights: Mapping[Signal, float] = field(default_factory=equal_weights)

    def __post_init__(self) -> None:
        check_weights(self.weights)

    def contributions(self, signals: Mapping[Signal, FloatArray]) -> dict[Signal, FloatArray]:
        """See `Fusion.contributions`."""
        parts = taking_part(self.weights, signals)
        return {name: np.float32(weight) * _scaled(scores) for name, weight, scores in parts}


def _scaled(scores: FloatArray) -> FloatArray:
    if np.isnan(scores).all():
        return np.zeros(len(scores), np.float32)
    low, high = np.nanmin(scores), np.nanmax(scores)
    if high == low:
        return np.zeros(len(scores), np.float32)
    return np.asarray(np.nan_to_num((scores - low) / (high - low), nan=0.0), np.float32)
