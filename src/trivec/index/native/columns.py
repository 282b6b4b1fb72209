"""Metadata of a segment as columns: for every field its distinct values, sorted, and the rows that have each.

    fields          names of the fields as UTF-8, sorted           fields.at    where each name starts
    keys            values as `columns_keys` writes them,          fields.keys  the first key of each field
                    sorted within their field                      keys.at      where each key starts
    postings        rows, ascending within a key, key after key    keys.rows    where the rows of each key start
    rows            how many rows the segment has

Every list of starts has one entry more, for the end. Equality is one bisection and one scatter of rows. A range of
numbers or times is one stretch of ``postings``. Nothing is decoded, and only what a filter asks for is read.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from operator import iand, ior
from typing import Any, TypeAlias, assert_never

import numpy as np
from numpy.typing import NDArray

from trivec.index.conditions import And, Comparison, Exists, Filter, Membership, Not, Or, field_values
from trivec.index.native.columns_blocks import Block, ColumnArrays, merged_blocks, write_blocks
from trivec.index.native.columns_keys import FLAG, TIME, encode_text, key_range, value_key, value_keys
from trivec.tensorfile import TensorWriter
from trivec.types import IntArray, Passage

BoolArray: TypeAlias = NDArray[np.bool_]


def write_columns(writer: TensorWriter, prefix: str, passages: Iterable[Passage]) -> None:
    """Write the metadata, ids and titles of passages; passage n is row n."""
    columns: dict[str, dict[bytes, list[int]]] = {}
    rows = 0
    for row, passage in enumerate(passages):
        rows = row + 1
        for field in {"id", "title", *passage.metadata}:
            for key in {key for value in field_values(passage, field) for key in value_keys(value)}:
                columns.setdefault(field, {}).setdefault(key, []).append(row)
    blocks = [_block(name, column) for name, column in sorted((encode_text(f), c) for f, c in columns.items())]
    write_blocks(writer, prefix, rows, lambda: blocks)


def _block(field: bytes, column: Mapping[bytes, Sequence[int]]) -> Block:
    keys = sorted(column)
    counts = np.array([len(column[key]) for key in keys], np.int64)
    rows = np.fromiter((row for key in keys for row in column[key]), np.int32, int(counts.sum()))
    return Block(field, keys, counts, rows)


def merge_columns(writer: TensorWriter, prefix: str, parts: Sequence[tuple[Columns, IntArray]]) -> None:
    """Write the columns of some rows of other segments, part after part.

    Memory is bounded by a few bytes a row and a key, and by the longest list of rows under one key.

    Args:
        writer: of the new segment.
        prefix: of its tensors.
        parts: columns and their surviving rows, ascending. The rows of the new segment are numbered in this order.
    """
    arrays = [columns.arrays for columns, _ in parts]
    survivors = [rows for _, rows in parts]
    total = sum(len(rows) for rows in survivors)
    write_blocks(writer, prefix, total, lambda: merged_blocks(arrays, survivors))


class Columns:
    """The columns of one segment. May be shared by threads.

    Args:
        arrays: the tensors of the segment's file.
        prefix: of the tensors' names.
    """

    def __init__(self, arrays: Mapping[str, NDArray[Any]], prefix: str) -> None:
        self.arrays = ColumnArrays.of(arrays, prefix)

    def __len__(self) -> int:
        return self.arrays.rows

    @property
    def fields(self) -> list[str]:
        """Names of all fields that have a value somewhere, and of ``id`` and ``title``."""
        return [name.decode("utf-8", "surrogatepass") for name in self.arrays.fields]

    def mask(self, where: Filter) -> BoolArray:
        """Which rows pass a filter, shape (n,): exactly those whose passages it `matches`."""
        match where:
            case And(parts):
                return reduce(iand, map(self.mask, parts))
            case Or(parts):
                return reduce(ior, map(self.mask, parts))
            case Not(part):
                return ~self.mask(part)
            case Exists(field):
                return self._rows_in(field, [(FLAG, TIME)])
            case Membership(field, values, "any"):
                return self._rows_in(field, [_only(value_key(value)) for value in values])
            case Membership(field, values):
                found = (self._rows_in(field, [_only(value_key(value))]) for value in values)
                return reduce(iand, found, np.ones(len(self), np.bool_))
            case Comparison():
                return self._compare(where)
            case _:
                assert_never(where)

    def _compare(self, where: Comparison) -> BoolArray:
        if where.operator in ("=", "!="):
            equal = self._rows_in(where.field, [_only(value_key(where.value))])
            return equal if where.operator == "=" else ~equal
        return self._rows_in(where.field, [key_range(where.operator, where.value)])

    def _rows_in(self, field: str, ranges: Iterable[tuple[bytes, bytes]]) -> BoolArray:
        """Rows that have, in a field, a key in one of these ranges (first, end)."""
        found = np.zeros(len(self), np.bool_)
        for start, end in self._stretches(field, ranges):
            found[self.arrays.postings[start:end]] = True
        return found

    def _stretches(self, field: str, ranges: Iterable[tuple[bytes, bytes]]) -> Iterator[tuple[int, int]]:
        """Where in the postings the rows of a field's keys stand."""
        arrays = self.arrays
        low, high = arrays.keys_of(encode_text(field))
        for first, end in ranges:
            start = bisect_left(arrays.keys, first, low, high)
            stop = bisect_left(arrays.keys, end, start, high)
            if start < stop:
                yield int(arrays.keys_rows[start]), int(arrays.keys_rows[stop])


def _only(key: bytes) -> tuple[bytes, bytes]:
    """The range of one key."""
    return key, key + b"\0"
