"""How much of the true best an approximate dense search finds, measured on some queries."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from trivec.data.mining.index import MiningIndex, names_of, number_of
from trivec.embeddings import Embeddings
from trivec.index.ranking import contenders
from trivec.types import IntArray

_BLOCK = 8192


def dense_recall(index: MiningIndex, queries: Iterable[Embeddings], k: int) -> float:
    """The mean share of the exact best k that the store's dense search finds; 1.0 without queries."""
    shares = [_share(index, query, k) for query in queries]
    return float(np.mean(shares)) if shares else 1.0


def _share(index: MiningIndex, query: Embeddings, k: int) -> float:
    found = {number_of(name) for name in index.store.search("dense", query, k).ids}
    exact = _exact(index, query, k)
    return len(found.intersection(exact.tolist())) / len(exact)


def _exact(index: MiningIndex, query: Embeddings, k: int) -> IntArray:
    """Numbers of the best k by score, and of what equals the last; blocks keep memory small."""
    numbers = np.zeros(0, np.int64)
    scores = np.zeros(0, np.float32)
    for start in range(0, len(index.catalogue), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(index.catalogue)))
        numbers = np.concatenate([numbers, block])
        scores = np.concatenate([scores, index.store.score("dense", query, names_of(block.tolist()))])
        best = contenders(scores, k)
        numbers, scores = numbers[best], scores[best]
    return numbers[np.argsort(-scores, kind="stable")][:k]
