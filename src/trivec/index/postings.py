"""Postings: for every term, which rows hold it and how often."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from trivec.types import FloatArray, IntArray

_Numbers = NDArray[np.int32]


@dataclass(frozen=True, eq=False)
class Postings:
    """Term ``terms[i]`` stands in ``rows[offsets[i]:offsets[i + 1]]``, as often as ``counts`` there says.

    ``terms`` ascend and hold only terms that occur, so a small piece costs little whatever the vocabulary.
    """

    terms: _Numbers
    offsets: IntArray
    rows: _Numbers
    counts: FloatArray

    @classmethod
    def from_counts(cls, counts: sp.csr_array, first_row: int) -> Postings:
        """Postings of a (rows, terms) matrix whose first row gets the number ``first_row``."""
        columns = counts.tocsc(copy=True)
        columns.sum_duplicates()
        columns.eliminate_zeros()
        terms = np.flatnonzero(np.diff(columns.indptr))
        return cls(
            terms.astype(np.int32),
            np.append(columns.indptr[terms], columns.indptr[-1]).astype(np.int64),
            (columns.indices + first_row).astype(np.int32),
            columns.data.astype(np.float32),
        )

    def __len__(self) -> int:
        return len(self.rows)

    def find(self, term: int) -> tuple[_Numbers, FloatArray]:
        """Rows that hold a term, and its counts there."""
        place = int(np.searchsorted(self.terms, term))
        if place == len(self.terms) or self.terms[place] != term:
            return self.rows[:0], self.counts[:0]
        start, stop = self.offsets[place], self.offsets[place + 1]
        return self.rows[start:stop], self.counts[start:stop]

    def renumber(self, numbers: IntArray) -> Postings:
        """Row i becomes ``numbers[i]``; rows whose new number is negative are left out."""
        rows = numbers[self.rows]
        kept = rows >= 0
        before = np.concatenate([[0], np.cumsum(kept)])
        offsets = before[self.offsets]
        terms = np.flatnonzero(np.diff(offsets))
        return Postings(
            self.terms[terms],
            np.append(offsets[terms], offsets[-1]).astype(np.int64),
            rows[kept].astype(np.int32),
            self.counts[kept],
        )


def merge(pieces: Sequence[Postings]) -> Postings:
    """One piece out of several, in time proportional to their length.

    A posting's new place is known without sorting: where its term begins, plus what earlier pieces put there.
    """
    terms = np.unique(np.concatenate([piece.terms for piece in pieces]))
    places = [np.searchsorted(terms, piece.terms) for piece in pieces]
    lengths = [np.diff(piece.offsets) for piece in pieces]
    totals = np.zeros(len(terms), np.int64)
    for place, length in zip(places, lengths, strict=True):
        totals[place] += length
    offsets = np.concatenate([[0], np.cumsum(totals)])
    rows = np.empty(offsets[-1], np.int32)
    counts = np.empty(offsets[-1], np.float32)
    filled = offsets[:-1].copy()
    for piece, place, length in zip(pieces, places, lengths, strict=True):
        target = np.arange(len(piece)) + np.repeat(filled[place] - piece.offsets[:-1], length)
        rows[target] = piece.rows
        counts[target] = piece.counts
        filled[place] += length
    return Postings(terms.astype(np.int32), offsets, rows, counts)
