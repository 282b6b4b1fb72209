"""Weights rounded to bytes, of which no sum of two products overflows, with errors that cancel each other.

**Neighbours share a range.** Processors without VNNI add the products of two neighbouring inputs, 0..255 each, in 16
bits with saturation. Neighbours V_2i and V_2i+1 of one sign may therefore reach 128 together: 255 * 128 < 2^15. Large
weights are rare and seldom side by side, so this leaves nearly the whole of eight bits, where a limit of 64 for each
weight would take one bit away.

**Errors cancel.** Inputs of a layer go together, so the error that rounding makes at one weight can be made up for at
others. Weights are rounded one input after the other, the strongest first; what each errs is subtracted from those
that are still to come, as much as lessens E|(W - V c) x|^2 (GPTQ, Frantar et al. 2022, arXiv 2210.17323). The
calibration texts are few, so the moments E[x x^T] are drawn towards a multiple of the identity, more than is usual.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trivec.types import FloatArray

TOP, PAIR_TOP = 127, 128
"""The largest level, and the largest sum of two neighbours of one sign."""
DAMPING = 0.3
"""What is added to the moments' diagonal, as a share of its mean."""
_BLOCK = 64
"""Inputs whose errors are passed on together."""


@dataclass(frozen=True, eq=False)
class Compensation:
    """How the error at one input is made up for at others.

    Attributes:
        order: the inputs in the order of rounding, (K,).
        upper: U with U^T U the inverse of the damped moments in this order, upper triangular, (K, K).
    """

    order: NDArray[np.intp]
    upper: FloatArray

    @classmethod
    def of(cls, moments: FloatArray) -> Compensation:
        """That for inputs with moments sum x x^T, (K, K)."""
        order = np.argsort(-moments.diagonal(), kind="stable")
        damped = moments[np.ix_(order, order)].astype(np.float64)
        damped[np.diag_indices_from(damped)] += DAMPING * damped.diagonal().mean() + 1e-12
        return cls(order, np.asarray(np.linalg.cholesky(np.linalg.inv(damped)).T, np.float32))


def weight_steps(weight: FloatArray) -> FloatArray:
    """Steps c (N,) of a weight (N, K): the least with which its levels keep within both limits."""
    paired = np.pad(weight, ((0, 0), (0, weight.shape[1] % 2))).reshape(len(weight), -1, 2)
    sums = np.maximum(np.maximum(paired, 0).sum(axis=2), np.maximum(-paired, 0).sum(axis=2)).max(axis=1)
    steps = np.maximum(sums / PAIR_TOP, np.abs(weight).max(axis=1) / TOP)
    steps[steps == 0] = 1
    return np.asarray(steps, np.float32)


def round_weight(weight: FloatArray, compensation: Compensation) -> tuple[NDArray[np.int8], FloatArray]:
    """Levels V (N, K) and steps c (N,) of a weight (N, K): W is about c V."""
    steps = weight_steps(weight)
    order, upper = compensation.order, compensation.upper
    left = np.ascontiguousarray((weight / steps[:, None]).T[order])
    width = len(order)
    levels = np.zeros((width + 1, len(weight)), np.float32)
    for start in range(0, width, _BLOCK):
        stop = min(start + _BLOCK, width)
        errors = np.empty((stop - start, len(weight)), np.float32)
        for place in range(start, stop):
            column = order[place]
            levels[column] = _nearest(left[place], levels[column ^ 1])
            errors[place - start] = (left[place] - levels[column]) / upper[place, place]
            left[place + 1 : stop] -= upper[place, place + 1 : stop, None] * errors[place - start]
        left[stop:] -= upper[start:stop, stop:].T @ errors
    return levels[:width].T.astype(np.int8), steps


def _nearest(values: FloatArray, neighbours: FloatArray) -> FloatArray:
    """The nearest levels that their neighbours, rounded before or still zero, leave room for."""
    least = np.maximum(-TOP, -PAIR_TOP - np.minimum(neighbours, 0))
    most = np.minimum(TOP, PAIR_TOP - np.maximum(neighbours, 0))
    return np.asarray(np.clip(np.rint(values), least, most), np.float32)
