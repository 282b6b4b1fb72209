"""The formats of training data, by name and by the suffix of a file's name."""

from __future__ import annotations

from dataclasses import dataclass

from trivec.data.arrow_rows import read_arrow, read_parquet
from trivec.data.beir_rows import read_beir
from trivec.data.json_rows import read_json, read_lines
from trivec.data.rows import RowReader
from trivec.data.table_rows import read_csv, read_triples, read_tsv
from trivec.errors import InputError


@dataclass(frozen=True, slots=True)
class Format:
    """How files with some suffixes are read."""

    name: str
    suffixes: tuple[str, ...]
    read: RowReader

    unit: str = "line"
    """What rows are counted by: line or row."""

    is_automatic: bool = True
    """Whether the suffix alone is enough to choose it."""


FORMATS = (
    Format("jsonl", (".jsonl", ".ndjson"), read_lines),
    Format("json", (".json",), read_json),
    Format("csv", (".csv",), read_csv),
    Format("tsv", (".tsv",), read_tsv),
    Format("triples", (".tsv", ".txt"), read_triples, is_automatic=False),
    Format("parquet", (".parquet",), read_parquet, unit="row"),
    Format("arrow", (".arrow",), read_arrow, unit="row"),
    Format("beir", (), read_beir),
)

AUTOMATIC = "auto"
FORMAT_NAMES = (AUTOMATIC, *(kind.name for kind in FORMATS))
BEIR = next(kind for kind in FORMATS if kind.name == "beir")
ARROW = next(kind for kind in FORMATS if kind.name == "arrow")

SUFFIXES = tuple(suffix for kind in FORMATS if kind.is_automatic for suffix in kind.suffixes)


def format_named(name: str) -> Format | None:
    """The format of this name; None for ``auto``.

    Raises:
        InputError: there is none.
    """
    if name not in FORMAT_NAMES:
        raise InputError(f"unknown format {name!r}: choose one of {', '.join(FORMAT_NAMES)}")
    return next((kind for kind in FORMATS if kind.name == name), None)


def format_by_suffix(suffix: str) -> Format | None:
    """The format of files with this suffix; None if it is unknown."""
    return next((kind for kind in FORMATS if kind.is_automatic and suffix in kind.suffixes), None)
