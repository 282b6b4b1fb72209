"""Weighted sum of standard scores: sum over s of w_s (x_s - mean_s) / deviation_s over the candidates.

Signals of any scale become comparable, and differences in score still count. A missing score is as low as the
lowest one present; a signal that is the same for all candidates contributes 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from trivec.search.fusion.rule import check_weights, equal_weights, taking_part
from trivec.types import FloatArray, Signal


@dataclass(frozen=True)
class ZScore:
    """score = sum of weight x standard score among the candidates."""

    weights: Mapping[Signal, float] = field(default_factory=equal_weights)

    def __post_init__(self) -> None:
        check_weights(self.weights)

    def contributions(self, signals: Mapping[Signal, FloatArray]) -> dict[Signal, FloatArray]:
        """See `Fusion.contributions`."""
        parts = taking_part(self.weights, signals)
        return {name: np.float32(weight) * _standard(scores) for name, weight, scores in parts}


def _standard(scores: FloatArray) -> FloatArray:
    present = scores[~np.isnan(scores)].astype(np.float64)
    deviation = present.std() if len(present) else 0.0
    if deviation <= 1e-9 * max(1.0, float(np.abs(present).max(initial=0.0))):
        return np.zeros(len(scores), np.float32)
    filled = np.where(np.isnan(scores), present.min(), scores)
    return np.asarray((filled - present.mean()) / deviation, np.float32)
