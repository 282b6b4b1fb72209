"""Term weights as a segment holds them: by term to search, by row to score a few and to give rows back.

    shape           rows, size of the vocabulary, rows a block
    terms           terms that occur, ascending               offsets        where the list of each term starts
    rows, values    the lists: rows, ascending, and weights   maxima         largest weight of each list
    longs           places of long lists, ascending           block_starts   where each block of rows starts in them
                                                              block_maxima   largest weight there
    starts          where each row starts                     columns, weights   terms of a row, ascending, and weights
    lengths         sum of each row                           shortest       of each block, among rows that hold terms

Starts and offsets have one entry more, for the end. Only terms that occur take space, so a small segment costs little
whatever the vocabulary. A list is long when it has `_LONG` postings a block or more: its tables are then a small part
of it. A bound that holds for any average length is made of a block's largest count and its shortest row.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from trivec.errors import LibraryError
from trivec.index.postings import Postings
from trivec.types import FloatArray, IntArray

BLOCK = 4096
"""Rows a block. A power of two whose sums and norms fit the nearest cache together with the postings read."""
_LONG = 8

Int32Array = NDArray[np.int32]
Arrays = Mapping[str, NDArray[np.generic]]


@dataclass(frozen=True, eq=False)
class Lists:
    """The lists of postings, and what bounds them. The names are those of the tensors."""

    terms: Int32Array
    offsets: IntArray
    rows: Int32Array
    values: FloatArray
    maxima: FloatArray
    longs: Int32Array
    block_starts: Int32Array
    """(longs, blocks + 1), counted from the start of the list."""
    block_maxima: FloatArray
    """(longs, blocks)"""
    shortest: FloatArray
    """(blocks,); 0 where no row holds a term."""
    lengths: FloatArray

    def check(self, rows: int, block: int) -> bool:
        """Whether the arrays fit together."""
        blocks, longs, terms = -(-rows // block), len(self.longs), len(self.terms)
        return (
            len(self.lengths) == rows
            and len(self.shortest) == blocks
            and self.block_starts.shape == (longs, blocks + 1)
            and self.block_maxima.shape == (longs, blocks)
            and len(self.maxima) == terms
            and len(self.rows) == len(self.values)
            and _spans(self.offsets, terms, len(self.rows))
        )

    def find(self, terms: NDArray[np.integer]) -> tuple[IntArray, NDArray[np.bool_]]:
        """Places of terms, and which of them occur; the place of one that does not is meaningless."""
        places = np.searchsorted(self.terms, terms)
        places[places == len(self.terms)] = 0
        return places, (self.terms[places] == terms) if len(self.terms) else np.zeros(len(terms), np.bool_)

    def list_at(self, place: int) -> slice:
        """Where a list stands in ``rows`` and ``values``."""
        return slice(int(self.offsets[place]), int(self.offsets[place + 1]))

    def postings(self, first: int, stop: int) -> Postings:
        """The lists of terms from ``first`` up to ``stop``, not included."""
        low, high = np.searchsorted(self.terms, [first, stop])
        start, end = self.offsets[low], self.offsets[high]
        return Postings(
            self.terms[low:high], self.offsets[low : high + 1] - start, self.rows[start:end], self.values[start:end]
        )


@dataclass(frozen=True, eq=False)
class Forward:
    """The same weights row by row. The names are those of the tensors."""

    starts: IntArray
    columns: Int32Array
    weights: FloatArray
    lengths: FloatArray

    def check(self, rows: int) -> bool:
        """Whether the arrays fit together."""
        return len(self.columns) == len(self.weights) and _spans(self.starts, rows, len(self.columns))

    def places(self, rows: IntArray) -> tuple[IntArray, IntArray]:
        """Where the entries of rows stand in ``columns``, row after row, and how many each row has."""
        counts = self.starts[rows + 1] - self.starts[rows]
        shifts = self.starts[rows] - (np.cumsum(counts) - counts)
        return np.arange(counts.sum()) + np.repeat(shifts, counts), counts

    def matrix(self, rows: IntArray, vocabulary: int) -> sp.csr_array:
        """Rows as a matrix."""
        places, counts = self.places(rows)
        ends = np.append(0, np.cumsum(counts))
        return sp.csr_array((self.weights[places], self.columns[places], ends), shape=(len(rows), vocabulary))


def _spans(starts: IntArray, n: int, size: int) -> bool:
    return len(starts) == n + 1 and int(starts[0]) == 0 and int(starts[-1]) == size


_LARGE = {"offsets", "starts"}
_FLOATS = {"values", "maxima", "block_maxima", "shortest", "lengths", "weights"}


def read_layout(arrays: Arrays, prefix: str) -> tuple[Lists, Forward, tuple[int, int, int]]:
    """The arrays of a part, and its shape: rows, size of the vocabulary, rows a block.

    Raises:
        LibraryError: an array is missing or does not fit the others.
    """
    try:
        names = dict.fromkeys(item.name for kind in (Lists, Forward) for item in fields(kind))
        taken: dict[str, Any] = {name: np.require(arrays[f"{prefix}.{name}"], None, ["C", "A"]) for name in names}
        rows, vocabulary, block = (int(number) for number in arrays[f"{prefix}.shape"])
    except (KeyError, ValueError) as error:
        raise LibraryError(f"the segment's {prefix} are incomplete ({error}): restore the library") from error
    right = all(array.dtype == _dtype(name) for name, array in taken.items())
    lists = Lists(**{item.name: taken[item.name] for item in fields(Lists)})
    forward = Forward(**{item.name: taken[item.name] for item in fields(Forward)})
    if not (right and rows >= 0 and block > 0 and lists.check(rows, block) and forward.check(rows)):
        raise LibraryError(f"the segment's {prefix} do not fit {rows} rows: restore the library from a copy")
    return lists, forward, (rows, vocabulary, block)


def _dtype(name: str) -> type[np.generic]:
    if name in _FLOATS:
        return np.float32
    return np.int64 if name in _LARGE else np.int32


@dataclass
class ListTables:
    """Gathers what `Lists` holds beside the postings themselves, stretch of terms after stretch."""

    rows: int
    terms: list[Int32Array] = field(default_factory=list)
    counts: list[IntArray] = field(default_factory=list)
    maxima: list[FloatArray] = field(default_factory=list)
    longs: list[Int32Array] = field(default_factory=list)
    block_starts: list[Int32Array] = field(default_factory=list)
    block_maxima: list[FloatArray] = field(default_factory=list)
    _terms: int = 0

    def add(self, stretch: Postings) -> None:
        """Take note of the lists of further terms."""
        counts = np.diff(stretch.offsets)
        self.terms.append(stretch.terms)
        self.counts.append(counts)
        self.maxima.append(_maxima(stretch.counts, stretch.offsets[:-1]))
        blocks = -(-self.rows // BLOCK)
        longs = np.flatnonzero(counts >= _LONG * blocks) if blocks > 1 else np.zeros(0, np.int64)
        self.longs.append((longs + self._terms).astype(np.int32))
        self._terms += len(counts)
        chosen = np.repeat(np.isin(np.arange(len(counts)), longs), counts)
        cells = np.repeat(np.arange(len(longs)), counts[longs]) * blocks + stretch.rows[chosen] // BLOCK
        sizes = np.bincount(cells, minlength=len(longs) * blocks)
        maxima = np.zeros(len(sizes), np.float32)
        filled = np.flatnonzero(sizes)
        maxima[filled] = _maxima(stretch.counts[chosen], (np.cumsum(sizes) - sizes)[filled])
        ends = np.cumsum(sizes.reshape(len(longs), blocks), axis=1)
        self.block_starts.append(np.pad(ends, ((0, 0), (1, 0))).astype(np.int32))
        self.block_maxima.append(maxima.reshape(len(longs), blocks))

    def tensors(self, lengths: FloatArray) -> dict[str, NDArray[np.generic]]:
        """All that was gathered, by the names of `Lists`.

        Args:
            lengths: the sum of each row.
        """
        blocks = -(-self.rows // BLOCK)
        starts = np.arange(blocks) * BLOCK
        shortest = np.minimum.reduceat(np.where(lengths > 0, lengths, np.inf), starts) if blocks else lengths
        return {
            "terms": np.concatenate([np.zeros(0, np.int32), *self.terms]),
            "offsets": np.concatenate([[0], np.cumsum(np.concatenate([np.zeros(0, np.int64), *self.counts]))]),
            "maxima": np.concatenate([np.zeros(0, np.float32), *self.maxima]),
            "longs": np.concatenate([np.zeros(0, np.int32), *self.longs]),
            "block_starts": np.concatenate([np.zeros((0, blocks + 1), np.int32), *self.block_starts]),
            "block_maxima": np.concatenate([np.zeros((0, blocks), np.float32), *self.block_maxima]),
            "shortest": np.where(np.isinf(shortest), 0, shortest).astype(np.float32),
            "lengths": lengths,
        }


def _maxima(values: FloatArray, starts: IntArray) -> FloatArray:
    return np.maximum.reduceat(values, starts) if len(starts) else values[:0]
