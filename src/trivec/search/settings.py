"""Options as a library's settings keep them: what differs from the defaults, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, TypeVar

from trivec.errors import InputError

Options = TypeVar("Options")


def changed_settings(options: object) -> dict[str, Any]:
    """The values of a dataclass of options that differ from its defaults; `options_from` reads them."""
    default = type(options)()
    return {name: value for name, value in vars(options).items() if value != getattr(default, name)}


def options_from(kind: type[Options], settings: Mapping[str, object], what: str) -> Options:
    """Options of a dataclass from settings; ``what`` these are called.

    Raises:
        InputError: a setting is not known, or has a value that cannot be used.
    """
    names = {field.name for field in fields(kind)}  # type: ignore[arg-type]
    unknown = set(settings) - names
    if unknown:
        raise InputError(f"unknown {what} {sorted(unknown)}: known are {', '.join(sorted(names))}")
    return kind(**settings)
