"""Whether a difference between two systems is more than chance, over the same queries.

The p value is of a paired randomisation test: if the systems were alike, each query's difference could as well have
the other sign (Smucker, Allan, Carterette 2007). The interval is a percentile bootstrap over queries. The p values of
several comparisons are corrected by Holm's method. All of it is seeded, so that it comes out the same each time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trivec.errors import InputError

SAMPLES = 10_000
_BLOCK = 1 << 24
"""Random numbers drawn at once."""


@dataclass(frozen=True)
class Difference:
    """Of two systems, over n queries.

    Attributes:
        mean: of the second minus the first.
        interval: that the mean lies in with 95 % of bootstrap samples.
        p: two-sided.
    """

    mean: float
    interval: tuple[float, float]
    p: float


def difference(first: NDArray[np.float64], second: NDArray[np.float64], seed: int = 0) -> Difference:
    """How much better the second system is, query by query.

    Args:
        first: (n,) values.
        second: (n,) values of the same queries.
        seed: of the random samples.

    Raises:
        InputError: they have different lengths, or none.
    """
    if len(first) != len(second) or not len(first):
        raise InputError(f"{len(first)} and {len(second)} values cannot be compared: give one of each query")
    differences = np.asarray(second, np.float64) - np.asarray(first, np.float64)
    return Difference(
        float(differences.mean()), bootstrap_interval(differences, seed), randomisation_p(differences, seed)
    )


def randomisation_p(differences: NDArray[np.float64], seed: int = 0, samples: int = SAMPLES) -> float:
    """How often random signs give a mean as far from 0, the signs that were seen counted as one sample.

    Args:
        differences: (n,) by query.
        seed: of the signs.
        samples: drawn; the smallest p is 1 / (samples + 1).
    """
    rng = np.random.default_rng(seed)
    moving = differences[differences != 0]
    if not len(moving):
        return 1.0
    seen = abs(moving.sum())
    slack = 1e-12 * np.abs(moving).sum()
    as_far = 0
    for rows in _blocks(samples, len(moving)):
        signs = rng.integers(0, 2, (rows, len(moving)), np.int8) * 2.0 - 1
        as_far += int(np.count_nonzero(np.abs(signs @ moving) >= seen - slack))
    return (1 + as_far) / (1 + samples)


def bootstrap_interval(
    differences: NDArray[np.float64], seed: int = 0, samples: int = SAMPLES, share: float = 0.95
) -> tuple[float, float]:
    """The middle share of the means of resampled queries.

    Args:
        differences: (n,) by query.
        seed: of the samples.
        samples: drawn.
        share: of the means that lie inside.
    """
    rng = np.random.default_rng(seed)
    means = np.concatenate(
        [
            differences[rng.integers(0, len(differences), (rows, len(differences)))].mean(axis=1)
            for rows in _blocks(samples, len(differences))
        ]
    )
    low, high = np.quantile(means, [(1 - share) / 2, (1 + share) / 2])
    return float(low), float(high)


def holm(p_values: Sequence[float]) -> list[float]:
    """P values corrected for their number (Holm 1979): the chance of even one false alarm stays at the level.

    Args:
        p_values: of the comparisons made together.
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


def _blocks(samples: int, width: int) -> Iterator[int]:
    """Numbers of rows that add up to ``samples``, so few at once that memory stays bounded."""
    rows = max(1, _BLOCK // max(1, width))
    for start in range(0, samples, rows):
        yield min(rows, samples - start)
