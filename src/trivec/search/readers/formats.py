"""The formats that can be read, by the suffix of a file's name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trivec.search.readers.html import read_html
from trivec.search.readers.json_list import read_json
from trivec.search.readers.jsonl import read_jsonl
from trivec.search.readers.markdown import read_markdown
from trivec.search.readers.parquet import read_parquet
from trivec.search.readers.pdf import read_pdf
from trivec.search.readers.plain import read_plain
from trivec.search.readers.reading import FormatReader
from trivec.search.readers.table import read_csv, read_tsv


@dataclass(frozen=True, slots=True)
class Format:
    """How files with some suffixes are read."""

    suffixes: tuple[str, ...]
    read: FormatReader
    unit: str = "line"
    """What documents within a file are counted by: line, item or row."""

    compressible: bool = True
    """Whether the same suffix followed by .gz is read too."""


FORMATS = (
    Format((".txt",), read_plain),
    Format((".md", ".markdown"), read_markdown),
    Format((".html", ".htm"), read_html),
    Format((".pdf",), read_pdf, compressible=False),
    Format((".jsonl", ".ndjson"), read_jsonl),
    Format((".json",), read_json, unit="item"),
    Format((".csv",), read_csv),
    Format((".tsv",), read_tsv),
    Format((".parquet",), read_parquet, unit="row", compressible=False),
)

_BY_SUFFIX = {suffix: kind for kind in FORMATS for suffix in kind.suffixes}
_BY_SUFFIX |= {f"{suffix}.gz": kind for suffix, kind in _BY_SUFFIX.items() if kind.compressible}

SUFFIXES = tuple(suffix for kind in FORMATS for suffix in kind.suffixes)
"""Suffixes of all formats, without those of compressed files."""


def suffix_of(path: Path) -> str:
    """The suffix that decides how a file is read, in lower case: ``.csv.gz`` for ``A.CSV.gz``."""
    last = path.suffix.lower()
    return Path(path.stem).suffix.lower() + last if last == ".gz" else last


def format_of(path: Path) -> Format | None:
    """How this file is read; None if its kind is unknown."""
    return _BY_SUFFIX.get(suffix_of(path))
