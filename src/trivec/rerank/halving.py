"""Batches that do not fit a GPU are read in halves. No other error is met that way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TypeVar

import numpy as np
import torch

from trivec.rerank.prompts import PromptRow
from trivec.rerank.remembered import Remembered
from trivec.types import FloatArray

Reader = TypeVar("Reader")
Read = Callable[[Reader, Sequence[PromptRow], Remembered | None], FloatArray]


def halving(read: Read[Reader]) -> Callable[..., FloatArray]:
    """A reader's ``read`` that halves its rows when memory is exhausted, down to single ones."""

    @wraps(read)
    def read_in_parts(self: Reader, rows: Sequence[PromptRow], remembered: Remembered | None = None) -> FloatArray:
        try:
            return read(self, rows, remembered)
        except torch.OutOfMemoryError:
            if len(rows) == 1:
                raise
        # behind the handler, where the error no longer keeps the batch's tensors
        middle = len(rows) // 2
        return np.concatenate([read_in_parts(self, part, remembered) for part in (rows[:middle], rows[middle:])])

    return read_in_parts
