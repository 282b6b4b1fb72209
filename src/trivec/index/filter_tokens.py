"""The words of a filter expression, and the error that points at one of them."""

from __future__ import annotations

import math
import string
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from trivec.errors import FilterError
from trivec.index.conditions import KEYWORDS, is_name_character
from trivec.types import Scalar

TokenKind: TypeAlias = Literal["name", "value", "keyword", "symbol", "end"]

_SYMBOLS = ("==", "!=", "<=", ">=", "=", "<", ">", "(", ")", "[", "]", ",")
_CONSTANTS: dict[str, Scalar] = {"true": True, "false": False, "null": None}
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
_DIGITS = frozenset("0123456789")


@dataclass(frozen=True, slots=True)
class Token:
    """One word: what it is, how it is written, where it begins, and for a value what it stands for."""

    kind: TokenKind
    text: str
    start: int
    value: Scalar = None

    def __str__(self) -> str:
        return "the end" if self.kind == "end" else repr(self.text)


def filter_error(expression: str, place: int, problem: str) -> FilterError:
    """An error that shows the expression with a caret under the place."""
    shown = "".join(c if c.isprintable() else " " for c in expression)
    return FilterError(f"cannot read the filter: {problem}\n    {shown}\n    {' ' * place}^")


def tokenize(expression: str) -> list[Token]:
    """All words of an expression, with an ``end`` after the last.

    Raises:
        FilterError: a character has no place in the language, or a quote or number is not finished.
    """
    return list(_tokens(expression))


def _tokens(expression: str) -> Iterator[Token]:
    place = 0
    while place < len(expression):
        if expression[place].isspace():
            place += 1
            continue
        token, place = _read_token(expression, place)
        yield token
    yield Token("end", "", len(expression))


def _read_token(expression: str, start: int) -> tuple[Token, int]:
    character = expression[start]
    if character in "\"'":
        text, stop = _read_quoted(expression, start)
        return Token("value", expression[start:stop], start, text), stop
    if character == "`":
        text, stop = _read_quoted(expression, start)
        return Token("name", text, start), stop
    if character in _DIGITS or character in "+-.":
        return _read_number(expression, start)
    if character.isalpha() or character == "_":
        return _read_word(expression, start)
    for symbol in _SYMBOLS:
        if expression.startswith(symbol, start):
            return Token("symbol", symbol, start), start + len(symbol)
    raise filter_error(
        expression,
        start,
        f"{character!r} has no meaning here: put text in quotes and odd field names in backticks",
    )


def _stretch(expression: str, start: int, belongs: Callable[[str], bool]) -> int:
    """Where the run of characters that belong together ends."""
    stop = start
    while stop < len(expression) and belongs(expression[stop]):
        stop += 1
    return stop


def _read_word(expression: str, start: int) -> tuple[Token, int]:
    stop = _stretch(expression, start, is_name_character)
    word = expression[start:stop]
    lower = word.lower()
    if lower in _CONSTANTS:
        return Token("value", word, start, _CONSTANTS[lower]), stop
    if lower in KEYWORDS:
        return Token("keyword", lower, start), stop
    return Token("name", word, start), stop


def _read_number(expression: str, start: int) -> tuple[Token, int]:
    stop = _stretch(expression, start, lambda c: is_name_character(c) or c == "+")
    text = expression[start:stop]
    try:
        if not set(text) <= _DIGITS | set("+-.eE"):
            raise ValueError(text)
        value = float(text) if set(text) & set(".eE") else int(text)
        if not math.isfinite(value):
            raise ValueError(text)
    except ValueError:
        raise filter_error(
            expression,
            start,
            f"{text!r} is not a number: put text and dates in quotes and odd field names in backticks",
        ) from None
    return Token("value", text, start, value), stop


def _read_quoted(expression: str, start: int) -> tuple[str, int]:
    """The text in quotes that opens at ``start``, and the place after its closing quote."""
    quote = expression[start]
    pieces: list[str] = []
    place = start + 1
    while place < len(expression):
        if expression[place] == quote:
            return "".join(pieces), place + 1
        if expression[place] == "\\":
            piece, place = _read_escape(expression, place)
            pieces.append(piece)
        else:
            stop = _stretch(expression, place, lambda c: c not in (quote, "\\"))
            pieces.append(expression[place:stop])
            place = stop
    raise filter_error(expression, start, f"the quote {quote} that opens here is never closed: add {quote} at its end")


def _read_escape(expression: str, start: int) -> tuple[str, int]:
    r"""What an escape stands for: ``\n``-like letters, ``\u`` and four digits, or a symbol itself."""
    letter = expression[start + 1 : start + 2]
    if letter == "u":
        digits = expression[start + 2 : start + 6]
        if len(digits) == 4 and set(digits) <= set(string.hexdigits):
            return chr(int(digits, 16)), start + 6
    elif letter in _ESCAPES:
        return _ESCAPES[letter], start + 2
    elif letter and not letter.isalnum():
        return letter, start + 2
    raise filter_error(
        expression, start, f"unknown escape {expression[start : start + 2]!r}: write \\\\ for a backslash"
    )
