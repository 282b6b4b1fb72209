"""What a server answers, as values."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp

from trivec.embeddings import Embeddings
from trivec.errors import TrivecError
from trivec.fingerprint import Fingerprint
from trivec.ragged import Ragged
from trivec.types import Document, Metadata


class ServerError(TrivecError):
    """The server refused a request, or could not be reached.

    Attributes:
        status: of the response; 0 if there was none.
        code: names the kind of failure, such as ``library_not_found``.
        request_id: to be found in the server's log.
    """

    def __init__(self, message: str, status: int = 0, code: str = "", request_id: str = "") -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.request_id = request_id


@dataclass(frozen=True)
class Found:
    """A hit of a search. The fields are those of `trivec.Hit`.

    Attributes:
        start: where the passage begins in its document, in characters.
        end: where it ends.
        explanation: if it was asked for.
    """

    rank: int
    score: float
    id: str
    title: str
    text: str
    metadata: Metadata
    start: int
    end: int
    signals: Mapping[str, float]
    contributions: Mapping[str, float]
    reranking: Mapping[str, Any] | None = None
    explanation: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Reranked:
    """A document in its new place: its number in what was given, and a score between 0 and 1."""

    number: int
    score: float


@dataclass(frozen=True)
class Ingested:
    """How far adding has come. What is acknowledged is durable."""

    status: str
    received: int
    acknowledged: int
    added: int
    updated: int
    unchanged: int


def read_embeddings(answer: Mapping[str, Any]) -> Embeddings:
    """The vectors of ``/v1/encode``."""
    rows, width = answer["vectors"], answer["vocabulary_size"]
    heads = rows[0].keys() if rows else ()
    return Embeddings(
        dense=np.asarray([row["dense"] for row in rows], np.float32) if "dense" in heads else None,
        sparse=_matrix([row["sparse"] for row in rows], width) if "sparse" in heads else None,
        multi=_ragged([row["multi"] for row in rows]) if "multi" in heads else None,
        terms=_matrix([row["terms"] for row in rows], width) if "terms" in heads else None,
        fingerprint=Fingerprint.from_json(json.dumps(answer["fingerprint"])),
    )


def read_hits(answer: Mapping[str, Any]) -> list[Found]:
    """The hits of a search."""
    hits = []
    for row in answer["hits"]:
        kept = {name: value for name, value in row.items() if name != "passage"}
        hits.append(Found(**kept, start=row["passage"]["start"], end=row["passage"]["end"]))
    return hits


def read_ranking(answer: Mapping[str, Any]) -> list[Reranked]:
    """Documents, best first."""
    return [Reranked(row["index"], row["relevance_score"]) for row in answer["results"]]


def read_document(answer: Mapping[str, Any]) -> Document:
    """A document of a library."""
    return Document(answer["id"], answer["text"], answer["title"], answer["metadata"])


def read_progress(line: str) -> Ingested:
    """A line of the answer to a stream of documents.

    Raises:
        ServerError: the line tells of a failure.
    """
    content = json.loads(line)
    error = content.pop("error", None)
    if error is not None:
        raise ServerError(f"{error['message']} ({content['acknowledged']} documents are added)", 200, error["code"])
    return Ingested(**content)


def write_document(document: Document) -> dict[str, Any]:
    """A document for a request."""
    return {
        "id": document.id,
        "text": document.text,
        "title": document.title,
        "metadata": dict(document.metadata),
    }


def _matrix(rows: Sequence[Mapping[str, Any]], width: int) -> sp.csr_array:
    offsets = np.cumsum([0, *(len(row["indices"]) for row in rows)])
    indices = np.asarray([index for row in rows for index in row["indices"]], np.int32)
    values = np.asarray([value for row in rows for value in row["values"]], np.float32)
    return sp.csr_array((values, indices, offsets), shape=(len(rows), width))


def _ragged(rows: Sequence[Sequence[Sequence[float]]]) -> Ragged:
    width = next((len(vector) for row in rows for vector in row), 0)
    return Ragged.from_rows([np.asarray(row, np.float32).reshape(-1, width) for row in rows], width)
