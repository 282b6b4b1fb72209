"""Exact BM25 over term counts that come and go.

The variant is the one of Lucene 8 and later, "Which BM25 do you mean?" (Kamphuis et al. 2020, table 1), with
exact lengths. For a query with term t occurring q_t times, N passages of average length L, of which n_t hold t:

    score(passage) = sum over t of  q_t * idf_t * tf / (tf + k1 * (1 - b + b * length / L))
    idf_t          = ln(1 + (N - n_t + 0.5) / (n_t + 0.5))

N, n_t and L are always those of the passages there now: nothing that depends on them is stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from trivec.errors import CorruptModelError, InputError
from trivec.index.postings import Postings, merge
from trivec.tensorfile import memory_map, read_header, write_tensors
from trivec.types import FloatArray

_FORMAT = {"format": "trivec.bm25", "version": "1"}


@dataclass(frozen=True)
class Bm25Options:
    """Saturation ``k1`` and length normalisation ``b``; the defaults are those of Anserini, tuned for passages."""

    k1: float = 0.9
    b: float = 0.4

    def __post_init__(self) -> None:
        if self.k1 < 0 or not 0 <= self.b <= 1:
            raise InputError(f"BM25 with k1 = {self.k1} and b = {self.b}: k1 is 0 or more, b between 0 and 1")


class Bm25Index:
    """Term counts of named passages, and their BM25 scores.

    Every batch becomes a piece of postings; pieces of like size are merged, so there are about as many as the
    logarithm of the number of batches. A removed passage leaves a dead row, and dead rows are swept out when
    they are half of all.
    """

    def __init__(self, options: Bm25Options = Bm25Options()) -> None:
        self.options = options
        self._ids: list[str] = []
        self._row_of: dict[str, int] = {}
        self._lengths = np.zeros(0, np.float32)
        self._alive = np.zeros(0, np.bool_)
        self._pieces: list[Postings] = []
        self._norms: FloatArray | None = None

    def __len__(self) -> int:
        return len(self._row_of)

    @property
    def ids(self) -> Sequence[str]:
        """Passage id of every row of `score`. Rows of removed passages keep their old name and score 0."""
        return self._ids

    def add(self, ids: Sequence[str], counts: sp.csr_array) -> None:
        """Add passages, or replace those with the same id. One row of ``counts`` a passage, all ids distinct."""
        self.remove(ids)
        first = len(self._ids)
        self._ids.extend(ids)
        self._row_of.update((name, first + i) for i, name in enumerate(ids))
        lengths = np.asarray(counts.sum(axis=1), np.float32).reshape(-1)
        self._lengths = np.concatenate([self._lengths, lengths])
        self._alive = np.concatenate([self._alive, np.ones(len(ids), np.bool_)])
        self._pieces.append(Postings.from_counts(counts, first))
        while len(self._pieces) > 1 and len(self._pieces[-2]) < 2 * len(self._pieces[-1]):
            self._pieces[-2:] = [merge(self._pieces[-2:])]
        self._changed()

    def remove(self, ids: Sequence[str]) -> None:
        """Remove passages. Unknown ids are ignored."""
        rows = [row for name in ids if (row := self._row_of.pop(name, None)) is not None]
        self._alive[rows] = False
        if 2 * len(self._row_of) < len(self._ids):
            self._sweep()
        self._changed()

    def weights(self, query: Mapping[int, float]) -> dict[int, float]:
        """Weight of each query term that occurs anywhere: its count in the query times idf."""
        total = len(self)
        result: dict[int, float] = {}
        for term, count in sorted(query.items()):
            found = sum(int(self._alive[rows].sum()) for rows, _ in self._occurrences(term))
            if found and count:
                result[term] = count * float(np.log1p((total - found + 0.5) / (found + 0.5)))
        return result

    def score(self, query: Mapping[int, float]) -> FloatArray:
        """Scores of all rows, shape (len(ids),): above 0 exactly where a live passage shares a term.

        Args:
            query: how often each term stands in the query.
        """
        scores = np.zeros(len(self._ids), np.float32)
        norms = self.length_norms()
        for term, weight in self.weights(query).items():
            for rows, counts in self._occurrences(term):
                scores[rows] += np.float32(weight) * saturated(counts, norms[rows])
        scores[~self._alive] = 0
        return scores

    def score_passages(self, query: Mapping[int, float], ids: Sequence[str]) -> FloatArray:
        """Scores of these passages, shape (len(ids),); 0 for an unknown id."""
        rows = np.asarray([self._row_of.get(name, -1) for name in ids], np.int64)
        return np.append(self.score(query), np.float32(0))[rows]

    def length_norms(self) -> FloatArray:
        """k1 * (1 - b + b * length / L) of all rows: what a term's count is weighed against."""
        if self._norms is None:
            k1, b = self.options.k1, self.options.b
            average = float(self._lengths[self._alive].mean(dtype=np.float64)) if len(self) else 0.0
            relative = self._lengths / average if average else self._lengths
            self._norms = np.asarray(k1 * (1 - b + b * relative), np.float32)
        return self._norms

    def save(self, path: Path) -> None:
        """Write one safetensors file, whole or not at all."""
        self._sweep()
        piece = merge(self._pieces) if self._pieces else Postings.from_counts(sp.csr_array((0, 0)), 0)
        names = [name.encode() for name in self._ids]
        tensors: dict[str, NDArray[np.generic]] = {
            "ids.bytes": np.frombuffer(b"".join(names), np.uint8),
            "ids.offsets": np.cumsum([0, *map(len, names)], dtype=np.int64),
            "lengths": self._lengths,
            "terms": piece.terms,
            "offsets": piece.offsets,
            "rows": piece.rows,
            "counts": piece.counts,
        }
        write_tensors(path, tensors, _FORMAT)

    @classmethod
    def load(cls, path: Path, options: Bm25Options = Bm25Options()) -> Bm25Index:
        """Read `save`'s file as a memory map.

        Raises:
            CorruptModelError: the file is damaged, or is none of ours.
        """
        if read_header(path)[1] != _FORMAT:
            raise CorruptModelError(f"{path} holds no BM25 index that this trivec can read: build it again")
        arrays: dict[str, Any] = memory_map(path)
        content, ends = arrays["ids.bytes"].tobytes(), arrays["ids.offsets"].tolist()
        index = cls(options)
        index._ids = [content[a:b].decode() for a, b in pairwise(ends)]
        index._row_of = {name: row for row, name in enumerate(index._ids)}
        index._lengths = np.array(arrays["lengths"])
        index._alive = np.ones(len(index._ids), np.bool_)
        index._pieces = [Postings(arrays["terms"], arrays["offsets"], arrays["rows"], arrays["counts"])]
        return index

    def _occurrences(self, term: int) -> Iterator[tuple[NDArray[np.int32], FloatArray]]:
        return (piece.find(term) for piece in self._pieces)

    def _changed(self) -> None:
        self._norms = None

    def _sweep(self) -> None:
        """Drop dead rows and number the others anew, in the same order."""
        if self._alive.all():
            return
        numbers = np.where(self._alive, np.cumsum(self._alive) - 1, -1)
        self._pieces = [merge(self._pieces).renumber(numbers)]
        self._ids = [name for name, alive in zip(self._ids, self._alive, strict=True) if alive]
        self._row_of = {name: row for row, name in enumerate(self._ids)}
        self._lengths = self._lengths[self._alive]
        self._alive = np.ones(len(self._ids), np.bool_)
        self._changed()


def saturated(counts: FloatArray, norms: FloatArray) -> FloatArray:
    """What a term adds to the score of a passage, per unit of its weight in the query: tf / (tf + norm)."""
    return np.asarray(counts / (counts + norms), np.float32)
