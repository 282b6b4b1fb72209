"""JSON that other programs really write: lone surrogates and NaN are taken, which orjson alone refuses."""

from __future__ import annotations

import json
from typing import Any

import orjson

from trivec.encode.tokenizer import clean_text
from trivec.errors import InputError


def parse_json(text: str) -> Any:  # noqa: ANN401
    """The value that the text spells.

    Raises:
        InputError: it is broken; the message holds column and nearby text but no file.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass  # the slower parser knows more, and its messages are better
    try:
        return _clean(json.loads(text))
    except json.JSONDecodeError as error:
        near = text[max(0, error.pos - 20) : error.pos + 20].strip()
        where = f"line {error.lineno}, column {error.colno}" if error.lineno > 1 else f"column {error.colno}"
        raise InputError(f"broken JSON ({error.msg} at {where}, near {near!r})") from error
    except (ValueError, RecursionError) as error:  # numbers of 5,000 digits, lists in lists in lists ...
        raise InputError(f"JSON that cannot be read ({error})") from error


def kind_of(value: object) -> str:
    """The type in the words of JSON."""
    names = {
        dict: "an object",
        list: "a list",
        str: "text",
        bool: "a truth value",
        int: "a number",
        float: "a number",
    }
    return "null" if value is None else names.get(type(value), type(value).__name__)


def _clean(value: Any) -> Any:  # noqa: ANN401
    """Replace lone surrogates, which can be neither stored nor encoded."""
    if isinstance(value, str):
        return clean_text(value)
    if isinstance(value, list):
        return [_clean(item) for item in value]
    if isinstance(value, dict):
        return {clean_text(name): _clean(item) for name, item in value.items()}
    return value
