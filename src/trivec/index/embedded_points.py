"""How Qdrant Edge keeps a passage: its point id, its payload, and its vectors.

The payload holds the passage's own fields, readable by any Qdrant tool, and beside them ``filter``, what Edge needs
to see in metadata just what `trivec.index.conditions` sees:

- ``present``, ``null``: names of the fields that have a value, or have null. Edge has its own notion of lists that
  are empty or hold null, and another one for fields with an index.
- ``flags``: true and false as text. The Python binding of Edge 0.9 turns ``MatchValue(True)`` into the number 1,
  which no truth value equals.
- ``times``: the values that are dates, all written in one way.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any
from urllib.parse import quote, unquote

import numpy as np
import qdrant_edge as edge
import scipy.sparse as sp

from trivec.embeddings import Embeddings
from trivec.index.conditions import field_values, has_null, has_value, read_time
from trivec.index.queries import row_weights
from trivec.index.schema import VectorSchema
from trivec.ragged import Ragged
from trivec.types import FloatArray, Passage, passage_id

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "trivec:passage")

NAME_FIELDS = ["document_id", "number"]
"""Payload keys that give the passage's id back."""


def point_id(name: str) -> uuid.UUID:
    """The point that holds the passage of this id."""
    return uuid.uuid5(_NAMESPACE, name)


def stored_name(payload: Mapping[str, Any]) -> str:
    """The passage id in a payload that has at least `NAME_FIELDS`."""
    return passage_id(payload["document_id"], payload["number"])


def write_payload(passage: Passage) -> dict[str, Any]:
    """The payload of a passage."""
    fields = sorted({"id", "title", *passage.metadata})
    title = {"title": passage.title} if passage.title else {}
    return title | {
        "document_id": passage.document_id,
        "number": passage.number,
        "count": passage.count,
        "start": passage.start,
        "end": passage.end,
        "text": passage.text,
        "content_hash": passage.content_hash,
        "metadata": {_escape(field): value for field, value in passage.metadata.items()},
        "filter": {
            "present": [field for field in fields if has_value(passage, field)],
            "null": [field for field in fields if has_null(passage, field)],
            "flags": _by_field(passage, _flags),
            "times": _by_field(passage, _times),
        },
    }


def read_payload(payload: Mapping[str, Any]) -> Passage:
    """The passage of a payload."""
    return Passage(
        document_id=payload["document_id"],
        text=payload["text"],
        title=payload.get("title", ""),
        metadata={unquote(field): value for field, value in payload["metadata"].items()},
        number=payload["number"],
        count=payload["count"],
        start=payload["start"],
        end=payload["end"],
        content_hash=payload["content_hash"],
    )


def field_path(field: str) -> str:
    """Where the values of a filter's field lie in the payload."""
    named = {"id": "document_id", "title": "title"}
    return named.get(field) or f'metadata."{_escape(field)}"'


def time_path(field: str) -> str:
    """Where the points in time of a metadata field lie in the payload."""
    return f'filter.times."{_escape(field)}"'


PRESENT_PATH = "filter.present"
"""Names of the fields that have a value other than null."""

NULL_PATH = "filter.null"
"""Names of the fields that have null."""


def flag_path(field: str) -> str:
    """Where the truth values of a metadata field lie in the payload."""
    return f'filter.flags."{_escape(field)}"'


def write_flag(value: bool) -> str:
    """A truth value as Edge is given it."""
    return str(value).lower()


def write_time(time: datetime) -> str:
    """A point in time as Edge is given it: UTC, six decimals."""
    return time.isoformat(timespec="microseconds")


def _flags(passage: Passage, field: str) -> list[str]:
    return [write_flag(value) for value in field_values(passage, field) if isinstance(value, bool)]


def _times(passage: Passage, field: str) -> list[str]:
    return [write_time(time) for value in field_values(passage, field) if (time := read_time(value)) is not None]


def _by_field(passage: Passage, written: Callable[[Passage, str], list[str]]) -> dict[str, list[str]]:
    """What is written for the metadata fields that have something of the kind."""
    fields = set(passage.metadata) - {"id", "title"}
    return {_escape(field): texts for field in sorted(fields) if (texts := written(passage, field))}


def _escape(field: str) -> str:
    """Write what a quoted step of a JSON path cannot hold as in an URL."""
    return field.translate({ord(character): quote(character) for character in '%"\\'})


def write_vectors(vectors: Embeddings, row: int) -> dict[str, Any]:
    """Named vectors of one text. Numbers go in as lists: that is the fast way into Edge.

    A text without multi-vectors gets one of zeros, which scores 0 against any query, as `scoring` wants it.
    """
    named: dict[str, Any] = {}
    if vectors.dense is not None:
        named["dense"] = vectors.dense[row].tolist()
    if vectors.multi is not None:
        matrix = vectors.multi[row]
        named["multi"] = matrix.tolist() if len(matrix) else [[0.0] * vectors.multi.width]
    for head, weights in (("sparse", vectors.sparse), ("terms", vectors.terms)):
        if weights is not None:
            named[head] = edge.SparseVector(*row_weights(weights, row))
    return named


def read_vectors(points: Sequence[Mapping[str, Any]], schema: VectorSchema) -> Embeddings:
    """The embeddings of points, from their named vectors."""
    heads: dict[str, Any] = {}
    for head, width in schema.widths.items():
        found = [vectors[head] for vectors in points]
        if head == "dense":
            heads[head] = np.asarray(found, np.float32).reshape(len(found), width)
        elif head == "multi":
            heads[head] = Ragged.from_rows([_read_matrix(rows, width) for rows in found], width)
        else:
            heads[head] = read_sparse(found, width)
    return Embeddings(**heads)


def _read_matrix(rows: Sequence[Sequence[float]], width: int) -> FloatArray:
    matrix = np.asarray(rows, np.float32).reshape(-1, width)
    return matrix if len(matrix) > 1 or matrix.any() else matrix[:0]


def read_sparse(rows: Sequence[Any], width: int) -> sp.csr_array:
    """A matrix of Edge's sparse vectors."""
    offsets = np.cumsum([0, *(len(row.indices) for row in rows)])
    indices = [column for row in rows for column in row.indices]
    values = [value for row in rows for value in row.values]
    parts = (np.asarray(values, np.float32), np.asarray(indices, np.int32), offsets)
    return sp.csr_array(parts, shape=(len(rows), width))
