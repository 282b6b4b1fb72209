"""Weighted sum of raw scores, the hybrid of M3-Embedding (Chen et al. 2024, 2402.03216): sum over s of w_s x_s.

A missing score counts 0. Use it when the signals have comparable scales, as the three heads of one trained M3 model
have; it is the only rule whose score of a document does not depend on the other candidates.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from trivec.search.fusion.rule import check_weights, taking_part, without_missing
from trivec.types import FloatArray, Signal


@dataclass(frozen=True)
class WeightedSum:
    """score = sum of weight x score. The default weights are those of M3's equation (2)."""

    weights: Mapping[Signal, float] = field(default_factory=lambda: {"dense": 1.0, "sparse": 0.3, "multi": 1.0})

    def __post_init__(self) -> None:
        check_weights(self.weights)

    def contributions(self, signals: Mapping[Signal, FloatArray]) -> dict[Signal, FloatArray]:
        """See `Fusion.contributions`."""
        parts = taking_part(self.weights, signals)
        return {name: np.float32(weight) * without_missing(scores) for name, weight, scores in parts}
