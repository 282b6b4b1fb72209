"""Reading filters: one small language for the command line, Python and HTTP.

    lang = "de" and year >= 2000
    lang in ["de", "fr"] or not (tags all ["plant", "sugar"])
    published < "2024-01-31" and exists author and `odd name` != true

Comparisons are ``=  !=  <  <=  >  >=``; lists go with ``in``, ``not in``, ``any`` (the same as ``in``) and
``all``; a field is asked for with ``exists`` and ``missing``; ``and`` binds stronger than ``or``. Text stands in
single or double quotes with backslash escapes. A field's name is a letter or ``_`` and then letters, digits,
``_``, ``-`` and ``.``; any other name stands in backticks. Words of the language may be written in capitals.

Python may give a mapping instead, whose entries are joined by ``and``: ``{"lang": "de"}``,
``{"lang": ["de", "fr"]}`` (any of them), ``{"year": {">=": 2000, "<": 2010}, "author": {"exists": True}}``.

What the conditions mean is said in `trivec.index.conditions`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias, cast, get_args

from trivec.errors import FilterError
from trivec.index.conditions import And, Comparison, Exists, Filter, Membership, Not, Operator, Or
from trivec.index.filter_tokens import Token, filter_error, tokenize
from trivec.types import Scalar

__all__ = ["And", "Comparison", "Exists", "Filter", "FilterLike", "Membership", "Not", "Or", "parse_filter"]

FilterLike: TypeAlias = str | Mapping[str, Any] | Filter | None
"""What `parse_filter` reads."""

_MAX_DEPTH = 100
_LIST_WORDS = ("in", "not in", "any", "all")


def parse_filter(where: FilterLike) -> Filter | None:
    """A filter from an expression or a mapping; a filter is given back as it is.

    An empty expression, an empty mapping and None are no filter: None.

    Raises:
        FilterError: it cannot be read; the message shows the place.
    """
    if where is None or isinstance(where, Filter):
        return where
    if isinstance(where, str):
        return _Parser(where).parse() if where.strip() else None
    if isinstance(where, Mapping):
        return _from_mapping(where)
    raise FilterError(
        f"a filter cannot be made of {type(where).__name__} {where!r}: "
        "give an expression such as 'lang = \"de\"' or a mapping such as {'lang': 'de'}"
    )


class _Parser:
    """Recursive descent; each method reads one rule of the grammar from the tokens.

    any      = all {"or" all}
    all      = one {"and" one}
    one      = "not" one | "(" any ")" | "exists" field | "missing" field | condition
    condition = field (operator value | ["not"] "in" list | "any" list | "all" list)
    """

    def __init__(self, expression: str) -> None:
        self.expression = expression
        self.tokens = tokenize(expression)
        self.next = 0
        self.depth = 0

    def parse(self) -> Filter:
        result = self.read_any()
        if self.token.kind != "end":
            raise self.error("expected 'and', 'or' or the end of the filter")
        return result

    @property
    def token(self) -> Token:
        return self.tokens[self.next]

    def error(self, problem: str) -> FilterError:
        return filter_error(self.expression, self.token.start, f"{problem}, found {self.token}")

    def accept(self, *texts: str) -> Token | None:
        """Step over the next token if it is one of these symbols or words of the language."""
        token = self.token
        if token.kind not in ("symbol", "keyword") or token.text not in texts:
            return None
        self.next += 1
        return token

    def expect(self, text: str, place: str) -> None:
        if not self.accept(text):
            raise self.error(f"expected {text!r} {place}")

    def read_any(self) -> Filter:
        parts = [self.read_all()]
        while self.accept("or"):
            parts.append(self.read_all())
        return parts[0] if len(parts) == 1 else Or(tuple(parts))

    def read_all(self) -> Filter:
        parts = [self.read_one()]
        while self.accept("and"):
            parts.append(self.read_one())
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def read_one(self) -> Filter:
        self.depth += 1
        if self.depth > _MAX_DEPTH:
            raise self.error(f"expected at most {_MAX_DEPTH} conditions inside one another")
        result = self.read_nested()
        self.depth -= 1
        return result

    def read_nested(self) -> Filter:
        if self.accept("not"):
            return Not(self.read_one())
        if self.accept("("):
            inner = self.read_any()
            self.expect(")", "to close the parenthesis")
            return inner
        if self.accept("exists"):
            return Exists(self.read_field("after 'exists'"))
        if self.accept("missing"):
            return Not(Exists(self.read_field("after 'missing'")))
        return self.read_condition()

    def read_field(self, place: str) -> str:
        if self.token.kind != "name":
            raise self.error(f"expected the name of a field {place}{self.hint_about_quotes()}")
        self.next += 1
        return self.tokens[self.next - 1].text

    def hint_about_quotes(self) -> str:
        if self.token.kind == "keyword" or (self.token.kind == "value" and isinstance(self.token.value, str)):
            return " (a field's name takes no quotes, or `backticks`)"
        return ""

    def read_condition(self) -> Filter:
        field = self.read_field("such as lang, or 'not', 'exists', 'missing' or '('")
        negated = self.accept("not") is not None
        word = self.accept("in") if negated else self.accept("in", "any", "all")
        if word:
            members = Membership(field, self.read_list(), "all" if word.text == "all" else "any")
            return Not(members) if negated else members
        if negated:
            raise self.error("expected 'in' after 'not'")
        return self.read_comparison(field)

    def read_comparison(self, field: str) -> Filter:
        operator = self.accept("==", *get_args(Operator))
        if not operator:
            raise self.error("expected one of = != < <= > >= in, not in, any, all")
        place = self.token.start
        value = self.read_value(f"after {operator.text!r}")
        name = "=" if operator.text == "==" else operator.text
        try:
            return Comparison(field, cast("Operator", name), value)
        except FilterError as error:
            raise filter_error(self.expression, place, str(error)) from None

    def read_value(self, place: str) -> Scalar:
        if self.token.kind != "value":
            hint = " (text takes quotes)" if self.token.kind == "name" else ""
            raise self.error(f"expected text in quotes, a number, true, false or null {place}{hint}")
        self.next += 1
        return self.tokens[self.next - 1].value

    def read_list(self) -> tuple[Scalar, ...]:
        self.expect("[", "to open a list of values")
        values: list[Scalar] = []
        if self.accept("]"):
            return ()
        while True:
            values.append(self.read_value("in the list"))
            if self.accept("]"):
                return tuple(values)
            self.expect(",", "or ']' in the list")


def _from_mapping(mapping: Mapping[str, Any]) -> Filter | None:
    parts = [part for field, wanted in mapping.items() for part in _field_conditions(field, wanted)]
    return And(tuple(parts)) if len(parts) > 1 else parts[0] if parts else None


def _field_conditions(field: str, wanted: object) -> list[Filter]:
    if not isinstance(field, str):
        raise FilterError(f"the name of a field must be text, not {field!r}: write it as a string")
    if isinstance(wanted, Mapping):
        return [_condition(field, word, value) for word, value in wanted.items()]
    if _is_list(wanted):
        return [_condition(field, "in", wanted)]
    return [_condition(field, "=", wanted)]


def _condition(field: str, word: str, value: Any) -> Filter:  # noqa: ANN401
    if word in get_args(Operator):
        return Comparison(field, cast("Operator", word), value)
    if word in ("exists", "missing"):
        if not isinstance(value, bool):
            raise FilterError(f"{word!r} of field {field!r} is {value!r}: give True or False")
        return Exists(field) if value is (word == "exists") else Not(Exists(field))
    if word in _LIST_WORDS:
        if not _is_list(value):
            raise FilterError(f"{word!r} of field {field!r} is {value!r}: give a list of values")
        members = Membership(field, tuple(value), "all" if word == "all" else "any")
        return Not(members) if word == "not in" else members
    known = ", ".join((*get_args(Operator), *_LIST_WORDS, "exists", "missing"))
    raise FilterError(f"unknown operator {word!r} for field {field!r}: use one of {known}")


def _is_list(value: object) -> bool:
    return isinstance(value, Sequence | set | frozenset) and not isinstance(value, str | bytes)
