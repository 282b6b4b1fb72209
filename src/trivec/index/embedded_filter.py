"""Filters in Qdrant Edge's words, meaning exactly what `trivec.index.conditions` says.

Edge compares numbers as 64-bit floats and finds elements of lists by itself. The few conditions it cannot
express exactly are asked of our own `matches`, and reach Edge as the list of points that meet them.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, assert_never

import qdrant_edge as edge

from trivec.index.conditions import And, Comparison, Exists, Filter, Membership, Not, Or, is_number, read_time
from trivec.index.embedded_points import (
    NULL_PATH,
    PRESENT_PATH,
    field_path,
    flag_path,
    time_path,
    write_flag,
    write_time,
)
from trivec.types import Scalar

Condition: TypeAlias = Any
"""One of Edge's condition classes, which have no common base."""

PointIds: TypeAlias = set[int | uuid.UUID | str]
"""As Edge declares it; ours are all UUIDs."""

_EXACT_FLOAT = 2**53
"""Below this, every whole number is a float of its own."""

_RANGE_WORDS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}


@dataclass(frozen=True)
class FilterTranslator:
    """Translates filters for one shard.

    Attributes:
        matching: the points whose passages meet a condition, found by `matches`.
        index: called with every payload path that a condition reads, and the kind of value it looks for.
    """

    matching: Callable[[Filter], PointIds]
    index: Callable[[str, edge.PayloadSchemaType], None]

    def translate(self, where: Filter) -> edge.Filter:
        """The whole filter."""
        return edge.Filter(must=[self.condition(where)])

    def condition(self, where: Filter) -> Condition:
        """One part of a filter, as something that fits into a list of Edge conditions."""
        match where:
            case And(parts):
                return edge.Filter(must=[self.condition(part) for part in parts])
            case Or(parts):
                return edge.Filter(should=[self.condition(part) for part in parts])
            case Not(part):
                return edge.Filter(must_not=[self.condition(part)])
            case Exists(field):
                return self.text(PRESENT_PATH, field)
            case Membership():
                return self.membership(where)
            case Comparison():
                return self.comparison(where)
            case _:
                assert_never(where)

    def membership(self, where: Membership) -> Condition:
        """``in`` and ``all``, value by value. Edge takes an empty ``should`` for true, so it is never sent."""
        found = [self.equality(where.field, value) for value in where.values]
        if where.quantifier == "all":
            return edge.Filter(must=found)
        return edge.Filter(should=found) if found else edge.HasIdCondition(set())

    def comparison(self, where: Comparison) -> Condition:
        """One of the six operators."""
        if where.operator == "=":
            return self.equality(where.field, where.value)
        if where.operator == "!=":
            return edge.Filter(must_not=[self.equality(where.field, where.value)])
        word = _RANGE_WORDS[where.operator]
        if is_number(where.value):
            return self.number_range(where, {word: where.value})
        if where.field in ("id", "title"):
            return edge.HasIdCondition(self.matching(where))
        time = read_time(where.value)
        assert time is not None
        path = time_path(where.field)
        self.index(path, edge.PayloadSchemaType.Datetime)
        return edge.FieldCondition(path, range=edge.RangeDateTime(**{word: write_time(time)}))

    def equality(self, field: str, value: Scalar) -> Condition:
        """``field = value``."""
        if value is None:
            return self.text(NULL_PATH, field)
        if isinstance(value, bool):
            return self.text(flag_path(field), write_flag(value))
        if isinstance(value, str):
            return self.text(field_path(field), value)
        return self.number_range(Comparison(field, "=", value), {"gte": value, "lte": value})

    def text(self, path: str, text: str) -> Condition:
        """A text in the payload, or one of a list of them."""
        self.index(path, edge.PayloadSchemaType.Keyword)
        return edge.FieldCondition(path, match=edge.MatchValue(text))

    def number_range(self, where: Comparison, bounds: dict[str, Any]) -> Condition:
        """A comparison of numbers. Whole numbers too large for a float are compared by us."""
        if abs(bounds[next(iter(bounds))]) >= _EXACT_FLOAT:
            return edge.HasIdCondition(self.matching(where))
        path = field_path(where.field)
        self.index(path, edge.PayloadSchemaType.Float)
        return edge.FieldCondition(path, range=edge.RangeFloat(**bounds))
