"""A row of named fields to a document: the rules shared by jsonl, json, csv and parquet."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from trivec.errors import InputError
from trivec.search.readers.json_text import kind_of
from trivec.search.readers.metadata import keep_metadata
from trivec.search.readers.reading import Found, Reading, SourceFile
from trivec.types import Document

ID_FIELDS = ("id", "_id", "docid", "doc_id")
TITLE_FIELDS = ("title",)
TEXT_FIELDS = ("text", "contents", "content", "body", "passage")
OPENED_FIELD = "metadata"
"""An object in this field is opened: its fields become metadata beside those of the row, which win."""


def documents_of(rows: Iterable[tuple[int, object]], file: SourceFile, reading: Reading) -> Iterator[Found]:
    """Turn numbered rows into documents; a row that cannot be one is bad by itself."""
    for number, row in rows:
        try:
            document = _document(row, f"{file.name}:{number}", reading)
        except InputError as error:
            reading.bad(InputError(f"{file.place(number)}: {error}"))
        else:
            yield Found(document, file, number)


def _document(row: object, default_id: str, reading: Reading) -> Document:
    if not isinstance(row, Mapping):
        raise InputError(
            f"not an object with named fields but {kind_of(row)} {row!r:.60}: give one object a row, "
            'such as {"id": "1", "text": "..."}'
        )
    options = reading.options
    reading.unseen_fields -= row.keys()
    id_field = options.id_field or _first(row, ID_FIELDS)
    title_field = options.title_field or _first(row, TITLE_FIELDS)
    text_fields = _text_fields(row, options.text_fields)
    used = {id_field, title_field, *text_fields}
    return Document(
        id=_identity(row, id_field, default_id if options.id_field is None else None),
        text="\n\n".join(part for name in text_fields if (part := _string(row, name))),
        title=_string(row, title_field) if title_field else "",
        metadata=keep_metadata(_remaining(row, used), reading),
    )


def check_columns(columns: Iterable[str], place: str, reading: Reading) -> None:
    """Refuse a table without the columns that were asked for, or without any text column.

    Raises:
        InputError: a column is missing, or there are two of one name.
    """
    names = list(columns)
    options = reading.options
    asked = [options.id_field, options.title_field, *options.text_fields, *(options.metadata or ())]
    missing = [name for name in asked if name is not None and name not in names]
    if missing:
        raise InputError(f"{place}: no column {missing[0]!r}: the columns are {_listed(names)}")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{place}: two columns are named {twice!r}: rename one of them")
    _text_columns(names, options.text_fields, place)


def _text_columns(names: list[str], asked: tuple[str, ...], place: str) -> None:
    if not asked and not any(name in TEXT_FIELDS for name in names):
        raise InputError(
            f"{place}: no text column: the columns are {_listed(names)}; "
            "name the one to read with --text-field, or the separator with --delimiter"
        )


def _first(row: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    """The first of these fields that the row has, one with a value before one that is null."""
    there = [name for name in names if name in row]
    return next((name for name in there if row[name] is not None), there[0] if there else None)


def _text_fields(row: Mapping[str, Any], asked: tuple[str, ...]) -> list[str]:
    first = _first(row, TEXT_FIELDS)
    found = [name for name in asked if name in row] if asked else [first] if first else []
    if not found:
        missing = f"field {' or '.join(map(repr, asked))}" if asked else "text field"
        raise InputError(f"no {missing}: the row has {_listed(row)}; name the one to read with --text-field")
    return found


def _identity(row: Mapping[str, Any], field: str | None, default: str | None) -> str:
    value = row.get(field) if field is not None else None
    if value is None:
        if default is None:
            raise InputError(f"no id in field {field!r}: the row has {_listed(row)}; name another with --id-field")
        return default
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise InputError(
            f"the id in field {field!r} is {kind_of(value)} {value!r:.60}: make it a string or a whole number"
        )
    if value == "":
        raise InputError(f"the id in field {field!r} is empty: fill it, or name another field with --id-field")
    return str(value)


def _string(row: Mapping[str, Any], field: str) -> str:
    """The field's text; empty if it is missing or null."""
    value = row.get(field)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InputError(
            f"the field {field!r} is {kind_of(value)} {value!r:.60}, not text: make it a string, "
            "or name another with --text-field or --title-field"
        )
    return value


def _remaining(row: Mapping[str, Any], used: set[str | None]) -> dict[str, object]:
    rest = {name: value for name, value in row.items() if name not in used}
    inner = rest.get(OPENED_FIELD)
    if isinstance(inner, Mapping):
        del rest[OPENED_FIELD]
        rest = {**{str(name): value for name, value in inner.items()}, **rest}
    return rest


def _listed(names: Iterable[str]) -> str:
    quoted = [repr(name) for name in names]
    more = f" and {len(quoted) - 12} more" if len(quoted) > 12 else ""
    return (", ".join(quoted[:12]) + more) or "no fields"
