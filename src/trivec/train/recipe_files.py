"""Recipes on disk: `TrainOptions`, or `RerankerOptions`, as YAML, flat, one field a line."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from trivec.errors import InputError
from trivec.tensorfile import write_text
from trivec.train.options import TrainOptions
from trivec.train.reranker_options import AnyOptions, RerankerOptions


def read_recipe(path: Path) -> AnyOptions:
    """Options from a YAML file; a line ``task: reranker`` makes them those of a reranker.

    Raises:
        InputError: there is no such file, it is no YAML mapping, or a field is unknown or has a wrong value.
    """
    content = read_values(path)
    try:
        return from_fields(content)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error


def read_values(path: Path) -> dict[str, Any]:
    """The fields of a YAML file, whatever they are.

    Raises:
        InputError: there is no such file, or it is no YAML mapping.
    """
    import yaml

    if not path.is_file():
        raise InputError(f"there is no recipe {path}: give a YAML file with options of trivec train")
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is no YAML ({str(error).splitlines()[0]}): correct it") from error
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise InputError(f"{path} holds a {type(content).__name__}, not fields and values: see recipes/ for examples")
    return content


def write_recipe(options: AnyOptions, path: Path) -> None:
    """Write options so that `read_recipe` gives them back, whole or not at all."""
    import yaml

    write_text(path, yaml.safe_dump(to_fields(options), sort_keys=False, allow_unicode=True, width=120))


def to_fields(options: object) -> dict[str, Any]:
    """Options as plain values by name, those of the groups among the others."""
    assert is_dataclass(options)
    result: dict[str, Any] = {}
    for field in fields(options):
        value = getattr(options, field.name)
        if is_dataclass(value):
            result |= to_fields(value)
        else:
            result[field.name] = _plain(value)
    return result


def from_fields(values: Mapping[str, Any]) -> AnyOptions:
    """Options out of plain values by name; what is not named keeps its default.

    Raises:
        InputError: a name is unknown, or a value has a wrong type or is out of range.
    """
    left = dict(values)
    kind, verb = (RerankerOptions, "reranker") if "task" in left else (TrainOptions, "m3")
    options: AnyOptions = _build(kind, left)
    if left:
        raise InputError(f"unknown option {', '.join(map(str, left))}: see trivec train {verb} --help")
    return options


def _plain(value: object) -> object:
    if isinstance(value, Path):
        return str(value)
    return list(value) if isinstance(value, tuple) else value


def _build(kind: type[Any], left: dict[str, Any]) -> Any:  # noqa: ANN401
    """Take the fields of a dataclass out of ``left``."""
    hints = typing.get_type_hints(kind)
    given: dict[str, Any] = {}
    for field in fields(kind):
        hint = hints[field.name]
        if is_dataclass(hint):
            assert isinstance(hint, type)
            given[field.name] = _build(hint, left)
        elif field.name in left:
            given[field.name] = _convert(field.name, left.pop(field.name), hint)
    return kind(**given)


def _convert(name: str, value: object, hint: Any) -> object:  # noqa: ANN401
    """A value as the type of its field.

    Raises:
        InputError: it is of another type.
    """
    if get_origin(hint) in (types.UnionType, typing.Union):
        if value is None:
            return None
        hint = next(kind for kind in get_args(hint) if kind is not type(None))
    if get_origin(hint) is tuple:
        return _several(name, value, get_args(hint))
    if get_origin(hint) is Literal:
        return _choice(name, value, get_args(hint))
    return _scalar(name, value, hint)


def _several(name: str, value: object, kinds: tuple[Any, ...]) -> tuple[object, ...]:
    items = value if isinstance(value, (list, tuple)) else [value]
    if kinds[-1] is not Ellipsis and len(items) != len(kinds):
        raise InputError(f"{name} is {value!r}: give {len(kinds)} values")
    return tuple(_convert(name, item, kinds[0]) for item in items)


def _choice(name: str, value: object, choices: tuple[object, ...]) -> object:
    if value not in choices:
        raise InputError(f"{name} is {value!r}: choose one of {', '.join(map(str, choices))}")
    return value


def _scalar(name: str, value: object, kind: type) -> object:
    if kind is Path and isinstance(value, str):
        return Path(value)
    if kind is float and isinstance(value, (int, float, str)) and not isinstance(value, bool):
        return _number(name, value)  # YAML reads 1e-5, without a point, as text
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise InputError(f"{name} is {value!r}: give a value of type {kind.__name__}")
    return value


def _number(name: str, value: float | str) -> float:
    try:
        return float(value)
    except ValueError as error:
        raise InputError(f"{name} is {value!r}: give a number") from error
