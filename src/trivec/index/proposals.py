"""What several signals propose for one query: the union of their best passages, with everybody's scores."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from trivec.embeddings import Embeddings
from trivec.index.filters import Filter
from trivec.types import FloatArray, IntArray, Signal

if TYPE_CHECKING:
    from trivec.index.store import Store


class Proposals(Protocol):
    """Passages 0 to n - 1, in no order that means anything, as a store found them at one moment."""

    @property
    def ids(self) -> Sequence[str]:
        """Passage ids."""
        ...

    @property
    def scores(self) -> Mapping[Signal, FloatArray]:
        """For each signal that proposed, shape (n,): its score, NaN where it has none."""
        ...

    @property
    def exhausted(self) -> bool:
        """Whether no signal has anything more to propose."""
        ...

    def score(self, signal: Signal, rows: IntArray) -> FloatArray:
        """Exact scores of some of the passages by any signal, as `Store.score` gives them."""
        ...


@dataclass(frozen=True, eq=False)
class SearchedProposals:
    """Proposals of a store that is asked signal by signal."""

    ids: Sequence[str]
    scores: Mapping[Signal, FloatArray]
    exhausted: bool
    store: Store
    query: Embeddings

    def score(self, signal: Signal, rows: IntArray) -> FloatArray:
        """See `Proposals.score`."""
        return self.store.score(signal, self.query, [self.ids[row] for row in rows.tolist()])


def propose_by_search(
    store: Store, signals: Sequence[Signal], query: Embeddings, k: int, where: Filter | None, complete: bool
) -> SearchedProposals:
    """`Store.propose` for a store that has only `search` and `score`."""
    rankings = {signal: store.search(signal, query, k, where) for signal in signals}
    ids = list(dict.fromkeys(itertools.chain.from_iterable(ranking.ids for ranking in rankings.values())))
    places = dict(zip(ids, range(len(ids)), strict=True))
    known: dict[Signal, FloatArray] = {}
    for signal, ranking in rankings.items():
        scores = np.full(len(ids), np.nan, np.float32)
        scores[np.fromiter(map(places.__getitem__, ranking.ids), np.int64, len(ranking))] = ranking.scores
        missing = np.flatnonzero(np.isnan(scores))
        if complete and len(missing):
            scores[missing] = store.score(signal, query, [ids[row] for row in missing.tolist()])
        known[signal] = scores
    exhausted = all(len(ranking) < k for ranking in rankings.values())
    return SearchedProposals(ids, known, exhausted, store, query)
