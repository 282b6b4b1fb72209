"""How Qdrant Edge keeps a passage: its point id, its payload, and its vectors.

The payload holds the passage's own fields, readable by any Qdrant tool, and beside ``metadata`` two maps for
filters: ``times``, the values that are dates, all written in one way, so that Edge compares the points in time that
`trivec.index.conditions` sees; and ``flags``, true and false as text, because the Python binding of Edge 0.9 turns
``MatchValue(True)`` into the number 1, which no truth value equals.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import qdrant_edge as edge
import scipy.sparse as sp

from trivec.embeddings import Embeddings
from trivec.index.conditions import field_values, read_time
from trivec.index.queries import row_weights
from trivec.index.schema import VectorSchema
from trivec.ragged import Ragged
from trivec.types import FloatArray, Passage, Scalar, passage_id

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
        "times": _written(passage, write_time),
        "flags": _written(passage, write_flag),
    }


def read_payload(payload: Mapping[str, Any]) -> Passage:
    """The passage of a payload."""
    return Passage(
        document_id=payload["document_id"],
        text=payload["text"],
        title=payload.get("title", ""),
        metadata={_unescape(field): value for field, value in payload["metadata"].items()},
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
    return f'times."{_escape(field)}"'


def flag_path(field: str) -> str:
    """Where the truth values of a metadata field lie in the payload."""
    return f'flags."{_escape(field)}"'


def write_flag(value: Scalar) -> str | None:
    """A truth value as Edge is given it; None if the value is none."""
    return str(value).lower() if isinstance(value, bool) else None


def write_time(value: Scalar) -> str | None:
    """A date as Edge is given it: UTC, six decimals; None if the value is no date."""
    time = read_time(value)
    return None if time is None else time.isoformat(timespec="microseconds")


def _written(passage: Passage, write: Callable[[Scalar], str | None]) -> dict[str, list[str]]:
    """The metadata values that ``write`` can write, under their fields."""
    fields = {
        _escape(field): [text for value in field_values(passage, field) if (text := write(value)) is not None]
        for field in passage.metadata
        if field not in ("id", "title")
    }
    return {field: texts for field, texts in fields.items() if texts}


def _escape(field: str) -> str:
    """A quoted step of a JSON path cannot hold a quote, so it is written as in an URL."""
    return field.replace("%", "%25").replace('"', "%22")


def _unescape(field: str) -> str:
    return field.replace("%22", '"').replace("%25", "%")


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
