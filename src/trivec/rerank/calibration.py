"""From logits to probabilities that mean what they say: of the pairs at 0.7, seven in ten are right.

Platt (1999): p = 1 / (1 + exp(-(a s + b))), with the smoothed targets of Lin, Lin and Weng (2007, Machine Learning 68),
so that a perfect order does not drive a to infinity. Isotonic (Zadrozny and Elkan 2002): the rising step function
nearest to the labels by squares, with straight lines between the middles of the steps; it takes more pairs, and no
particular shape.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from trivec.encode.checkpoints.plain import parse_json, unexpected
from trivec.errors import InputError
from trivec.tensorfile import write_json
from trivec.types import FloatArray

Method: TypeAlias = Literal["platt", "isotonic"]
Labels: TypeAlias = Sequence[bool] | NDArray[np.bool_]
FEWEST_PAIRS: Mapping[Method, int] = {"platt": 20, "isotonic": 200}
"""Right pairs, and as many wrong ones, that a method is fitted on at least."""
SURE = 1e-6
"""The nearest to 0 and 1 that a probability counts."""
_BINS = 10


@dataclass(frozen=True)
class Calibration:
    """A rising function from logits to probabilities.

    Attributes:
        method: how it was fitted.
        at: logits, ascending; for Platt the slope alone.
        values: probabilities at them; for Platt the intercept alone.
    """

    method: Method
    at: tuple[float, ...]
    values: tuple[float, ...]

    def __call__(self, scores: FloatArray) -> FloatArray:
        """Probabilities of logits of any shape; outside of all that was seen, those at the ends."""
        scores = np.asarray(scores, np.float64)
        if self.method == "platt":
            found = expit(self.at[0] * scores + self.values[0])
        else:
            found = np.interp(scores, self.at, self.values)
        return np.asarray(found, np.float32)

    @property
    def rises(self) -> bool:
        """Whether higher logits are more probable at all."""
        return self.at[0] > 0 if self.method == "platt" else self.values[-1] > self.values[0]

    def write(self, path: Path, evidence: Mapping[str, Any] | None = None) -> None:
        """Write it to a file, whole or not at all; with what is known of its quality, for people."""
        found = {"method": self.method, "at": list(self.at), "values": list(self.values)}
        write_json(path, found if evidence is None else {**found, "evidence": dict(evidence)})


def read_calibration(path: Path) -> Calibration:
    """That of a file.

    Raises:
        CorruptModelError: the file is damaged.
    """
    content = parse_json(path)
    try:
        assert isinstance(content, Mapping)
        method, at, values = content["method"], tuple(map(float, content["at"])), tuple(map(float, content["values"]))
        assert method in FEWEST_PAIRS and len(at) == len(values) > 0 and list(at) == sorted(at)
        return Calibration(method, at, values)
    except (AssertionError, KeyError, TypeError, ValueError) as error:
        raise unexpected(path, "holds no calibration") from error


def fit(scores: Sequence[float] | FloatArray, labels: Labels, method: Method = "platt") -> Calibration:
    """Fit to judged pairs, on none of which the model was trained.

    Args:
        scores: (n,) logits.
        labels: whether the document answers the query.
        method: ``platt`` or ``isotonic``.

    Raises:
        InputError: there are too few right or wrong pairs, or higher logits are no better.
    """
    logits, right = np.asarray(scores, np.float64), np.asarray(labels, bool)
    fewest = min(int(right.sum()), int((~right).sum()))
    if fewest < FEWEST_PAIRS[method]:
        raise InputError(
            f"{method} calibration needs {FEWEST_PAIRS[method]} right and as many wrong pairs at least, and has "
            f"{int(right.sum())} and {int((~right).sum())}: give more judgements"
        )
    found = _platt(logits, right) if method == "platt" else _isotonic(logits, right)
    if not found.rises:
        raise InputError("higher scores are no better on these pairs: check that the judgements fit the model")
    return found


def log_losses(probabilities: FloatArray, labels: Labels) -> NDArray[np.float64]:
    """(n,) minus the logarithm of what each pair's truth was held for; `SURE` bounds it.

    Args:
        probabilities: (n,).
        labels: whether each pair is right.
    """
    told = np.asarray(probabilities, np.float64).clip(SURE, 1 - SURE)
    return np.asarray(-np.log(np.where(np.asarray(labels, bool), told, 1 - told)), np.float64)


def brier_scores(probabilities: FloatArray, labels: Labels) -> NDArray[np.float64]:
    """(n,) squared distances of probabilities from the truth (Brier 1950); arguments as in `log_losses`."""
    distances = np.asarray(probabilities, np.float64) - np.asarray(labels, np.float64)
    return distances * distances


def calibration_error(probabilities: FloatArray, labels: Labels) -> float:
    """The expected calibration error: how far the mean probability of each tenth of the pairs lies from its truth.

    Args:
        probabilities: (n,).
        labels: whether each pair is right.
    """
    order = np.argsort(probabilities, kind="stable")
    told, true = np.asarray(probabilities, np.float64)[order], np.asarray(labels, np.float64)[order]
    parts = [
        part for part in zip(np.array_split(told, _BINS), np.array_split(true, _BINS), strict=True) if len(part[0])
    ]
    return float(sum(abs(own.mean() - truth.mean()) * len(own) for own, truth in parts) / len(told))


def _platt(logits: NDArray[np.float64], right: NDArray[np.bool_]) -> Calibration:
    from scipy.optimize import minimize  # slow to import, and no search needs it

    positives, negatives = right.sum(), (~right).sum()
    targets = np.where(right, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    scale = float(np.std(logits)) or 1.0  # the search is easier where numbers are near 1

    def loss(line: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margins = line[0] * logits / scale + line[1]
        told = np.logaddexp(0, margins) - targets * margins
        slope = expit(margins) - targets
        return float(told.mean()), np.array([(slope * logits / scale).mean(), slope.mean()])

    best = minimize(loss, np.array([1.0, 0.0]), jac=True, method="BFGS", options={"gtol": 1e-10}).x
    return Calibration("platt", (float(best[0] / scale),), (float(best[1]),))


def _isotonic(logits: NDArray[np.float64], right: NDArray[np.bool_]) -> Calibration:
    from scipy.optimize import isotonic_regression

    different, place = np.unique(logits, return_inverse=True)
    weights = np.bincount(place).astype(np.float64)
    means = np.bincount(place, weights=right.astype(np.float64)) / weights
    fitted = isotonic_regression(means, weights=weights)
    steps = zip(fitted.blocks[:-1], fitted.blocks[1:], strict=True)
    middles = [(float(np.average(different[a:b], weights=weights[a:b])), float(fitted.x[a])) for a, b in steps]
    at, values = zip(*middles, strict=True)
    return Calibration("isotonic", at, values)
