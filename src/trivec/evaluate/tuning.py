"""`tune`: how a library is searched best, found on its user's own queries without fooling oneself.

Many ways of searching are tried: each signal alone, weighted sums over a grid, and the rules that need no scale. What
is told is the value by cross-validation: queries are dealt into five folds, and each fold is answered by the way that
was best on the other four. A way with fewer signals that is not measurably worse than the best goes before it, see
`trivec.evaluate.choosing`.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trivec.evaluate.choosing import chosen_by_others, folds_of, simplest, usable_queries
from trivec.evaluate.judged_sets import JudgedQuery
from trivec.evaluate.library_pass import propose_from
from trivec.evaluate.measures import Relevance
from trivec.evaluate.offline_search import OfflineSearch
from trivec.evaluate.significance import Difference, difference
from trivec.progress import Progress
from trivec.search.collection import Collection
from trivec.search.options import SearchOptions
from trivec.types import SIGNALS, Signal

Labels: TypeAlias = Literal["judged", "pseudo"]
_K = 10
_DEPTH = 1000
_DEPTHS = ((100, 50), (200, 100), (500, 200), (1000, 400))
"""Candidates of each signal, and how many of their union get a MaxSim score; from cheap to dear."""

_LOSS = 0.001
"""So much may a cheaper depth lose."""

_KEPT = ("candidates", "shortlist", "reranker", "depth", "first_stage")
"""Options of the present way that every other one has too."""

_LARGE: tuple[float, ...] = (0.0, 0.5, 1.0)
_SMALL: tuple[float, ...] = (0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Tuned:
    """What was found.

    Attributes:
        options: the way of searching that was chosen.
        queries: on how many.
        labels: whether the queries were judged, or drawn from the documents.
        before: mean nDCG@10 of the library's present way.
        after: of the chosen ways by cross-validation, each on queries that did not choose it.
        change: from before to after.
        best_signal: the best single signal.
        best_signal_value: its mean nDCG@10.
        tried: how many ways.
    """

    options: SearchOptions
    queries: int
    labels: Labels
    before: float
    after: float
    change: Difference
    best_signal: Signal
    best_signal_value: float
    tried: int

    @property
    def is_better(self) -> bool:
        """Whether the change is an improvement beyond chance (p < 0.05)."""
        return self.change.mean > 0 and self.change.p < 0.05

    @property
    def single_signal(self) -> Signal | None:
        """The signal that wins alone, or None if a mix does."""
        used = [signal for signal, weight in (self.options.weights or {}).items() if weight]
        return used[0] if len(used) == 1 else None

    def evidence(self) -> dict[str, Any]:
        """As a library keeps it."""
        kept = {name: value for name, value in vars(self).items() if name not in ("options", "change")}
        return {**kept, "change": asdict(self.change), "measure": f"nDCG@{_K}"}


def tune(
    library: Collection,
    queries: Sequence[JudgedQuery],
    relevance: Relevance,
    labels: Labels = "judged",
    seed: int = 0,
    show_progress: bool = False,
) -> Tuned:
    """Find the way of searching that answers the queries best.

    Args:
        library: what is searched.
        queries: real ones, as they are asked; of more than a thousand a sample is taken.
        relevance: grades by query id and document id; above 0 is right.
        labels: whether people judged, or queries were drawn from documents.
        seed: of the folds and of random samples.
        show_progress: bars on terminals.

    Raises:
        InputError: there are too few queries, or none has an answer in the library.
    """
    queries = usable_queries(library, queries, relevance, seed)
    with Progress("searching", "queries", show_progress, len(queries)) as bar:
        searches = []
        for found in propose_from(library, queries, _DEPTH):
            searches.append(OfflineSearch(found))
            bar.update(1)
    trial = _Trial(searches, [relevance[query.id] for query in queries])
    present = library.search_options
    ways = _ways(library.store.signals, present)
    with Progress("trying", "ways to search", show_progress, len(ways)) as bar:
        values = []
        for way in ways:
            values.append(trial.values(way))
            bar.update(1)
    table = np.stack(values)
    before = trial.values(present)
    sizes = [len(way.weights or {}) for way in ways]
    after = table[chosen_by_others(table, sizes, folds_of(queries, seed)), np.arange(len(queries))]
    chosen = trial.cheapest(ways[simplest(table, sizes)])
    alone = {next(iter(way.weights or {})): row for way, row in zip(ways, table, strict=True) if _is_alone(way)}
    best_signal = max(alone, key=lambda signal: float(alone[signal].mean()))
    return Tuned(
        options=chosen,
        queries=len(queries),
        labels=labels,
        before=float(before.mean()),
        after=float(after.mean()),
        change=difference(before, after, seed),
        best_signal=best_signal,
        best_signal_value=float(alone[best_signal].mean()),
        tried=len(ways),
    )


class _Trial:
    """Tries ways of searching on queries."""

    def __init__(self, searches: Sequence[OfflineSearch], relevance: Sequence[Mapping[str, int]]) -> None:
        self._searches, self._relevance = searches, relevance

    def values(self, options: SearchOptions) -> NDArray[np.float64]:
        """nDCG@10 of each query."""
        pairs = zip(self._searches, self._relevance, strict=True)
        return np.asarray([ndcg_at_10(list(search.documents(options, _K)), grades) for search, grades in pairs])

    def cheapest(self, options: SearchOptions) -> SearchOptions:
        """With as few candidates as lose next to nothing."""
        ways = [replace(options, candidates=candidates, shortlist=shortlist) for candidates, shortlist in _DEPTHS]
        means = [float(self.values(way).mean()) for way in ways]
        return next(way for way, mean in zip(ways, means, strict=True) if mean >= max(means) - _LOSS)


def _ways(signals: Sequence[Signal], present: SearchOptions) -> list[SearchOptions]:
    """All that are tried: weighted sums over a grid, single signals among them, and rules that need no scale."""
    grids = [_LARGE if signal in ("dense", "multi") else _SMALL for signal in signals]
    ways = []
    seen = set()
    for weights in itertools.product(*grids):
        most = max(weights)
        shares = tuple(round(weight / most, 4) for weight in weights) if most else ()
        if shares and shares not in seen:
            seen.add(shares)
            ways.append(_way("weighted-sum", dict(zip(signals, shares, strict=True))))
    for fusion, share in itertools.product(("rrf", "z-score", "min-max"), (0.25, 0.5, 1.0)):
        ways.append(_way(fusion, {signal: 1.0 if signal in ("dense", "multi") else share for signal in signals}))
    kept = {name: getattr(present, name) for name in _KEPT}
    return [replace(way, **kept) for way in ways]


def _way(fusion: str, weights: Mapping[Signal, float]) -> SearchOptions:
    used = {signal: weights[signal] for signal in SIGNALS if weights.get(signal)}
    return SearchOptions(fusion=fusion, weights=used)


def _is_alone(way: SearchOptions) -> bool:
    return way.fusion == "weighted-sum" and len(way.weights or {}) == 1


def ndcg_at_10(documents: Sequence[str], grades: Mapping[str, int]) -> float:
    """nDCG@10 with linear gains, as `trivec.evaluate.measures` has it."""
    ideal = sorted((grade for grade in grades.values() if grade > 0), reverse=True)[:_K]
    found = [max(0, grades.get(document, 0)) for document in documents[:_K]]
    return _gain(found) / _gain(ideal)


def _gain(grades: Sequence[int]) -> float:
    return sum(grade / math.log2(rank + 2) for rank, grade in enumerate(grades))
