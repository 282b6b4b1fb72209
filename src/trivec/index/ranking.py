"""The one order of results in the house: best score first, equal scores by ascending passage id."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from trivec.errors import InputError
from trivec.types import FloatArray, IntArray

_SAMPLED = 32


@dataclass(frozen=True)
class Ranking:
    """Passages in descending order of score; equal scores in ascending order of passage id."""

    ids: list[str]
    scores: FloatArray

    def __len__(self) -> int:
        return len(self.ids)


def rank(ids: Sequence[str], scores: FloatArray, k: int) -> Ranking:
    """The best k of scored passages.

    Raises:
        InputError: k is less than 1.
    """
    order = best_rows(ids.__getitem__, scores, k).tolist()
    return Ranking([ids[row] for row in order], np.asarray(scores[order], np.float32))


def best_rows(name_of: Callable[[int], str], scores: FloatArray, k: int) -> IntArray:
    """Places of the best k of the scores, in the order of `Ranking`; only where scores are equal are ids asked for.

    Raises:
        InputError: k is less than 1.
    """
    check_k(k)
    rows = contenders(scores, k)
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    ordered = scores[rows]
    tied = np.zeros(len(rows) + 1, np.int8)
    tied[1:-1] = ordered[1:] == ordered[:-1]
    edges = np.diff(tied)
    for start, end in zip(np.flatnonzero(edges == 1).tolist(), np.flatnonzero(edges == -1).tolist(), strict=True):
        rows[start : end + 1] = sorted(rows[start : end + 1].tolist(), key=name_of)
    return rows[:k]


def chosen_rows(name_of: Callable[[int], str], scores: FloatArray, k: int) -> IntArray:
    """The same places as `best_rows` gives, ascending: ids are asked for where equal scores meet the end alone."""
    rows = contenders(scores, k)
    if len(rows) <= k:
        return rows
    least = scores[rows].min()
    sure, tied = rows[scores[rows] > least], rows[scores[rows] == least]
    last = sorted(tied.tolist(), key=name_of)[: k - len(sure)]
    return np.sort(np.concatenate([sure, np.asarray(last, np.int64)]))


def contenders(scores: FloatArray, k: int) -> IntArray:
    """Places of the best k and of all that equal the last of these, ascending."""
    if len(scores) <= k:
        return np.arange(len(scores))
    rows = _likely(scores, k)
    values = scores[rows]
    best: IntArray = rows[values >= np.partition(values, len(values) - k)[len(values) - k]]
    return best


def _likely(scores: FloatArray, k: int) -> IntArray:
    """Places among which the best k are: few of them as a rule, found by the scores of every 32nd place."""
    sample = scores[::_SAMPLED]
    wanted = 2 * (k // _SAMPLED + 8)
    if wanted < len(sample):
        rows = np.flatnonzero(scores >= np.partition(sample, len(sample) - wanted)[len(sample) - wanted])
        if len(rows) >= k:
            return rows
    return np.arange(len(scores))


def rank_positive(ids: Sequence[str], scores: FloatArray, k: int) -> Ranking:
    """The best k of those that score more than 0, as lexical signals want it."""
    rows = np.flatnonzero(scores > 0)
    return rank([ids[row] for row in rows.tolist()], scores[rows], k)


def check_k(k: int) -> None:
    """Refuse a number of results below 1.

    Raises:
        InputError: k is less than 1.
    """
    if k < 1:
        raise InputError(f"k must be at least 1, got {k}: ask for one result or more")
