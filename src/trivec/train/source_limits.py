"""A bound on what one source gives to an epoch, so that large ones do not drown the small.

Each epoch draws other examples. How many it draws of each length does not change, so all epochs have equally many
batches.
"""

from __future__ import annotations

import numpy as np

from trivec.types import IntArray


def drawn_rows(sources: IntArray, buckets: IntArray, most: int, rng: np.random.Generator) -> IntArray:
    """Rows of an epoch, ascending: all of a source that has at most ``most``, else so many, by buckets in proportion.

    Args:
        sources: (n,), a number for each example.
        buckets: (n,), its bucket of length.
        most: examples of one source; 0 sets no bound.
        rng: draws.
    """
    if not most:
        return np.arange(len(sources))
    chosen = []
    for source in np.unique(sources).tolist():
        rows = np.flatnonzero(sources == source)
        if len(rows) <= most:
            chosen.append(rows)
            continue
        found, counts = np.unique(buckets[rows], return_counts=True)
        for bucket, share in zip(found.tolist(), _shares(counts, most).tolist(), strict=True):
            chosen.append(rng.choice(rows[buckets[rows] == bucket], share, replace=False))
    return np.sort(np.concatenate(chosen)) if chosen else np.zeros(0, np.int64)


def _shares(counts: IntArray, total: int) -> IntArray:
    """``total`` in proportion to counts, by largest remainder."""
    exact = counts * total / counts.sum()
    shares: IntArray = np.floor(exact).astype(np.int64)
    shares[np.argsort(shares - exact, kind="stable")[: total - int(shares.sum())]] += 1
    return shares
