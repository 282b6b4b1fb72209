"""How columns are stored, and how those of several segments become one.

Both writing and merging give blocks: some keys of one field, in order, with their rows. A merge makes a block from
the next keys of every part, as far as all of them are known, so a few tens of thousands of keys are in memory at once.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from trivec.tensorfile import TensorWriter
from trivec.types import IntArray

RowArray: TypeAlias = NDArray[np.int32]

BLOCK_KEYS = 1 << 16
"""Keys a block takes from one part."""
BLOCK_ROWS = 1 << 20
"""Rows a block takes from one part, unless a single key has more."""


class ByteList(Sequence[bytes]):
    """Strings of bytes, one after the other in an array; only whole stretches can be sliced out.

    Args:
        data: the bytes, uint8.
        starts: where each string starts, and where the last one ends.
    """

    def __init__(self, data: NDArray[Any], starts: NDArray[Any]) -> None:
        self._data, self._starts = data, starts

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, place: int) -> bytes: ...
    @overload
    def __getitem__(self, place: slice) -> list[bytes]: ...
    def __getitem__(self, place: int | slice) -> bytes | list[bytes]:
        if isinstance(place, int):
            return self._data[self._starts[place] : self._starts[place + 1]].tobytes()
        low, high, _ = place.indices(len(self))
        starts = self._starts[low : high + 1]
        joined = self._data[starts[0] : starts[-1]].tobytes()
        return [joined[start:end] for start, end in pairwise((starts - starts[0]).tolist())]


@dataclass(frozen=True)
class ColumnArrays:
    """The arrays of one segment's columns, as the head of `columns` describes them."""

    rows: int
    fields: ByteList
    fields_keys: NDArray[Any]
    keys: ByteList
    keys_rows: NDArray[Any]
    postings: NDArray[Any]

    @classmethod
    def of(cls, arrays: Mapping[str, NDArray[Any]], prefix: str) -> ColumnArrays:
        """Pick them from a file's tensors."""
        return cls(
            rows=int(arrays[f"{prefix}.rows"][0]),
            fields=ByteList(arrays[f"{prefix}.fields"], arrays[f"{prefix}.fields.at"]),
            fields_keys=arrays[f"{prefix}.fields.keys"],
            keys=ByteList(arrays[f"{prefix}.keys"], arrays[f"{prefix}.keys.at"]),
            keys_rows=arrays[f"{prefix}.keys.rows"],
            postings=arrays[f"{prefix}.postings"],
        )

    def keys_of(self, name: bytes) -> tuple[int, int]:
        """The first key of a field, and the end of its keys; both the same if it has none."""
        place = bisect_left(self.fields, name)
        if place == len(self.fields) or self.fields[place] != name:
            return 0, 0
        return int(self.fields_keys[place]), int(self.fields_keys[place + 1])


@dataclass(frozen=True)
class Block:
    """Keys of a field, with the rows of each.

    Attributes:
        field: the name in UTF-8.
        keys: ascending.
        counts: how many rows each key has, at least one.
        rows: of the first key, then of the second, and so on; ascending within a key.
    """

    field: bytes
    keys: list[bytes]
    counts: IntArray
    rows: RowArray


@dataclass
class _Starts:
    """What is counted while the keys are written: all lists of starts are made from it."""

    fields: dict[bytes, int] = field(default_factory=dict)
    lengths: list[IntArray] = field(default_factory=list)
    counts: list[IntArray] = field(default_factory=list)

    def count(self, blocks: Iterable[Block]) -> Iterator[NDArray[np.uint8]]:
        """The bytes of the keys, block by block."""
        for block in blocks:
            self.fields[block.field] = self.fields.get(block.field, 0) + len(block.keys)
            self.lengths.append(_lengths(block.keys))
            self.counts.append(block.counts)
            yield _bytes(block.keys)


