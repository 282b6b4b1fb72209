"""A query by one signal, made ready once and asked of every segment.

`best` gives rows and scores of a segment, best first: the best k, and beyond them at least every row that scores the
same as the last of these. A segment knows rows and not ids, so only whoever ranks all segments can order equal
scores. With ``more``, scores of other rows will be asked for, and it may tell them at once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from trivec.index.bm25 import Bm25Options
from trivec.index.native.found import Found, Known, best_of
from trivec.index.native.impacts_kernels import Formula
from trivec.index.native.segment import BoolArray, Segment
from trivec.index.native.settings import NativeOptions
from trivec.types import FloatArray, IntArray


class SignalQuery(Protocol):
    """What the segments are asked."""

    def best(self, segment: Segment, k: int, allowed: BoolArray | None, more: bool = False) -> Found:
        """The best k rows among those allowed, and all that equal the last."""
        ...

    def score(self, segment: Segment, rows: IntArray) -> FloatArray:
        """Scores of rows, in the order asked."""
        ...


@dataclass(frozen=True, eq=False)
class DenseQuery:
    """By dense vectors: ``vector`` is (d,)."""

    vector: FloatArray

    def best(self, segment: Segment, k: int, allowed: BoolArray | None, more: bool = False) -> Found:
        """The best k rows among those allowed, and all that equal the last."""
        assert segment.dense is not None
        part = segment.dense
        return _with_ties(lambda wanted: part.find(self.vector, wanted, allowed), len(segment), k)

    def begin(self, segment: Segment, k: int, allowed: BoolArray | None) -> Callable[[], Found]:
        """The best k rows or about these, in two steps: see `DensePart.begin`."""
        assert segment.dense is not None
        return segment.dense.begin(self.vector, k, allowed)

    def score(self, segment: Segment, rows: IntArray) -> FloatArray:
        """Scores of rows, in the order asked."""
        assert segment.dense is not None
        return segment.dense.score(self.vector, rows)


@dataclass(frozen=True, eq=False)
class SparseQuery:
    """By learned weights of terms, both of shape (t,), terms ascending."""

    terms: IntArray
    weights: FloatArray

    def best(self, segment: Segment, k: int, allowed: BoolArray | None, more: bool = False) -> Found:
        """The best k rows that share a term, among those allowed, and all that equal the last."""
        assert segment.sparse is not None
        part = segment.sparse
        asked = self.terms, self.weights
        return _with_ties(lambda wanted: part.find(*asked, wanted, allowed, more=more), len(segment), k)

    def score(self, segment: Segment, rows: IntArray) -> FloatArray:
        """Scores of rows, in the order asked."""
        assert segment.sparse is not None
        return segment.sparse.score(self.terms, self.weights, rows)


@dataclass(frozen=True, eq=False)
class Bm25Query:
    """By BM25: ``weights`` are idf times count in the query, ``average_length`` that of all live passages."""

    terms: IntArray
    weights: FloatArray
    average_length: float
    options: Bm25Options

    def best(self, segment: Segment, k: int, allowed: BoolArray | None, more: bool = False) -> Found:
        """The best k rows that share a term, among those allowed, and all that equal the last."""
        assert segment.terms is not None
        part = segment.terms
        asked, formula = (self.terms, self.weights), Formula.bm25(self.options, self.average_length)
        return _with_ties(lambda wanted: part.find(*asked, wanted, allowed, formula, more), len(segment), k)

    def score(self, segment: Segment, rows: IntArray) -> FloatArray:
        """Scores of rows, in the order asked."""
        assert segment.terms is not None
        return segment.terms.bm25_score(self.terms, self.weights, self.average_length, self.options, rows)


@dataclass(frozen=True, eq=False)
class MultiQuery:
    """By MaxSim over everything allowed: ``vectors`` is (q, c)."""

    vectors: FloatArray

    def best(self, segment: Segment, k: int, allowed: BoolArray | None, more: bool = False) -> Found:
        """The best k rows among those allowed, and all that equal the last."""
        rows = np.arange(len(segment)) if allowed is None else np.flatnonzero(allowed)
        return best_of(Known(self.score(segment, rows), rows), k)

    def score(self, segment: Segment, rows: IntArray) -> FloatArray:
        """Scores of rows, in the order asked."""
        assert segment.multi is not None
        whole = len(rows) == len(segment) and bool((rows == np.arange(len(rows))).all())
        return segment.multi.maxsim(self.vectors, None if whole else rows)


@dataclass(frozen=True, eq=False)
class StagedMultiQuery:
    """By MaxSim over the best by their encodings; ``encoding`` is the query's. A segment without is searched whole."""

    exact: MultiQuery
    encoding: FloatArray
    options: NativeOptions

    def best(self, segment: Segment, k: int, allowed: BoolArray | None, more: bool = False) -> Found:
        """The best k of the candidates, and all that equal the last."""
        encodings = segment.encodings(self.options)
        if encodings is None:
            return self.exact.best(segment, k, allowed, more)
        wanted = min(max(k, self.options.multi_candidates), len(segment))
        rows = np.sort(encodings.search(self.encoding, wanted, allowed)[0])
        best = best_of(Known(self.exact.score(segment, rows), rows), k)
        return Found(best.rows, best.scores)

    def score(self, segment: Segment, rows: IntArray) -> FloatArray:
        """Exact scores of rows, in the order asked."""
        return self.exact.score(segment, rows)


def _with_ties(search: Callable[[int], Found], most: int, k: int) -> Found:
    """Search deeper until the score falls below that of the k-th, or there is nothing more."""
    wanted = min(k + 1, most)
    while True:
        found = search(wanted)
        whole = len(found.rows) != wanted or wanted == most
        if whole or found.scores[-1] < found.scores[k - 1]:
            return found
        wanted = min(4 * wanted, most)
