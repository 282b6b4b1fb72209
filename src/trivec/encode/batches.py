"""Batches by token budget: texts of like length together, padded size bounded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trivec.types import IntArray


def plan_batches(lengths: Sequence[int], max_tokens: int, max_texts: int = 256) -> list[IntArray]:
    """Group texts so that rows x longest row of each batch is at most ``max_tokens``.

    Texts are taken longest first, which keeps padding small and puts the batch most likely to exhaust memory
    at the start. A text longer than the budget gets a batch of its own. The plan depends on lengths alone.

    A batch that holds half of its budget takes only more texts of exactly its length: it gains little by growing, and
    attention over a batch without padding needs no mask, which makes it faster and, for long texts, much smaller.

    Returns:
        Index arrays that together hold each text exactly once.
    """
    order = np.argsort(-np.asarray(lengths, np.int64), kind="stable")
    batches: list[IntArray] = []
    start = 0
    while start < len(order):
        longest = max(1, int(lengths[order[start]]))
        size = max(1, min(max_texts, max_tokens // longest))
        padded = min(size, -(-max_tokens // (2 * longest)))
        alike = _alike(lengths, order[start : start + size])
        end = start + max(padded, alike)
        batches.append(order[start:end])
        start = end
    return batches


def _alike(lengths: Sequence[int], rows: IntArray) -> int:
    """How many of the first rows are as long as the very first."""
    longest = lengths[rows[0]]
    return next((place for place, row in enumerate(rows) if lengths[row] != longest), len(rows))