def write_blocks(writer: TensorWriter, prefix: str, rows: int, blocks: Callable[[], Iterable[Block]]) -> None:
    """Write columns.

    Args:
        writer: of the segment's file.
        prefix: of the tensors' names.
        rows: of the segment.
        blocks: called twice, and gives the same both times: fields in order, and keys in order within each.
    """
    starts = _Starts()
    writer.add(f"{prefix}.rows", np.array([rows], np.int64))
    writer.stream(f"{prefix}.keys", np.dtype(np.uint8), (), starts.count(blocks()))
    writer.add(f"{prefix}.keys.at", _sums(starts.lengths))
    writer.add(f"{prefix}.keys.rows", _sums(starts.counts))
    writer.add(f"{prefix}.fields", _bytes(starts.fields))
    writer.add(f"{prefix}.fields.at", _sums([_lengths(starts.fields)]))
    writer.add(f"{prefix}.fields.keys", _sums([np.array(list(starts.fields.values()), np.int64)]))
    writer.stream(f"{prefix}.postings", np.dtype(np.int32), (), (block.rows for block in blocks()))


def merged_blocks(parts: Sequence[ColumnArrays], survivors: Sequence[IntArray]) -> Iterator[Block]:
    """The columns of the surviving rows of all parts; keys that no row has any more are left out."""
    numbers = _new_numbers(parts, survivors)
    for name in sorted({name for part in parts for name in part.fields}):
        cursors = [_Cursor(part, new, *part.keys_of(name)) for part, new in zip(parts, numbers, strict=True)]
        while open_ones := [cursor for cursor in cursors if cursor.place < cursor.end]:
            pivot = min(cursor.furthest for cursor in open_ones)
            block = _merge(name, [cursor.take(pivot) for cursor in open_ones])
            if block.keys:
                yield block


def _new_numbers(parts: Sequence[ColumnArrays], survivors: Sequence[IntArray]) -> list[RowArray]:
    """For every part the new number of each row, -1 where it does not survive."""
    numbers, first = [], 0
    for part, rows in zip(parts, survivors, strict=True):
        new = np.full(part.rows, -1, np.int32)
        new[rows] = np.arange(first, first + len(rows), dtype=np.int32)
        first += len(rows)
        numbers.append(new)
    return numbers


@dataclass(frozen=True)
class _Taken:
    """Keys of one part, how many rows each had, and all those rows by their new numbers."""

    keys: list[bytes]
    counts: IntArray
    rows: RowArray


@dataclass
class _Cursor:
    """A place among the keys of one field in one part."""

    part: ColumnArrays
    numbers: RowArray
    place: int
    end: int

    @property
    def furthest(self) -> bytes:
        """The last key that this part could give to a block."""
        return self.part.keys[self._reach() - 1]

    def _reach(self) -> int:
        rows = self.part.keys_rows
        enough = int(np.searchsorted(rows, rows[self.place] + BLOCK_ROWS, "right")) - 1
        return min(max(enough, self.place + 1), self.place + BLOCK_KEYS, self.end)

    def take(self, pivot: bytes) -> _Taken:
        """Give all keys up to the pivot, and stand behind them."""
        first, self.place = self.place, bisect_right(self.part.keys, pivot, self.place, self._reach())
        ends = self.part.keys_rows[first : self.place + 1]
        rows = self.numbers[self.part.postings[ends[0] : ends[-1]]]
        return _Taken(self.part.keys[first : self.place], np.diff(ends), rows)


def _merge(name: bytes, parts: Sequence[_Taken]) -> Block:
    """Equal keys become one, with their rows in the order of the parts, which is that of the new numbers."""
    keys = [key for part in parts for key in part.keys]
    rows = np.concatenate([part.rows for part in parts])
    counts = np.concatenate([part.counts for part in parts])
    order = sorted(range(len(keys)), key=keys.__getitem__)
    keys = [keys[place] for place in order]
    is_new = np.array([True, *(before != key for before, key in pairwise(keys))], np.bool_)
    starts = (np.cumsum(counts) - counts)[order]
    counts = counts[order]
    shift = np.repeat(starts - (np.cumsum(counts) - counts), counts)
    rows = rows[np.arange(len(shift)) + shift]
    group = np.repeat(np.cumsum(is_new) - 1, counts)
    alive = rows >= 0
    left = np.bincount(group[alive], minlength=int(is_new.sum()))
    distinct = [keys[place] for place in np.flatnonzero(is_new)[left > 0]]
    return Block(name, distinct, left[left > 0].astype(np.int64), rows[alive])


def _bytes(strings: Iterable[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(strings), np.uint8)


def _lengths(strings: Iterable[bytes]) -> IntArray:
    return np.array([len(string) for string in strings], np.int64)


def _sums(counts: Sequence[IntArray]) -> IntArray:
    return np.cumsum(np.concatenate([np.zeros(1, np.int64), *counts]))
