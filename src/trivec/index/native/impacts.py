"""The term weights of a segment, for learned weights and for the counts of BM25 alike: exact search and exact scores.

A learned weight counts ``weight of the query * stored weight`` (`M3-Embedding` 2.2, 2402.03216). For BM25 the lists
hold how often a term stands in a row, and `trivec.index.bm25` has the formula; its weights, idf times count in the
query, and the average length come with every query, because they change whenever passages come and go.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from trivec.errors import InputError
from trivec.index.bm25 import Bm25Options
from trivec.index.native.found import Found, Known, best_of
from trivec.index.native.impacts_kernels import BoolArray, Formula, Impacts, Query
from trivec.index.native.impacts_layout import Arrays, read_layout
from trivec.index.ranking import check_k
from trivec.types import FloatArray, IntArray

PLAIN = Formula()
"""Of learned weights."""
_OTHERS = 2
"""How many rows are looked up later for each that is found: about as many as other signals propose."""
_LOOKUP = 48
"""Looking up one term in one row costs about as much as adding this many postings."""


class ImpactsPart:
    """Rows 0 to n - 1 with non-negative float32 weights of terms. Any number of threads may read it."""

    def __init__(self, arrays: Arrays, prefix: str) -> None:
        """Over the tensors that `impacts_files.write_impacts` wrote under ``prefix``; nothing is copied.

        Raises:
            LibraryError: a tensor is missing or does not fit the others.
        """
        lists, forward, (self._rows, self._vocabulary, block) = read_layout(arrays, prefix)
        self._impacts = Impacts(lists, forward, block)
        self._bytes = sum(array.nbytes for name, array in arrays.items() if name.startswith(f"{prefix}."))

    def __len__(self) -> int:
        return self._rows

    @property
    def vocabulary(self) -> int:
        """How many terms there could be; terms are numbers below it."""
        return self._vocabulary

    @property
    def lengths(self) -> FloatArray:
        """Sum of each row, shape (n,)."""
        return self._impacts.lists.lengths

    @property
    def bytes(self) -> int:
        """Size of the tensors."""
        return self._bytes

    @property
    def impacts(self) -> Impacts:
        """The arrays themselves, for merging."""
        return self._impacts

    def matrix(self, rows: ArrayLike) -> sp.csr_array:
        """Rows, in the order asked, as a (len(rows), vocabulary) matrix.

        Raises:
            InputError: a row is not there.
        """
        return self._impacts.forward.matrix(self._check_rows(rows), self._vocabulary)

    def search(
        self, terms: ArrayLike, weights: ArrayLike, k: int, allowed: BoolArray | None = None
    ) -> tuple[IntArray, FloatArray]:
        """The best k rows that score above 0, and their scores: best first, ties by ascending row.

        Args:
            terms: of the query; unknown ones are ignored, and the weights of one that comes twice add up.
            weights: one a term.
            k: at most this many.
            allowed: which rows may be found, shape (n,); None for all.

        Raises:
            InputError: k is below 1, or the arguments do not fit together.
        """
        return self._search(terms, weights, PLAIN, k, allowed)

    def score(self, terms: ArrayLike, weights: ArrayLike, rows: ArrayLike) -> FloatArray:
        """Scores of rows, bit for bit those of `search`; 0 where no term is shared.

        Raises:
            InputError: a row is not there, or terms and weights do not fit together.
        """
        return self._impacts.score(make_query(terms, weights), PLAIN, self._check_rows(rows))

    def bm25_search(
        self,
        terms: ArrayLike,
        weights: ArrayLike,
        average_length: float,
        options: Bm25Options,
        k: int,
        allowed: BoolArray | None = None,
    ) -> tuple[IntArray, FloatArray]:
        """As `search`, by BM25.

        Args:
            terms: as in `search`.
            weights: idf of each term times its count in the query.
            average_length: of all living rows, in all segments.
            options: saturation and length normalisation.
            k: as in `search`.
            allowed: as in `search`.
        """
        return self._search(terms, weights, Formula.bm25(options, average_length), k, allowed)

    def bm25_score(
        self, terms: ArrayLike, weights: ArrayLike, average_length: float, options: Bm25Options, rows: ArrayLike
    ) -> FloatArray:
        """Scores of rows, bit for bit those of `bm25_search`; 0 where no term is shared."""
        formula = Formula.bm25(options, average_length)
        return self._impacts.score(make_query(terms, weights), formula, self._check_rows(rows))

    def frequencies(self, terms: ArrayLike, alive: BoolArray | None = None) -> IntArray:
        """How many rows hold each term, shape (len(terms),); 0 for an unknown one.

        Args:
            terms: in any order, also more than once.
            alive: which rows count, shape (n,); None for all.
        """
        lists = self._impacts.lists
        places, known = lists.find(np.asarray(terms, np.int64).reshape(-1))
        counts = np.zeros(len(places), np.int64)
        places = places[known]
        mask = self._check_mask(alive)
        if mask is None:
            counts[known] = lists.offsets[places + 1] - lists.offsets[places]
        else:
            counts[known] = self._impacts.frequencies(places, mask)
        return counts

    def find(
        self,
        terms: ArrayLike,
        weights: ArrayLike,
        k: int,
        allowed: BoolArray | None = None,
        formula: Formula = PLAIN,
        more: bool = False,
    ) -> Found:
        """As `search` and `bm25_search`, by a formula.

        Args:
            terms: as in `search`.
            weights: as in `search`.
            k: as in `search`.
            allowed: as in `search`.
            formula: what a stored value counts.
            more: scores of other rows will be asked for. Where adding up all lists is less work than looking these up
                later, the answer tells the scores of all allowed rows.
        """
        check_k(k)
        query, mask = make_query(terms, weights), self._check_mask(allowed)
        postings = int(self.frequencies(query.terms).sum())
        if mask is not None and int(np.count_nonzero(mask)) * len(query.terms) * _LOOKUP < postings:
            rows = np.flatnonzero(mask)
            return best_of(Known(self._impacts.score(query, formula, rows), rows), k, least=0)
        if more and postings < _OTHERS * k * len(query.terms) * _LOOKUP:
            best, scores, everything = self._impacts.search_all(query, formula, k, mask)
            return Found(best, scores, Known(everything))
        return Found(*self._impacts.search(query, formula, k, mask))

    def _search(
        self, terms: ArrayLike, weights: ArrayLike, formula: Formula, k: int, allowed: BoolArray | None
    ) -> tuple[IntArray, FloatArray]:
        found = self.find(terms, weights, k, allowed, formula)
        return found.rows[:k], found.scores[:k]

    def _check_mask(self, mask: BoolArray | None) -> BoolArray | None:
        if mask is None:
            return None
        mask = np.ascontiguousarray(mask)
        if mask.dtype != np.bool_ or mask.shape != (len(self),):
            raise InputError(f"a mask of {mask.dtype} {mask.shape} for {len(self)} rows: give one bool a row")
        return mask

    def _check_rows(self, rows: ArrayLike) -> IntArray:
        result = np.ascontiguousarray(rows, np.int64)
        if result.ndim != 1 or (len(result) and not 0 <= result.min() <= result.max() < len(self)):
            raise InputError(f"rows {result} of a part with {len(self)} rows: ask for rows from 0 up to that number")
        return result


def make_query(terms: ArrayLike, weights: ArrayLike) -> Query:
    """Distinct terms, heaviest first, then by ascending number. The order depends on the query alone.

    Heavy terms are the rare ones: their lists are short, and once they are added up the long lists of the light terms
    hardly matter.

    Raises:
        InputError: numbers of terms and weights differ, or a weight is not finite.
    """
    numbers, values = np.asarray(terms, np.int64).reshape(-1), np.asarray(weights, np.float64).reshape(-1)
    if len(numbers) != len(values) or not np.isfinite(values).all():
        raise InputError(f"{len(numbers)} terms with weights {values}: give one finite weight a term")
    if (np.diff(numbers) > 0).all():
        totals = values.astype(np.float32)
    else:
        numbers, where = np.unique(numbers, return_inverse=True)
        totals = np.bincount(where, values).astype(np.float32)
    kept = (totals != 0) & (numbers >= 0) & (numbers <= np.iinfo(np.int32).max)
    numbers, totals = numbers[kept], totals[kept]
    order = np.lexsort((numbers, -np.abs(totals)))
    return Query(numbers[order].astype(np.int32), totals[order])
