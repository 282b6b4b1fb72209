"""What a filter is: conditions on the metadata of a document, and when a passage meets them.

A filter is one of six small values: `Comparison`, `Membership`, `Exists`, `And`, `Or`, `Not`. Each knows
whether a passage meets it (`matches`), and ``str`` gives the expression that
`trivec.index.filters.parse_filter` reads back. The rules, which every store follows:

- A field is a metadata key, or ``id`` (the document's id) or ``title``. An empty title counts as missing.
- A field has no value (missing, or an empty list), one, or several. A comparison holds if any value
  satisfies it.
- ``=`` compares text with text exactly, numbers with numbers (1 equals 1.0), true and false only with each
  other, and null only with null.
- ``<``, ``<=``, ``>`` and ``>=`` compare numbers, or ISO dates and times as points in time. A date alone is
  its midnight, and a time without a zone is UTC. Values of another kind never satisfy them.
- ``!=`` is ``not =``, so it holds where the field is missing.
- ``exists`` holds if there is a value that is not null; ``missing`` is ``not exists``.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from operator import ge, gt, le, lt
from typing import Any, Literal, TypeAlias, get_args

from trivec.errors import FilterError
from trivec.types import Passage, Scalar

Operator: TypeAlias = Literal["=", "!=", "<", "<=", ">", ">="]
Quantifier: TypeAlias = Literal["any", "all"]

KEYWORDS = frozenset({"and", "or", "not", "in", "any", "all", "exists", "missing", "true", "false", "null"})
"""Words of the language. A field with such a name is written in backticks."""

ORDERS: dict[str, Callable[[Any, Any], bool]] = {"<": lt, "<=": le, ">": gt, ">=": ge}
"""Operators that need an order, not only equality."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """``field operator value``.

    Raises:
        FilterError: the operator is unknown, or needs an order and the value has none.
    """

    field: str
    operator: Operator
    value: Scalar

    def __post_init__(self) -> None:
        if self.operator not in get_args(Operator):
            raise FilterError(f"unknown operator {self.operator!r}: use one of {' '.join(get_args(Operator))}")
        _check_scalar(self.value)
        if self.operator in ORDERS and not is_number(self.value) and read_time(self.value) is None:
            raise FilterError(
                f"{self.operator} cannot compare with {write_value(self.value)}: "
                'give a number, or a date such as "2024-01-31" or "2024-01-31T12:00:00Z"'
            )

    def matches(self, passage: Passage) -> bool:
        """Whether a passage meets the condition."""
        values = field_values(passage, self.field)
        if self.operator == "=":
            return any(equal(value, self.value) for value in values)
        if self.operator == "!=":
            return not any(equal(value, self.value) for value in values)
        order = ORDERS[self.operator]
        if is_number(self.value):
            return any(is_number(value) and order(value, self.value) for value in values)
        times = (read_time(value) for value in values)
        return any(time is not None and order(time, read_time(self.value)) for time in times)

    def __str__(self) -> str:
        return f"{write_field(self.field)} {self.operator} {write_value(self.value)}"


@dataclass(frozen=True, slots=True)
class Membership:
    """``field in [values]``: any of them is there; or ``field all [values]``: each of them is.

    ``in []`` holds for no passage, ``all []`` for every one.
    """

    field: str
    values: tuple[Scalar, ...]
    quantifier: Quantifier = "any"

    def __post_init__(self) -> None:
        for value in self.values:
            _check_scalar(value)

    def matches(self, passage: Passage) -> bool:
        """Whether a passage meets the condition."""
        present = field_values(passage, self.field)
        found = (any(equal(value, wanted) for value in present) for wanted in self.values)
        return all(found) if self.quantifier == "all" else any(found)

    def __str__(self) -> str:
        word = "all" if self.quantifier == "all" else "in"
        return f"{write_field(self.field)} {word} [{', '.join(map(write_value, self.values))}]"


@dataclass(frozen=True, slots=True)
class Exists:
    """``exists field``: it has a value other than null."""

    field: str

    def matches(self, passage: Passage) -> bool:
        """Whether a passage meets the condition."""
        return has_value(passage, self.field)

    def __str__(self) -> str:
        return f"exists {write_field(self.field)}"


@dataclass(frozen=True, slots=True)
class And:
    """``part and part ...``, two or more."""

    parts: tuple[Filter, ...]

    def __post_init__(self) -> None:
        _check_parts("and", self.parts)

    def matches(self, passage: Passage) -> bool:
        """Whether a passage meets every part."""
        return all(part.matches(passage) for part in self.parts)

    def __str__(self) -> str:
        return " and ".join(f"({part})" if isinstance(part, And | Or) else str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Or:
    """``part or part ...``, two or more."""

    parts: tuple[Filter, ...]

    def __post_init__(self) -> None:
        _check_parts("or", self.parts)

    def matches(self, passage: Passage) -> bool:
        """Whether a passage meets at least one part."""
        return any(part.matches(passage) for part in self.parts)

    def __str__(self) -> str:
        return " or ".join(f"({part})" if isinstance(part, Or) else str(part) for part in self.parts)


@dataclass(frozen=True, slots=True)
class Not:
    """``not part``."""

    part: Filter

    def matches(self, passage: Passage) -> bool:
        """Whether a passage does not meet the part."""
        return not self.part.matches(passage)

    def __str__(self) -> str:
        if isinstance(self.part, Exists):
            return f"missing {write_field(self.part.field)}"
        if isinstance(self.part, Membership) and self.part.quantifier == "any":
            return str(self.part).replace(" in [", " not in [", 1)
        return f"not ({self.part})" if isinstance(self.part, And | Or) else f"not {self.part}"


Filter: TypeAlias = Comparison | Membership | Exists | And | Or | Not


def field_values(passage: Passage, field: str) -> Sequence[Scalar]:
    """The values a passage has for a field, none, one or several."""
    if field == "id":
        return (passage.document_id,)
    if field == "title":
        return (passage.title,) if passage.title else ()
    if field not in passage.metadata:
        return ()
    value = passage.metadata[field]
    return value if isinstance(value, list) else (value,)


def has_value(passage: Passage, field: str) -> bool:
    """Whether a field has a value other than null."""
    return any(value is not None for value in field_values(passage, field))


def has_null(passage: Passage, field: str) -> bool:
    """Whether null is among the values of a field."""
    return any(value is None for value in field_values(passage, field))


def equal(value: Scalar, other: Scalar) -> bool:
    """Equality of the filter language: 1 equals 1.0, but true does not equal 1."""
    if is_number(value) and is_number(other):
        return value == other
    return type(value) is type(other) and value == other


def is_number(value: Scalar) -> bool:
    """Whether a value is a number; true and false are none."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def read_time(value: Scalar) -> datetime | None:
    """The point in time that a text ``YYYY-MM-DD`` or ``YYYY-MM-DD hh:mm...`` names, in UTC; else None."""
    if not isinstance(value, str) or len(value) < 10 or value[4] != "-" or value[7] != "-":
        return None
    if len(value) > 10 and value[10] not in "T ":
        return None
    try:
        time = datetime.fromisoformat(value)
        return time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def write_value(value: Scalar) -> str:
    """A value as the language writes it."""
    return json.dumps(value, ensure_ascii=False)


def write_field(name: str) -> str:
    """A field's name as the language writes it: in backticks if it is not a plain word."""
    plain = name[:1].isalpha() or name[:1] == "_"
    if plain and all(is_name_character(c) for c in name) and name.lower() not in KEYWORDS:
        return name
    return "`" + json.dumps(name, ensure_ascii=False)[1:-1].replace("`", "\\`") + "`"


def is_name_character(character: str) -> bool:
    """Whether a character may stand in a field's name without backticks."""
    return character.isalnum() or character in "_-."


def _check_scalar(value: Scalar) -> None:
    if value is not None and not isinstance(value, str | int | float):
        raise FilterError(f"cannot compare with {value!r}: give text, a number, true, false or null")
    if isinstance(value, float) and not math.isfinite(value):
        raise FilterError(f"cannot compare with the number {value}: give a finite one")


def _check_parts(word: str, parts: Sequence[Filter]) -> None:
    if len(parts) < 2:
        raise FilterError(f"{word!r} joins {len(parts)} condition(s): give at least two")
