"""What a fusion rule is: it turns the signals of a set of candidates into additive contributions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from trivec.errors import InputError
from trivec.types import SIGNALS, FloatArray, Signal


class Fusion(Protocol):
    """Gives each signal's contribution to each candidate's score; the score is their sum.

    ``signals`` holds, for each signal, one score per candidate; NaN says that the signal has none for it.
    """

    @property
    def weights(self) -> Mapping[Signal, float]:
        """How much each signal counts. A signal that is not named, or weighs 0, takes no part."""
        ...

    def contributions(self, signals: Mapping[Signal, FloatArray]) -> dict[Signal, FloatArray]:
        """Contributions, shape (candidates,) each, for the signals that take part."""
        ...


def equal_weights() -> dict[Signal, float]:
    """1 for every signal: the weights of rules that make the signals comparable by themselves."""
    return dict.fromkeys(SIGNALS, 1.0)


def check_weights(weights: Mapping[Signal, float]) -> None:
    """Refuse weights that name no signal, are negative or not finite, or are all 0.

    Raises:
        InputError: naming the weight.
    """
    for name, weight in weights.items():
        if name not in SIGNALS:
            raise InputError(f"there is no signal {name!r} to weigh: the signals are {', '.join(SIGNALS)}")
        if not np.isfinite(weight) or weight < 0:
            raise InputError(f"the weight of {name} must be 0 or more, got {weight}")
    if not any(weights.values()):
        raise InputError(f"all weights are 0 in {dict(weights)}: give at least one signal a weight")


def taking_part(
    weights: Mapping[Signal, float], signals: Mapping[Signal, FloatArray]
) -> list[tuple[Signal, float, FloatArray]]:
    """Name, weight and scores of the signals that are there and have a weight."""
    return [(name, weights[name], scores) for name, scores in signals.items() if weights.get(name)]


def without_missing(scores: FloatArray) -> FloatArray:
    """Scores with 0 where one is missing; `numpy.nan_to_num` does the same, but takes several times as long."""
    return np.where(np.isnan(scores), np.float32(0), scores)
