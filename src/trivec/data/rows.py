"""A row of named fields to an `Example`: the rules that all formats share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from trivec.data.examples import Example
from trivec.data.layouts import Layout, layout_of
from trivec.errors import InputError
from trivec.search.readers.json_text import kind_of
from trivec.search.readers.reading import Reading, SourceFile

Row: TypeAlias = tuple[str, object]
"""Where it stands, ``FILE:LINE``, and its fields by name if it is as it should be."""

RowReader: TypeAlias = Callable[[SourceFile, Reading], Iterator[Row]]
"""Reads one format. It raises `InputError` when the rest of the file is lost, and calls ``reading.bad(error)`` and goes
on when only one row is."""

LIST_COLUMNS = frozenset({"pos", "neg"})


def examples_of(rows: Iterable[Row], reading: Reading, own_group_only: bool) -> Iterator[Example]:
    """Turn rows into examples; a row that cannot be one is bad by itself."""
    for place, row in rows:
        try:
            example = example_of(row, place, own_group_only)
        except InputError as error:
            reading.bad(InputError(f"{place}: {error}"))
        else:
            yield example


def example_of(row: object, place: str = "", own_group_only: bool = False) -> Example:
    """The example that a row describes.

    Args:
        row: fields by name, in one of the layouts of `trivec.data.layouts`.
        place: where it stands, for `Example.place`.
        own_group_only: this holds for the whole file.

    Raises:
        InputError: a field is missing or has the wrong type or value.
    """
    if not isinstance(row, Mapping):
        raise InputError(
            f"not an object with named fields but {kind_of(row)} {row!r:.60}: give one object a line, "
            'such as {"query": "...", "pos": ["..."], "neg": []}'
        )
    layout = layout_of(tuple(row))
    positives, negatives = _texts(row, layout.positives), _texts(row, layout.negatives)
    positive_scores, negative_scores = _scores(row, layout, len(positives), len(negatives))
    return Example(
        query=_text(row[layout.query], repr(layout.query)),
        positives=positives,
        negatives=negatives,
        positive_scores=positive_scores,
        negative_scores=negative_scores,
        prompt=_optional_text(row, "prompt"),
        kind=_optional_text(row, "type") or "",
        query_id=_identity(row["query_id"], "'query_id'") if row.get("query_id") is not None else "",
        positive_ids=_identities(row, "pos_ids"),
        negative_ids=_identities(row, "neg_ids"),
        own_group_only=own_group_only or not _in_batch(row),
        place=place,
        extra={name: value for name, value in row.items() if name not in layout.known},
    )


def _text(value: object, name: str) -> str:
    if not isinstance(value, str):
        raise InputError(f"{name} is {kind_of(value)} {value!r:.60}, not text: make it a string")
    return value


def _texts(row: Mapping[str, Any], columns: tuple[str, ...]) -> tuple[str, ...]:
    """The texts of several columns, one after the other; null stands for none."""
    texts: list[str] = []
    for name in columns:
        value = row[name]
        if isinstance(value, list):
            texts += [_text(item, f"item {i + 1} of {name!r}") for i, item in enumerate(value)]
        elif name in LIST_COLUMNS and value is not None:
            raise InputError(
                f"{name!r} is {kind_of(value)} {value!r:.60}, not a list: write a list of texts, "
                f'such as {{"{name}": ["..."]}}'
            )
        elif value is not None:
            texts.append(_text(value, repr(name)))
    return tuple(texts)


def _scores(
    row: Mapping[str, Any], layout: Layout, positives: int, negatives: int
) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None]:
    if layout.joint_scores is None:
        return _numbers(row, layout.positive_scores), _numbers(row, layout.negative_scores)
    scores = _numbers(row, layout.joint_scores)
    if scores is None:
        return None, None
    if len(scores) not in (positives, positives + negatives):
        raise InputError(
            f"{layout.joint_scores!r} has {len(scores)} numbers for {positives} positives and {negatives} negatives: "
            "give one for each positive, then one for each negative"
        )
    return scores[:positives], scores[positives:] if len(scores) > positives else None


def _numbers(row: Mapping[str, Any], column: str | None) -> tuple[float, ...] | None:
    value = row[column] if column is not None else None
    if value is None:
        return None
    numbers = value if isinstance(value, list) else [value]
    for i, number in enumerate(numbers):
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise InputError(f"item {i + 1} of {column!r} is {kind_of(number)} {number!r:.60}: give a number")
    try:
        return tuple(float(number) for number in numbers)
    except OverflowError as error:
        raise InputError(f"{column!r} has a number that is too large for a score: give finite numbers") from error


def _optional_text(row: Mapping[str, Any], name: str) -> str | None:
    value = row.get(name)
    return None if value is None else _text(value, repr(name))


def _identities(row: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = row.get(name)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise InputError(f"{name!r} is {kind_of(value)} {value!r:.60}, not a list: give one id for each text")
    return tuple(_identity(item, f"item {i + 1} of {name!r}") for i, item in enumerate(value))


def _identity(value: object, name: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InputError(f"{name} is {kind_of(value)} {value!r:.60}: make it a string or a whole number")
    return str(value)


def _in_batch(row: Mapping[str, Any]) -> bool:
    value = row.get("in_batch_negatives")
    if value is None or isinstance(value, bool):
        return value is not False
    raise InputError(f"'in_batch_negatives' is {kind_of(value)} {value!r:.60}: make it true or false")
