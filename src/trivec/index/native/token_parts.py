"""The multi-vectors of a segment, in one file or in several that other segments wrote.

A merge does not write those token vectors again that are many already: the new segment takes over their files
(`trivec.index.native.token_merging`). In a segment's own file there are then no tensors of token vectors but
``multi.rows``, the passages in each of the files ``tokens-00.safetensors``, ``tokens-01...``.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trivec.index.native.shared_work import SharedWork
from trivec.index.native.token_maxsim import row_blocks
from trivec.index.native.token_part import MEMORY, TokenPart, check_rows
from trivec.ragged import Ragged
from trivec.tensorfile import memory_map
from trivec.types import FloatArray, IntArray

PREFIX = "multi"
ROWS = "multi.rows"
"""The tensor that stands in the segment's own file where the vectors lie in others."""

_PIECES, _PIECE_BYTES, _FOR_TWO = min(8, os.cpu_count() or 1), 1 << 19, 1 << 23
"""Threads share a request in about so many pieces of at least so many bytes of codes, if these times the query vectors
come to more than the last number: about half a millisecond."""


def token_file(number: int) -> str:
    """The name of a segment's file of token vectors."""
    return f"tokens-{number:02d}.safetensors"


class TokenParts:
    """Passages numbered from 0, part after part. Safe to use from many threads.

    Attributes:
        parts: at least one.
        in_files: whether each part is a file of its own, rather than tensors among others.
    """

    def __init__(self, parts: Sequence[TokenPart], in_files: bool = False) -> None:
        self.parts = tuple(parts)
        self.in_files = in_files
        self._starts = np.cumsum([0, *map(len, self.parts)])

    @classmethod
    def open(cls, folder: Path, arrays: Mapping[str, NDArray[np.generic]]) -> TokenParts:
        """The token vectors of a segment in a folder; ``arrays`` are the tensors of its own file.

        Raises:
            CorruptModelError: a file is not whole.
            LibraryError: tensors do not fit together.
            ValueError: the files hold other passages than they should.
        """
        if ROWS not in arrays:
            return cls([TokenPart(arrays, PREFIX)])
        rows: list[int] = arrays[ROWS].tolist()
        share = MEMORY // max(1, len(rows))
        parts = [TokenPart(memory_map(folder / token_file(number)), PREFIX, share) for number in range(len(rows))]
        if not parts or [len(part) for part in parts] != rows or len({part.width for part in parts}) > 1:
            raise ValueError(f"its files of token vectors hold {[len(part) for part in parts]} passages, not {rows}")
        return cls(parts, in_files=True)

    def __len__(self) -> int:
        return int(self._starts[-1])

    def split(self, rows: IntArray) -> list[tuple[int, IntArray]]:
        """Ascending rows: the numbers of the parts that hold them, each with its own rows."""
        bounds = np.searchsorted(rows, self._starts).tolist()
        stretches = enumerate(itertools.pairwise(bounds))
        return [(part, rows[first:last] - self._starts[part]) for part, (first, last) in stretches if first < last]

    def vectors(self, rows: IntArray) -> Ragged:
        """The vectors of some passages, in the order given, as their codes tell them.

        Raises:
            InputError: there is no such row.
        """
        if len(self.parts) == 1 or not len(rows):
            return self.parts[0].vectors(rows)
        order, ascending = _sorted(check_rows(rows, len(self)))
        found = Ragged.concatenate(self.parts[part].vectors(own) for part, own in self.split(ascending))
        return found.select(_inverse(order))

    def maxsim(self, query: FloatArray, rows: IntArray | None = None) -> FloatArray:
        """`TokenPart.maxsim` over all parts, by several threads where that is worth it.

        Args:
            query: (q, c).
            rows: passages to score, in any order; None for all.

        Raises:
            InputError: the query has another width, or there is no such row.
            LibraryError: codes name centroids that are not there.
        """
        rows = np.arange(len(self)) if rows is None else check_rows(rows, len(self))
        if len(self.parts) == 1 or not len(rows):
            return self._in_pieces(query, [(0, rows)])
        order, ascending = _sorted(rows)
        return self._in_pieces(query, self.split(ascending))[_inverse(order)]

    def _in_pieces(self, query: FloatArray, split: Sequence[tuple[int, IntArray]]) -> FloatArray:
        """Scores of rows in the order in which they lie."""
        sizes = [self.parts[part].sizes(rows) for part, rows in split]
        total = sum(int(own.sum()) for own in sizes)
        calls = [
            partial(self.parts[part].maxsim, query, rows[piece])
            for (part, rows), own in zip(split, sizes, strict=True)
            for piece in row_blocks(own, max(_PIECE_BYTES, total // _PIECES)) or [slice(0, 0)]
        ]
        if len(calls) > 1 and len(query) * total >= _FOR_TWO:
            return np.concatenate(SharedWork(calls).results())
        return np.concatenate([call() for call in calls])


def _sorted(rows: IntArray) -> tuple[IntArray, IntArray]:
    order = np.argsort(rows, kind="stable")
    return order, rows[order]


def _inverse(order: IntArray) -> IntArray:
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    return places
