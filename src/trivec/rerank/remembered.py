"""What a decoder remembers of a query: keys and values of its tokens in every layer, computed once.

A causal model reads the tokens of a query before anything else, so their states are the same whatever document
follows. Rows are padded on the right, where no real token looks; so every row begins at the same place, and models need
neither a mask nor positions from us.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from trivec.encode.pipeline import pad
from trivec.rerank.prompts import PromptRow

_REPEATABLE = (DynamicLayer, DynamicSlidingWindowLayer)
"""Kinds of memory that can be handed to several rows; that of recurrent models cannot."""


class Remembered:
    """Keys and values of one query.

    Args:
        cache: filled by a model that has read the query, and by nothing else.
        length: tokens of the query.
    """

    def __init__(self, cache: DynamicCache, length: int) -> None:
        self._cache = cache
        self.length = length

    def copies(self, count: int) -> DynamicCache:
        """The same for a batch of rows, which may add to it."""
        cache = copy.deepcopy(self._cache)
        cache.batch_repeat_interleave(count)
        return cache


def remembered(cache: DynamicCache, length: int) -> Remembered | None:
    """What a model put into a cache, or None if it cannot be used again."""
    if not cache.layers or any(type(layer) not in _REPEATABLE for layer in cache.layers):
        return None
    return Remembered(cache, length) if cache.get_seq_length() == length else None


def padded(
    rows: Sequence[PromptRow], known: Remembered | None, device: torch.device
) -> tuple[torch.Tensor, torch.Tensor, Any]:
    """Ids (B, L) of rows behind what is known of their query, place (B,) of each row's last token, and the cache."""
    parts = [row.ids if known is None else row.rest for row in rows]
    ids_BL, _ = pad(parts, 0)
    last_B = torch.from_numpy(np.asarray([len(part) - 1 for part in parts]))
    cache = None if known is None else known.copies(len(rows))
    return torch.from_numpy(ids_BL).to(device), last_B.to(device), cache


def at(states_BLX: torch.Tensor, places_B: torch.Tensor) -> torch.Tensor:
    """One place of every row, (B, X)."""
    return states_BLX[torch.arange(len(places_B), device=places_B.device), places_B]
