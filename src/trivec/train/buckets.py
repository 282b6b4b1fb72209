"""Batch sizes by length: long texts in small batches, short ones in large.

A bucket holds examples of lengths from its own bound up to the next; all batches of a bucket have one size. Sizes
come from the paper's table, from a budget of tokens, or from what fits into memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np

from trivec.errors import InputError
from trivec.types import IntArray

Stage: TypeAlias = Literal["unsupervised", "fine-tuning"]

_BOUNDS = (0, 500, 1000, 2000, 3000, 4000, 5000, 6000, 7000)
_PAPER_SIZES: dict[Stage, tuple[int, ...]] = {
    "unsupervised": (700, 570, 388, 288, 224, 180, 157, 128, 104),
    "fine-tuning": (48, 32, 20, 18, 14, 14, 12, 10, 8),
}
"""Table 9 of M3-Embedding over the number of its devices: queries for each, of 80 GB."""


@dataclass(frozen=True)
class BucketOptions:
    """Buckets and the size of their batches.

    Attributes:
        bounds: the shortest length of each bucket in tokens, ascending from 0; the last bucket has no end.
        batch_sizes: queries a batch and device, for each bucket.
    """

    bounds: tuple[int, ...] = _BOUNDS
    batch_sizes: tuple[int, ...] = _PAPER_SIZES["fine-tuning"]

    def __post_init__(self) -> None:
        if not self.bounds or self.bounds[0] != 0 or list(self.bounds) != sorted(set(self.bounds)):
            raise InputError(f"bucket bounds are {self.bounds}: give ascending lengths that begin with 0")
        if len(self.batch_sizes) != len(self.bounds) or min(self.batch_sizes) < 1:
            raise InputError(
                f"{len(self.bounds)} buckets have the batch sizes {self.batch_sizes}: give one of at least 1 for each"
            )

    @classmethod
    def paper(cls, stage: Stage = "fine-tuning", scale: float = 1.0) -> BucketOptions:
        """The sizes of M3-Embedding (Chen et al. 2024, 2402.03216), table 9, for one of its devices of 80 GB.

        Args:
            stage: "unsupervised" takes one passage a query, "fine-tuning" eight.
            scale: multiplies all sizes, which never fall under 1.
        """
        if stage not in get_args(Stage):
            raise InputError(f"unknown stage {stage!r}: choose one of {', '.join(get_args(Stage))}")
        if not scale > 0:
            raise InputError(f"the scale of batch sizes is {scale}: give a number above 0")
        return cls(_BOUNDS, tuple(max(1, round(size * scale)) for size in _PAPER_SIZES[stage]))

    @classmethod
    def fixed(cls, batch_size: int) -> BucketOptions:
        """One bucket: batches of one size, whatever the lengths."""
        return cls((0,), (batch_size,))

    @classmethod
    def token_budget(
        cls, max_tokens: int, longest: int, bounds: Sequence[int] = _BOUNDS, largest: int = 1024
    ) -> BucketOptions:
        """As many queries as keep size x longest example of the bucket within a budget, at least 1.

        Args:
            max_tokens: of one text a query; with groups of G passages a batch has about G times as many.
            longest: tokens of the longest example, which ends the last bucket.
            bounds: of the buckets; those above ``longest`` are left out.
            largest: batch size.
        """
        if max_tokens < 1 or longest < 1:
            raise InputError(f"a budget of {max_tokens} tokens for lengths up to {longest}: give at least 1 of each")
        kept = tuple(bound for bound in bounds if bound < longest) or (0,)
        ends = [*(bound - 1 for bound in kept[1:]), longest]
        return cls(kept, tuple(max(1, min(largest, max_tokens // end)) for end in ends))

    def in_words(self) -> str:
        """Sizes and where they end: ``32 of up to 499 tokens, 8 of more``."""
        ends = zip(self.batch_sizes[:-1], self.bounds[1:], strict=True)
        sizes = [f"{size} of up to {bound - 1} tokens" for size, bound in ends]
        return ", ".join([*sizes, f"{self.batch_sizes[-1]} of {'more' if sizes else 'any length'}"])

    def buckets_of(self, lengths: IntArray) -> IntArray:
        """The number of the bucket that each length belongs to."""
        return np.searchsorted(np.asarray(self.bounds[1:], np.int64), lengths, side="right").astype(np.int64)


def fit_batch_sizes(
    measure: Callable[[int, int], float],
    limit: float,
    longest: int,
    bounds: Sequence[int] = _BOUNDS,
    largest: int = 1024,
) -> BucketOptions:
    """The largest batch sizes whose memory stays within a limit, found by trying.

    Args:
        measure: (queries, tokens of each text) to the peak memory of a training step in GB; a ``MemoryError``, or
            torch's error for a full device, counts as too much. It should not fall as either of them grows.
        limit: in GB.
        longest: tokens of the longest example.
        bounds: of the buckets; those above ``longest`` are left out.
        largest: batch size that is tried.

    Raises:
        InputError: not even one query of the longest example fits.
    """
    kept = tuple(bound for bound in bounds if bound < longest) or (0,)
    ends = [*(bound - 1 for bound in kept[1:]), longest]
    sizes: list[int] = []
    for length in reversed(ends):  # what fits a longer text fits a shorter one
        size = _largest_fitting(measure, limit, length, sizes[-1] if sizes else 0, largest)
        if size == 0:
            raise InputError(
                f"one query of {length} tokens takes more than {limit:g} GB: raise fit_memory, or lower passage_length "
                "or group_size"
            )
        sizes.append(size)
    return BucketOptions(kept, tuple(reversed(sizes)))


def _largest_fitting(
    measure: Callable[[int, int], float], limit: float, length: int, fitting: int, largest: int
) -> int:
    """Doubling until it fails, then halving the gap; ``fitting`` is known to fit."""
    step = max(1, fitting)
    while fitting + step <= largest and _fits(measure, limit, fitting + step, length):
        fitting += step
        step *= 2
    too_large = min(fitting + step, largest + 1)
    while too_large - fitting > 1:
        middle = (fitting + too_large) // 2
        if _fits(measure, limit, middle, length):
            fitting = middle
        else:
            too_large = middle
    return fitting


def _fits(measure: Callable[[int, int], float], limit: float, size: int, length: int) -> bool:
    import torch

    try:
        return measure(size, length) <= limit
    except (MemoryError, torch.OutOfMemoryError):
        return False
