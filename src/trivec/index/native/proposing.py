"""Several signals asked of a view together: the best of each, their union, and everybody's scores of it.

Passages go by their rows here. Ids are decoded only for those that somebody asks about.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np

from trivec.embeddings import Embeddings
from trivec.index.filters import Filter
from trivec.index.native.found import Found
from trivec.index.native.signal_queries import DenseQuery, SignalQuery
from trivec.index.native.view import Places, View
from trivec.types import FloatArray, IntArray, Signal


@dataclass(frozen=True, eq=False)
class NativeProposals:
    """Follows `trivec.index.proposals.Proposals`. The view stays as it was, whatever is written meanwhile."""

    view: View
    query: Embeddings
    places: Places
    scores: Mapping[Signal, FloatArray]
    exhausted: bool

    @property
    def ids(self) -> Sequence[str]:
        """Passage ids, decoded when asked for."""
        return _Names(self.view, self.places)

    def score(self, signal: Signal, rows: IntArray) -> FloatArray:
        """Exact scores of some of the passages."""
        return self.view.score(self.view.ask(signal, self.query), self.places.select(rows))


class _Names(Sequence[str]):
    def __init__(self, view: View, places: Places) -> None:
        self._view, self._places = view, places

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, row: int) -> str: ...
    @overload
    def __getitem__(self, row: slice) -> list[str]: ...
    def __getitem__(self, row: int | slice) -> str | list[str]:
        if isinstance(row, slice):
            names: list[str] = self._view.names_at(self._places.select(row)).tolist()
            return names
        return self._view.name_at(self._places, row)

    def __iter__(self) -> Iterator[str]:
        return iter(self[:])


def propose(
    view: View, signals: Sequence[Signal], query: Embeddings, k: int, where: Filter | None, complete: bool
) -> NativeProposals:
    """See `trivec.index.store.Store.propose`."""
    asked, found = _search(view, signals, query, k, where, complete)
    chosen = {signal: view.chosen(parts, k) for signal, parts in found.items()}
    numbers = {signal: view.row_numbers(places) for signal, (places, _) in chosen.items()}
    union = _union(list(numbers.values()))
    places = view.places_of(union)
    scores: dict[Signal, FloatArray] = {}
    for signal in signals:
        if complete and all(part.known is not None for part in found[signal]):
            scores[signal] = _score(view, asked[signal], found[signal], places)
            continue
        values = np.full(len(union), np.nan, np.float32)
        values[np.searchsorted(union, numbers[signal])] = chosen[signal][1]
        missing = np.flatnonzero(np.isnan(values))
        if complete and len(missing):
            values[missing] = _score(view, asked[signal], found[signal], places.select(missing))
        scores[signal] = values
    return NativeProposals(view, query, places, scores, all(len(rows) < k for rows in numbers.values()))


def _union(numbers: Sequence[IntArray]) -> IntArray:
    """All numbers once, ascending: by sorting, since `numpy.unique` takes ten times as long for so few."""
    joined = np.sort(np.concatenate([np.full(1, -1), *numbers]))
    return joined[1:][np.diff(joined) > 0]


def _search(
    view: View, signals: Sequence[Signal], query: Embeddings, k: int, where: Filter | None, complete: bool
) -> tuple[dict[Signal, SignalQuery], dict[Signal, list[Found]]]:
    """The queries by signal, and what each member found. Another thread may begin with the dense search."""
    allowed = [member.allowed(where) for member in view.members]
    asked: dict[Signal, SignalQuery] = {}
    begun: dict[Signal, Callable[[], list[Found]]] = {}
    found: dict[Signal, list[Found]] = {}
    for signal in sorted(signals, key="dense".__ne__):
        asked[signal] = ready = view.ask(signal, query)
        if isinstance(ready, DenseQuery):
            begun[signal] = view.begin(ready, k, allowed)
        else:
            found[signal] = view.find(ready, k, allowed, complete and len(signals) > 1)
    return asked, found | {signal: end() for signal, end in begun.items()}


def _score(view: View, asked: SignalQuery, parts: Sequence[Found], places: Places) -> FloatArray:
    """Scores at places, from what the searches came by where they did."""
    scores = np.empty(len(places), np.float32)
    for member, chosen in places.by_member():
        rows, known = places.rows[chosen], parts[member].known
        scores[chosen] = asked.score(view.members[member].segment, rows) if known is None else known.of(rows)
    return scores
