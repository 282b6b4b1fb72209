"""Searching and scoring term weights: the C kernels, and the same in numpy where they were not built.

Both add up a row's score in float32 in the order in which the query's terms are given, so both give the same numbers,
bit for bit, and the score of a row does not depend on how it was reached.

The C search goes through the rows in blocks whose sums stay in the processor's nearest cache, and adds one list of
postings after the other. Once k rows are held, a block is skipped when the maxima of its lists together do not reach
the worst of them; otherwise the lists at the end of the order, which cannot lift a row over it by themselves, are
asked only about the rows that the first lists favour: MaxScore (Turtle and Flood 1995) with block maxima (Ding and
Suel 2011), term at a time. It finds what a search of everything finds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trivec.index.bm25 import Bm25Options
from trivec.index.native.impacts_layout import Forward, Int32Array, Lists
from trivec.types import FloatArray, IntArray

try:
    from trivec.index.native import _impacts as _kernels
except ImportError:  # not built: numpy does the same, slower
    _kernels = None  # type: ignore[assignment]

BoolArray = NDArray[np.bool_]


@dataclass(frozen=True)
class Formula:
    """What a stored value v counts: as itself, or with ``saturated`` as ``v / (v + norm)``, as in BM25.

    The norm of a row is ``base + slope * length``.
    """

    saturated: bool = False
    base: float = 0.0
    slope: float = 0.0

    @classmethod
    def bm25(cls, options: Bm25Options, average_length: float) -> Formula:
        """The formula of `trivec.index.bm25`, whose norm is ``k1 * (1 - b + b * length / average)``."""
        k1, b = float(options.k1), float(options.b)
        return cls(True, k1 * (1 - b), k1 * b / average_length if average_length > 0 else 0.0)

    @property
    def numbers(self) -> tuple[float, float]:
        """Both numbers, as the C kernels take them."""
        return self.base, self.slope

    def apply(self, values: FloatArray, lengths: FloatArray) -> FloatArray:
        """What values count in rows of these lengths."""
        if not self.saturated:
            return values
        norms = np.float32(self.base) + np.float32(self.slope) * lengths
        return np.asarray(values / (values + norms), np.float32)


@dataclass(frozen=True, eq=False)
class Query:
    """Distinct terms with weights other than 0, in the order in which they are added up."""

    terms: Int32Array
    weights: FloatArray


class Impacts:
    """The weights of one part, with both implementations at hand."""

    def __init__(self, lists: Lists, forward: Forward, block: int) -> None:
        self.lists = lists
        self.forward = forward
        self._lists = (
            lists.rows, lists.values, lists.offsets, lists.maxima, lists.longs,
            lists.block_starts, lists.block_maxima, lists.shortest, lists.lengths,
        )  # fmt: skip
        self._forward = (forward.starts, forward.columns, forward.weights, forward.lengths)
        self._block = block

    def search(self, query: Query, formula: Formula, k: int, allowed: BoolArray | None) -> tuple[IntArray, FloatArray]:
        """Rows that score above 0 and their scores: the best k, best first, ties by ascending row."""
        return self._search(query, formula, k, allowed, None)

    def search_all(
        self, query: Query, formula: Formula, k: int, allowed: BoolArray | None
    ) -> tuple[IntArray, FloatArray, FloatArray]:
        """As `search`, and the scores of all rows, allowed or not."""
        everything = np.empty(len(self.lists.lengths), np.float32)
        return *self._search(query, formula, k, allowed, everything), everything

    def _search(
        self, query: Query, formula: Formula, k: int, allowed: BoolArray | None, everything: FloatArray | None
    ) -> tuple[IntArray, FloatArray]:
        places, known = self.lists.find(query.terms)
        places, weights = places[known], query.weights[known]
        if _kernels is None:
            sums = _sums(self.lists, places, weights, formula)
            if everything is not None:
                everything[:] = sums
            return best(sums, k, allowed)
        room = min(k, len(self.lists.lengths))
        rows, scores = np.empty(room, np.int64), np.empty(room, np.float32)
        found = _kernels.search(
            self._lists, self._block, places, weights, formula.saturated, formula.numbers, k, allowed, rows, scores,
            everything,
        )  # fmt: skip
        return rows[:found], scores[:found]

    def score(self, query: Query, formula: Formula, rows: IntArray) -> FloatArray:
        """Scores of rows that are there."""
        if _kernels is None:
            return _row_sums(self.forward, query, formula, rows)
        scores = np.empty(len(rows), np.float32)
        _kernels.score(
            self._forward, query.terms, query.weights, formula.saturated, formula.numbers, rows, scores
        )  # fmt: skip
        return scores

    def frequencies(self, places: IntArray, alive: BoolArray) -> IntArray:
        """How many living rows stand in each list."""
        if _kernels is None:
            rows = self.lists.rows
            return np.array([np.count_nonzero(alive[rows[self.lists.list_at(place)]]) for place in places], np.int64)
        counts = np.empty(len(places), np.int64)
        terms = self.lists.terms[places]
        _kernels.frequencies(self._lists, self._block, self._forward, places, terms, alive, counts)
        return counts


def _sums(lists: Lists, places: IntArray, weights: FloatArray, formula: Formula) -> FloatArray:
    """Scores of all rows."""
    sums = np.zeros(len(lists.lengths), np.float32)
    for place, weight in zip(places, weights, strict=True):
        span = lists.list_at(place)
        rows = lists.rows[span]
        sums[rows] += weight * formula.apply(lists.values[span], lists.lengths[rows])
    return sums


def _row_sums(forward: Forward, query: Query, formula: Formula, rows: IntArray) -> FloatArray:
    """Scores of some rows."""
    places, counts = forward.places(rows)
    owners = np.repeat(np.arange(len(rows)), counts)
    columns = forward.columns[places]
    sums = np.zeros(len(rows), np.float32)
    for term, weight in zip(query.terms, query.weights, strict=True):
        held = np.flatnonzero(columns == term)
        owner = owners[held]
        sums[owner] += weight * formula.apply(forward.weights[places[held]], forward.lengths[rows[owner]])
    return sums


def best(scores: FloatArray, k: int, allowed: BoolArray | None = None) -> tuple[IntArray, FloatArray]:
    """Places that score above 0 and are allowed: the best k, best first, ties by ascending place."""
    rows = np.flatnonzero(scores > 0 if allowed is None else (scores > 0) & allowed)
    rows = rows[np.argsort(-scores[rows], kind="stable")[:k]]
    return rows, scores[rows]
