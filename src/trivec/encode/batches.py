"""Batches by token budget: texts of like length together, padded size bounded."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trivec.types import IntArray


def plan_batches(lengths: Sequence[int], max_tokens: int, max_texts: int = 256) -> list[IntArray]:
    """Group texts so that rows x longest row of each batch is at most ``max_tokens``.

    Texts are taken longest first, which keeps padding small and puts the batch most likely to exhaust memory
    at the start. A text longer than the budget gets a batch of its own. The plan depends on lengths alone.

    Returns:
        Index arrays that together hold each text exactly once.
    """
    order = np.argsort(-np.asarray(lengths, np.int64), kind="stable")
    batches: list[IntArray] = []
    start = 0
    while start < len(order):
        longest = max(1, int(lengths[order[start]]))
        size = max(1, min(max_texts, max_tokens // longest))
        batches.append(order[start : start + size])
        start += size
    return batches
