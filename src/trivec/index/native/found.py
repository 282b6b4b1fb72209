"""What a search of one segment found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from trivec.index.ranking import contenders
from trivec.types import FloatArray, IntArray


@dataclass(frozen=True, eq=False)
class Known:
    """Scores that a search came by on its way: of every row that it was allowed to find.

    Attributes:
        scores: one a row.
        rows: ascending; None for all rows of the segment.
    """

    scores: FloatArray
    rows: IntArray | None = None

    def of(self, rows: IntArray) -> FloatArray:
        """Scores of rows that it was allowed to find."""
        return self.scores[rows if self.rows is None else np.searchsorted(self.rows, rows)]


@dataclass(frozen=True, eq=False)
class Found:
    """Rows and their scores, best first; and what else is known, if anything."""

    rows: IntArray
    scores: FloatArray
    known: Known | None = None


NOTHING = Found(np.zeros(0, np.int64), np.zeros(0, np.float32))


def best_of(known: Known, k: int, least: float = -np.inf) -> Found:
    """The best k of the rows that score more than ``least``, and all that equal the last of them.

    Equal ones come by ascending row.
    """
    scores = known.scores
    if least > -np.inf:
        # before anything is compared with the k-th best: many equal scores, most of them 0, make that slow
        some = np.flatnonzero(scores > least)
        places = some[contenders(scores[some], k)]
    else:
        places = contenders(scores, k)
    places = places[np.argsort(-scores[places], kind="stable")]
    return Found(places if known.rows is None else known.rows[places], scores[places], known)
