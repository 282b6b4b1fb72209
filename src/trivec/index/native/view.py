"""What a store holds at one moment: open segments and which of their rows are alive. Never changes, so needs no lock.

Numbers that BM25 needs of all passages (how many, how long, how many hold a term) are those of the live rows of all
segments, counted when first asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivec.embeddings import Embeddings
from trivec.index.filters import Filter
from trivec.index.native.encodings import encode_query
from trivec.index.native.found import NOTHING, Found
from trivec.index.native.records import State
from trivec.index.native.segment import BoolArray, Segment
from trivec.index.native.signal_queries import (
    Bm25Query,
    DenseQuery,
    MultiQuery,
    SignalQuery,
    SparseQuery,
    StagedMultiQuery,
)
from trivec.index.queries import row_weights, term_counts
from trivec.index.ranking import Ranking, best_rows, chosen_rows
from trivec.types import FloatArray, IntArray, Signal


@dataclass(frozen=True, eq=False)
class Member:
    """A segment of a view; ``alive`` is (n,), or None while no row is dead, as the bits of ``dead`` say."""

    segment: Segment
    dead: bytes
    alive: BoolArray | None

    @cached_property
    def live(self) -> int:
        """How many rows are alive."""
        return len(self.segment) if self.alive is None else int(self.alive.sum())

    def allowed(self, where: Filter | None) -> BoolArray | None:
        """Live rows that pass a filter, or None for all rows."""
        if where is None:
            return self.alive
        mask = self.segment.mask(where)
        return mask if self.alive is None else mask & self.alive

    def rows(self, where: Filter | None = None) -> IntArray:
        """Live rows that pass a filter, ascending."""
        allowed = self.allowed(where)
        return np.arange(len(self.segment)) if allowed is None else np.flatnonzero(allowed)


@dataclass(frozen=True, eq=False)
class Places:
    """Where passages lie: the place of the segment in the view, and the row; -1 for one that is not there."""

    members: IntArray
    rows: IntArray

    def __len__(self) -> int:
        return len(self.rows)

    def select(self, which: IntArray | slice) -> Places:
        """Some of the places."""
        return Places(self.members[which], self.rows[which])

    def by_member(self) -> Iterator[tuple[int, IntArray | slice]]:
        """Every member that occurs, and which of the places are in it."""
        if len(self.members) and self.members[0] >= 0 and (self.members == self.members[0]).all():
            yield int(self.members[0]), slice(None)
            return
        for member in np.flatnonzero(np.bincount(self.members + 1)[1:]).tolist():
            yield member, np.flatnonzero(self.members == member)


class View:
    """The open segments of one state of the catalogue, in ascending order of passage numbers."""

    def __init__(self, state: State, members: Sequence[Member]) -> None:
        self.state = state
        self.members = tuple(members)
        self._starts = np.asarray([member.segment.record.first for member in members], np.int64)
        self._holders: dict[int, int] = {}
        self._asked: dict[tuple[int, str], tuple[Embeddings, Any]] = {}

    @cached_property
    def live(self) -> int:
        """How many passages there are."""
        return sum(member.live for member in self.members)

    @cached_property
    def documents(self) -> int:
        """How many documents there are."""
        return sum(int(member.segment.firsts[member.rows()].sum()) for member in self.members)

    @property
    def disk_bytes(self) -> int:
        """Size of all segments on disk."""
        return sum(file.bytes for member in self.members for file in member.segment.record.files.values())

    def count(self, where: Filter | None) -> int:
        """How many passages pass a filter."""
        return self.live if where is None else sum(len(member.rows(where)) for member in self.members)

    def names(self, where: Filter | None) -> list[str]:
        """Ids of the passages that pass a filter, in no order."""
        return [name for member in self.members for name in member.segment.names(member.rows(where))]

    def ask(self, signal: Signal, query: Embeddings) -> SignalQuery:
        """A query as segments are asked it.

        Raises:
            InputError, MissingHeadError, LibraryMismatchError: it does not fit the store.
        """
        asked: SignalQuery = self._recent(query, signal, lambda: self._made_ready(signal, query))
        return asked

    def _recent(self, query: Embeddings, purpose: str, make: Callable[[], Any]) -> Any:  # noqa: ANN401
        """What was made of a query, made once: one search asks several times with the same object."""
        key = id(query), purpose
        known, value = self._asked.get(key, (None, None))
        if known is not query:  # the query is kept with the value, so its number cannot have become another's
            value = make()
            if len(self._asked) >= _ASKED:
                self._asked = {}
            self._asked[key] = query, value
        return value

    def _made_ready(self, signal: Signal, query: Embeddings) -> SignalQuery:
        assert self.state.settings.schema is not None
        self.state.settings.schema.check_query(signal, query)
        if signal == "bm25":
            weights = self.term_weights(query)
            return Bm25Query(*_pairs(weights.keys(), weights.values()), self.average_length, self.state.settings.bm25)
        if signal == "sparse":
            assert query.sparse is not None
            return SparseQuery(*_pairs(*row_weights(query.sparse, 0)))
        if signal == "dense":
            assert query.dense is not None
            return DenseQuery(np.ascontiguousarray(query.dense[0], np.float32))
        assert query.multi is not None
        exact, options = MultiQuery(np.ascontiguousarray(query.multi[0], np.float32)), self.state.settings.options
        if options.multi_first_stage == "exact" or not len(exact.vectors):
            return exact
        return StagedMultiQuery(exact, encode_query(exact.vectors, self.state.settings), options)

    def search(self, asked: SignalQuery, k: int, where: Filter | None) -> Ranking:
        """The best k passages."""
        places, scores = _joined(self.find(asked, k, [member.allowed(where) for member in self.members]))
        order = best_rows(lambda place: self.name_at(places, place), scores, k)
        return Ranking(self.names_at(places.select(order)).tolist(), scores[order])

    def find(self, asked: SignalQuery, k: int, allowed: Sequence[BoolArray | None], more: bool = False) -> list[Found]:
        """What each member finds among its allowed rows. With ``more``, scores of other rows will be asked for."""
        return [
            NOTHING if mask is not None and not mask.any() else asked.best(member.segment, k, mask, more)
            for member, mask in zip(self.members, allowed, strict=True)
        ]

    def begin(self, asked: DenseQuery, k: int, allowed: Sequence[BoolArray | None]) -> Callable[[], list[Found]]:
        """The best k of each member or about these, in two steps: see `DensePart.begin`."""
        parts = zip(self.members, allowed, strict=True)
        ends = [asked.begin(member.segment, k, mask) for member, mask in parts]
        return lambda: [end() for end in ends]

    def chosen(self, found: Sequence[Found], k: int) -> tuple[Places, FloatArray]:
        """The best k of what the members found, in no order that means anything, and their scores."""
        places, scores = _joined(found)
        rows = chosen_rows(lambda place: self.name_at(places, place), scores, k)
        return places.select(rows), scores[rows]

    def score(self, asked: SignalQuery, places: Places) -> FloatArray:
        """Scores of passages, shape (len(places),); 0 for one that is not there."""
        scores = np.zeros(len(places), np.float32)
        for member, chosen in places.by_member():
            scores[chosen] = asked.score(self.members[member].segment, places.rows[chosen])
        return scores

    def name_at(self, places: Places, place: int) -> str:
        """The id of one passage that is there."""
        row = places.rows[place : place + 1]
        return str(self.members[int(places.members[place])].segment.names(row)[0])

    def names_at(self, places: Places) -> NDArray[np.object_]:
        """The ids of passages, all of them there."""
        names = np.empty(len(places), object)
        for member, chosen in places.by_member():
            names[chosen] = self.members[member].segment.names(places.rows[chosen])
        return names

    @cached_property
    def _row_starts(self) -> IntArray:
        return np.cumsum([0, *(len(member.segment) for member in self.members)])

    @property
    def rows(self) -> int:
        """Rows of all segments, dead ones included."""
        return int(self._row_starts[-1])

    def row_numbers(self, places: Places) -> IntArray:
        """Places as numbers: rows counted through all segments."""
        return self._row_starts[places.members] + places.rows

    def places_of(self, row_numbers: IntArray) -> Places:
        """The places that have these numbers."""
        members = np.searchsorted(self._row_starts, row_numbers, "right") - 1
        return Places(members, row_numbers - self._row_starts[members])

    def locate(self, numbers: IntArray) -> Places:
        """Where live passages with these numbers lie."""
        holders = np.searchsorted(self._starts, numbers, "right") - 1
        places = Places(holders, np.full(len(numbers), -1))
        for member, chosen in places.by_member():
            rows = self.members[member].segment.find(numbers[chosen])
            alive = self.members[member].alive
            if alive is not None:
                rows = np.where((rows >= 0) & alive[rows], rows, -1)
            places.rows[chosen] = rows
        return Places(np.where(places.rows >= 0, holders, -1), places.rows)

    def vectors(self, places: Places) -> Embeddings:
        """Stored vectors at places, all of them there, in their order."""
        chosen = [(member, np.arange(len(places))[rows]) for member, rows in places.by_member()]
        if not chosen:
            return self.members[0].segment.vectors(np.zeros(0, np.int64)) if self.members else Embeddings()
        parts = [self.members[member].segment.vectors(places.rows[rows]) for member, rows in chosen]
        if len(parts) == 1:
            return parts[0]
        order = np.argsort(np.concatenate([rows for _, rows in chosen]))
        return Embeddings.concatenate(parts).select(order)

    @cached_property
    def average_length(self) -> float:
        """Mean number of terms of a live passage."""
        total = 0.0
        for member in self.members:
            assert member.segment.terms is not None
            lengths = member.segment.terms.lengths
            total += float((lengths if member.alive is None else lengths[member.alive]).sum(dtype=np.float64))
        return total / self.live if self.live else 0.0

    def term_weights(self, query: Embeddings) -> dict[int, float]:
        """Weight of each query term that occurs anywhere: its count in the query times idf, as BM25 defines it."""
        weights: dict[int, float] = self._recent(query, "weights", lambda: self._term_weights(term_counts(query)))
        return weights

    def _term_weights(self, counts: Mapping[int, float]) -> dict[int, float]:
        self._count_holders([term for term in counts if term not in self._holders])
        weights: dict[int, float] = {}
        for term, count in counts.items():
            holders = self._holders[term]
            if holders:
                weights[term] = count * float(np.log1p((self.live - holders + 0.5) / (holders + 0.5)))
        return weights

    def _count_holders(self, terms: Sequence[int]) -> None:
        """How many live passages hold each of these terms."""
        if not terms:
            return
        total = np.zeros(len(terms), np.int64)
        for member in self.members:
            if member.segment.terms is not None:
                total += member.segment.terms.frequencies(np.asarray(terms, np.int64), member.alive)
        self._holders.update(zip(terms, total.tolist(), strict=True))


_ASKED = 32
"""Queries, by signal, whose ready form a view keeps."""


def _joined(found: Sequence[Found]) -> tuple[Places, FloatArray]:
    """What each member found, end to end."""
    members = np.repeat(np.arange(len(found)), [len(part.rows) for part in found])
    rows = np.concatenate([NOTHING.rows, *(part.rows for part in found)])
    return Places(members, rows), np.concatenate([NOTHING.scores, *(part.scores for part in found)])


def _pairs(terms: Iterable[int], weights: Iterable[float]) -> tuple[IntArray, FloatArray]:
    return np.fromiter(terms, np.int64), np.fromiter(weights, np.float32)


def alive_rows(dead: bytes, rows: int) -> BoolArray | None:
    """Which rows are alive, from the catalogue's bits of the dead; None for all."""
    if not dead:
        return None
    bits = np.unpackbits(np.frombuffer(dead, np.uint8), count=rows, bitorder="little")
    return np.logical_not(bits)


def dead_bits(alive: BoolArray) -> bytes:
    """The catalogue's bits of rows that are not alive; empty where all are."""
    return b"" if alive.all() else np.packbits(~alive, bitorder="little").tobytes()
