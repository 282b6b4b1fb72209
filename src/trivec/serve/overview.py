"""`look_over`: what a library holds, counted in one pass over its passages."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from trivec.index.store import Store
from trivec.types import Metadata, Scalar

MOST_COUNTED = 10_000
"""Different values of one field that are told apart; later ones are not counted."""

MOST_SHOWN = 20
"""Values of a field that are named, the most frequent."""

_BARS = 24
_LONGEST_VALUE = 200
_QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class ValueCount:
    """A value of a field, and how many documents have it."""

    value: Scalar
    documents: int


@dataclass(frozen=True)
class FieldCounts:
    """A metadata field.

    Attributes:
        name: of the field.
        documents: that have it.
        distinct: different values; of a list, each element counts.
        complete: whether all values were counted.
        values: the most frequent.
        lowest: of the numbers among the values; None if there are none.
        highest: likewise.
    """

    name: str
    documents: int
    distinct: int
    complete: bool
    values: tuple[ValueCount, ...]
    lowest: float | None
    highest: float | None


@dataclass(frozen=True)
class LengthBar:
    """Documents with at least ``low`` and fewer than ``high`` characters."""

    low: int
    high: int
    documents: int


@dataclass(frozen=True)
class Overview:
    """What a library holds.

    Attributes:
        documents: how many there are.
        passages: how many they make.
        length_quantiles: characters of the shortest document, of a quarter, half and three quarters of them, and of
            the longest.
        lengths: how many documents are how long; the bars are about equally wide on a logarithmic scale.
        fields: of the metadata, most frequent first.
    """

    documents: int
    passages: int
    length_quantiles: tuple[int, ...]
    lengths: tuple[LengthBar, ...]
    fields: tuple[FieldCounts, ...]


@dataclass
class _FieldTally:
    documents: int = 0
    complete: bool = True
    values: Counter[tuple[bool, Scalar]] = field(default_factory=Counter)

    def add(self, values: Sequence[Scalar]) -> None:
        self.documents += 1
        for value in dict.fromkeys((isinstance(one, bool), one) for one in values):
            if value in self.values or len(self.values) < MOST_COUNTED:
                self.values[value] += 1
            else:
                self.complete = False

    def counts(self, name: str) -> FieldCounts:
        numbers = [value for truth, value in self.values if isinstance(value, int | float) and not truth]
        shown = [
            ValueCount(value, count)
            for (_, value), count in sorted(self.values.items(), key=lambda one: (-one[1], str(one[0][1])))
            if not (isinstance(value, str) and len(value) > _LONGEST_VALUE)
        ]
        return FieldCounts(
            name=name,
            documents=self.documents,
            distinct=len(self.values),
            complete=self.complete,
            values=tuple(shown[:MOST_SHOWN]),
            lowest=min(numbers, default=None),
            highest=max(numbers, default=None),
        )


def look_over(store: Store) -> Overview:
    """Count what a store holds. Reads every passage, and keeps none."""
    lengths: list[int] = []
    tallies: dict[str, _FieldTally] = {}
    passages = 0
    for passage in store.select():
        passages += 1
        if passage.number == 0:
            _tally(passage.metadata, tallies)
        if passage.number == passage.count - 1:
            lengths.append(passage.end)
    fields = sorted((tally.counts(name) for name, tally in tallies.items()), key=lambda one: (-one.documents, one.name))
    return Overview(
        documents=len(lengths),
        passages=passages,
        length_quantiles=tuple(int(value) for value in np.quantile(lengths, _QUANTILES)) if lengths else (),
        lengths=_bars(lengths),
        fields=tuple(fields),
    )


def _tally(metadata: Metadata, tallies: dict[str, _FieldTally]) -> None:
    for name, value in metadata.items():
        values = value if isinstance(value, list) else [value]
        if present := [one for one in values if one is not None]:
            tallies.setdefault(name, _FieldTally()).add(present)


def _bars(lengths: Sequence[int]) -> tuple[LengthBar, ...]:
    if not lengths:
        return ()
    low, high = min(lengths), max(lengths) + 1
    edges = np.unique(np.geomspace(max(low, 1), max(high, 2), _BARS + 1).round().astype(int))
    edges[0] = low
    counts, _ = np.histogram(lengths, edges)
    return tuple(
        LengthBar(int(start), int(end), int(count))
        for start, end, count in zip(edges[:-1], edges[1:], counts, strict=True)
    )
