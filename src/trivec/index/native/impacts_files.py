"""Writing term weights into a segment: from a matrix, or from the surviving rows of other segments.

A merge needs memory for a stretch of terms, for a batch of rows and a few numbers a row and a term, not for all
postings: tensors are streamed to the file, and what is streamed twice is worked out twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from trivec.errors import InputError
from trivec.index.native.impacts import ImpactsPart
from trivec.index.native.impacts_layout import BLOCK, Forward, Lists, ListTables
from trivec.index.postings import Postings, merge
from trivec.tensorfile import TensorWriter
from trivec.types import FloatArray, IntArray

_STRETCH = 1 << 20
"""Postings in memory at once, unless a single term has more."""
_BATCH = 8192
"""Rows in memory at once."""


def write_impacts(writer: TensorWriter, prefix: str, matrix: sp.csr_array) -> None:
    """Write the rows of a (rows, vocabulary) matrix. Entries for the same place add up, zeros are left out.

    Raises:
        InputError: a weight is negative or not finite; nothing was written.
    """
    rows = sp.csr_array(matrix, copy=True).astype(np.float32)
    rows.sum_duplicates()
    rows.eliminate_zeros()
    if not (np.isfinite(rows.data) & (rows.data >= 0)).all():
        raise InputError("a term weight is negative or not finite: give weights from 0 up")
    lengths = np.asarray(rows.sum(axis=1), np.float32).reshape(-1)
    _write_shape(writer, prefix, rows.shape)
    lists = Postings.from_counts(rows, 0)
    _write_lists(writer, prefix, lengths, lambda: _cut(lists))
    writer.add(f"{prefix}.starts", rows.indptr.astype(np.int64))
    writer.add(f"{prefix}.columns", rows.indices.astype(np.int32))
    writer.add(f"{prefix}.weights", rows.data)


def merge_impacts(writer: TensorWriter, prefix: str, parts: Sequence[tuple[ImpactsPart, IntArray]]) -> None:
    """Write rows of other parts, part after part.

    Args:
        writer: of the new segment.
        prefix: of its tensors.
        parts: the rows of each part that are taken over, ascending.
    """
    survivors = [
        Survivors(part.impacts.lists, part.impacts.forward, np.asarray(rows, np.int64)) for part, rows in parts
    ]
    lengths = np.concatenate([np.zeros(0, np.float32), *(each.lengths for each in survivors)])
    vocabulary = max((part.vocabulary for part, _ in parts), default=0)
    _write_shape(writer, prefix, (len(lengths), vocabulary))
    _write_lists(writer, prefix, lengths, lambda: merged_lists(survivors))
    counts = np.concatenate([np.zeros(1, np.int64), *(each.counts for each in survivors)])
    writer.add(f"{prefix}.starts", np.cumsum(counts))
    columns = (each.forward.columns[places] for each in survivors for places in each.places())
    writer.stream(f"{prefix}.columns", np.dtype(np.int32), (), columns)
    weights = (each.forward.weights[places] for each in survivors for places in each.places())
    writer.stream(f"{prefix}.weights", np.dtype(np.float32), (), weights)


def _write_shape(writer: TensorWriter, prefix: str, shape: tuple[int, ...]) -> None:
    writer.add(f"{prefix}.shape", np.array([*shape, BLOCK], np.int64))


def _write_lists(
    writer: TensorWriter, prefix: str, lengths: FloatArray, stretches: Callable[[], Iterable[Postings]]
) -> None:
    """Write all tensors of `Lists`. ``stretches`` gives the lists in ascending order of terms, each time anew."""
    tables = ListTables(len(lengths))

    def rows() -> Iterator[NDArray[np.int32]]:
        for stretch in stretches():
            tables.add(stretch)
            yield stretch.rows

    writer.stream(f"{prefix}.rows", np.dtype(np.int32), (), rows())
    writer.stream(f"{prefix}.values", np.dtype(np.float32), (), (stretch.counts for stretch in stretches()))
    for name, tensor in tables.tensors(lengths).items():
        writer.add(f"{prefix}.{name}", tensor)


@dataclass(frozen=True, eq=False)
class Survivors:
    """Rows of one part that are taken over."""

    lists: Lists
    forward: Forward
    rows: IntArray

    @property
    def lengths(self) -> FloatArray:
        """Sum of each row."""
        return self.lists.lengths[self.rows]

    @property
    def counts(self) -> IntArray:
        """Number of entries of each row."""
        return self.forward.starts[self.rows + 1] - self.forward.starts[self.rows]

    def places(self) -> Iterator[IntArray]:
        """Where the entries stand in the forward form, batch of rows after batch."""
        for start in range(0, len(self.rows), _BATCH):
            yield self.forward.places(self.rows[start : start + _BATCH])[0]

    def numbers(self, first: int) -> IntArray:
        """New number of each row of the part, counted from ``first``; -1 for rows left behind."""
        numbers = np.full(len(self.lists.lengths), -1, np.int64)
        numbers[self.rows] = np.arange(first, first + len(self.rows))
        return numbers


def _cut(lists: Postings) -> Iterator[Postings]:
    """The same lists, stretch of terms after stretch."""
    for start, stop in _stretches(lists.offsets):
        low, high = lists.offsets[start], lists.offsets[stop]
        offsets = lists.offsets[start : stop + 1] - low
        yield Postings(lists.terms[start:stop], offsets, lists.rows[low:high], lists.counts[low:high])


def merged_lists(survivors: Sequence[Survivors]) -> Iterator[Postings]:
    """The lists of all survivors together, stretch of terms after stretch."""
    firsts = np.cumsum([0, *(len(each.rows) for each in survivors)]).tolist()
    numbers = [each.numbers(first) for each, first in zip(survivors, firsts, strict=False)]
    terms = np.unique(np.concatenate([np.zeros(0, np.int32), *(each.lists.terms for each in survivors)]))
    totals = np.zeros(len(terms), np.int64)
    for each in survivors:
        totals[np.searchsorted(terms, each.lists.terms)] += np.diff(each.lists.offsets)
    for start, stop in _stretches(np.append(0, np.cumsum(totals))):
        first, last = int(terms[start]), int(terms[stop - 1])
        pieces = (each.lists.postings(first, last + 1) for each in survivors)
        yield merge([piece.renumber(new) for piece, new in zip(pieces, numbers, strict=True)])


def _stretches(offsets: IntArray) -> Iterator[tuple[int, int]]:
    """Cut lists into stretches with at most `_STRETCH` postings each, or one list that has more."""
    start = 0
    while start < len(offsets) - 1:
        reach = int(np.searchsorted(offsets, offsets[start] + _STRETCH, side="right")) - 1
        stop = max(reach, start + 1)
        yield start, stop
        start = stop
