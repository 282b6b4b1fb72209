"""Choosing among ways without fooling oneself: which queries take part, cross-validation, and simple goes first."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedQuery, hashed
from trivec.evaluate.measures import Relevance
from trivec.search.collection import Collection
from trivec.types import IntArray

FEWEST_QUERIES = 30
FOLDS = 5
_MOST_QUERIES = 1000


def usable_queries(
    library: Collection, queries: Sequence[JudgedQuery], relevance: Relevance, seed: int
) -> list[JudgedQuery]:
    """Queries that have an answer in a library; of more than a thousand a sample.

    Raises:
        InputError: there are too few.
    """
    answered = [query for query in queries if _has_answer(library, relevance.get(query.id, {}))]
    if len(answered) < FEWEST_QUERIES:
        raise InputError(
            f"{len(answered)} of {len(queries)} queries have an answer in the library, and fewer than {FEWEST_QUERIES} "
            "would choose by chance: judge more queries"
        )
    return sorted(answered, key=lambda query: hashed(f"{seed}\0{query.id}"))[:_MOST_QUERIES]


def folds_of(queries: Sequence[JudgedQuery], seed: int) -> IntArray:
    """(n,) the fold of each query, by a hash of its id."""
    return np.asarray([hashed(f"{seed}\0{query.id}") % FOLDS for query in queries], np.int64)


def simplest(values: NDArray[np.float64], sizes: Sequence[int]) -> int:
    """The number of the simplest way that is not measurably worse than the best.

    Within one standard error of the difference from the best (Breiman et al. 1984), the smallest goes first, and of
    equally small ones the better.

    Args:
        values: (w, n) of w ways by query; higher is better.
        sizes: of each way.
    """
    best = int(values.mean(axis=1).argmax())
    lost = values[best] - values
    errors = lost.std(axis=1) / math.sqrt(values.shape[1])
    near = [place for place in range(len(values)) if lost[place].mean() <= errors[place]]
    return min(near, key=lambda place: (sizes[place], lost[place].mean()))


def chosen_by_others(values: NDArray[np.float64], sizes: Sequence[int], folds: IntArray) -> IntArray:
    """(n,) for each query, the way that is `simplest` on the queries of the other folds.

    Args:
        values: (w, n) of w ways by query; higher is better.
        sizes: of each way.
        folds: (n,) of the queries.
    """
    chosen = np.zeros(len(folds), np.int64)
    for fold in np.unique(folds).tolist():
        chosen[folds == fold] = simplest(values[:, folds != fold], sizes)
    return chosen


def _has_answer(library: Collection, grades: Mapping[str, int]) -> bool:
    return any(grade > 0 and library.get(document) is not None for document, grade in grades.items())
