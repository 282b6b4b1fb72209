"""Ragged arrays: many matrices of one width and different heights, stored end to end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from trivec.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Ragged:
    """``n`` matrices of shape (L_i, c), as one (sum L, c) array and n + 1 offsets.

    No padding exists anywhere, so nothing computed from it can depend on padding.
    """

    values: FloatArray
    offsets: IntArray

    @classmethod
    def from_rows(cls, rows: Sequence[FloatArray], width: int | None = None) -> Ragged:
        """Stack matrices of shape (L_i, c). ``width`` is needed only when there are none."""
        if not rows:
            return cls(np.zeros((0, width or 0), np.float32), np.zeros(1, np.int64))
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(row) for row in rows], out=offsets[1:])
        return cls(np.concatenate(rows, axis=0).astype(np.float32, copy=False), offsets)

    @classmethod
    def concatenate(cls, parts: Iterable[Ragged]) -> Ragged:
        """Join ragged arrays of one width."""
        parts = list(parts)
        lengths = np.concatenate([part.lengths for part in parts])
        offsets = np.zeros(len(lengths) + 1, np.int64)
        np.cumsum(lengths, out=offsets[1:])
        return cls(np.concatenate([part.values for part in parts], axis=0), offsets)

    @property
    def width(self) -> int:
        """Columns of every matrix."""
        return int(self.values.shape[1])

    @property
    def lengths(self) -> IntArray:
        """Rows of each matrix, shape (n,)."""
        return np.diff(self.offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> FloatArray:
        """Matrix ``index`` as a view, shape (L, c)."""
        if not -len(self) <= index < len(self):
            raise IndexError(f"row {index} of a ragged array with {len(self)} rows")
        index %= len(self)
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    def __iter__(self) -> Iterator[FloatArray]:
        return (self[i] for i in range(len(self)))

    def select(self, rows: IntArray | slice) -> Ragged:
        """The named matrices, in the order given. A slice of consecutive rows copies no values."""
        if isinstance(rows, slice):
            start, stop, step = rows.indices(len(self))
            if step == 1:
                stop = max(start, stop)
                first, last = self.offsets[start], self.offsets[stop]
                return Ragged(self.values[first:last], self.offsets[start : stop + 1] - first)
            rows = np.arange(start, stop, step)
        return Ragged.from_rows([self[int(row)] for row in rows], self.width)
