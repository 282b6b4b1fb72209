"""Queries with the documents that a reranker shall read, one JSON object a line."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trivec.data.bad_lines import BadLines
from trivec.data.json_rows import read_lines
from trivec.errors import InputError
from trivec.search.readers.reading import SourceFile
from trivec.types import join_title


@dataclass(frozen=True)
class PairGroup:
    """A query and its documents.

    Attributes:
        query: its text.
        documents: their texts.
        row: the whole object that they stood in.
    """

    query: str
    documents: Sequence[str]
    row: Mapping[str, Any]


def read_groups(path: Path, bad: BadLines | None = None) -> Iterator[PairGroup]:
    """The groups of a file, one after the other.

    Each line has ``query`` and ``documents``, a list of texts or of objects with ``text`` and, if they have one,
    ``title``; or ``document``, a single one.

    Raises:
        InputError: a line is something else.
    """
    reading = (bad or BadLines()).reading()
    for place, row in read_lines(SourceFile(path, path.name), reading):
        try:
            yield _group(place, row)
        except InputError as error:
            reading.bad(error)


def _group(place: str, row: object) -> PairGroup:
    if not isinstance(row, Mapping) or not isinstance(row.get("query"), str):
        raise InputError(f"{place}: {row!s:.60} has no query: give an object with query and documents")
    documents = row.get("documents", [row["document"]] if "document" in row else None)
    if not isinstance(documents, list):
        raise InputError(f"{place}: documents is {documents!s:.60}, not a list: give a list of texts")
    return PairGroup(row["query"], [_text(place, document) for document in documents], row)


def _text(place: str, document: object) -> str:
    if isinstance(document, Mapping):
        title, text = document.get("title") or "", document.get("text")
        if isinstance(title, str) and isinstance(text, str):
            return join_title(title, text)
    if not isinstance(document, str):
        raise InputError(f"{place}: the document {document!s:.60} is no text, nor an object with one: give either")
    return document
