"""Requests to a server, written down once for both clients: where they go, what they bring, how answers are read."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from trivec.client.answers import (
    Found,
    Reranked,
    ServerError,
    read_document,
    read_embeddings,
    read_hits,
    read_ranking,
    write_document,
)
from trivec.embeddings import Embeddings
from trivec.types import Document, Head

Answer = TypeVar("Answer")

RETRIED = (429, 503)
"""Statuses after which the same request may be answered a little later."""
_MOST_PATIENCE_S = 30.0


@dataclass(frozen=True)
class Call(Generic[Answer]):
    """A request, and how its answer is read."""

    method: str
    path: str
    body: Mapping[str, Any] | None
    read: Callable[[Any], Answer]


def encode(texts: str | Sequence[str], role: str, heads: Sequence[Head] | None, model: str | None) -> Call[Embeddings]:
    """Vectors of texts."""
    body = _given(model=model, texts=_listed(texts), role=role, heads=None if heads is None else list(heads))
    return Call("POST", "/v1/encode", body, read_embeddings)


def rerank(query: str, documents: Sequence[str], k: int | None, model: str | None) -> Call[list[Reranked]]:
    """Documents, best first."""
    body = _given(model=model, query=query, documents=list(documents), top_n=k)
    return Call("POST", "/v2/rerank", body, read_ranking)


def search(library: str, query: str, options: Mapping[str, Any]) -> Call[list[Found]]:
    """Hits of a library, best first."""
    return Call("POST", f"{library_path(library)}/search", _given(query=query, **options), read_hits)


def libraries() -> Call[list[dict[str, Any]]]:
    """What the server has."""
    return Call("GET", "/v1/libraries", None, lambda answer: list(answer["libraries"]))


def models() -> Call[list[dict[str, Any]]]:
    """What the server has."""
    return Call("GET", "/v1/models", None, lambda answer: list(answer["data"]))


def get(library: str, id: str) -> Call[Document]:
    """A document."""
    return Call("GET", document_path(library, id), None, read_document)


def add(library: str, documents: Iterable[Document]) -> Call[dict[str, int]]:
    """Add or replace a few documents."""
    body = {"documents": [write_document(document) for document in documents]}
    return Call("POST", f"{library_path(library)}/documents", body, dict)


def delete(library: str, ids: Iterable[str], where: str | Mapping[str, Any] | None) -> Call[int]:
    """Remove documents."""
    body = _given(ids=[ids] if isinstance(ids, str) else list(ids), where=where)
    return Call("POST", f"{library_path(library)}/documents/delete", body, lambda answer: int(answer["deleted"]))


def library_path(name: str) -> str:
    """Where a library is."""
    return f"/v1/libraries/{quote(name, safe='')}"


def document_path(library: str, id: str) -> str:
    """Where a document is."""
    return f"{library_path(library)}/documents/{quote(id, safe='')}"


def failure(status: int, headers: Mapping[str, str], content: Any) -> ServerError:  # noqa: ANN401
    """What a response that is no answer says."""
    error = content.get("error", content.get("message")) if isinstance(content, dict) else None
    if isinstance(error, dict):
        error = error.get("message")
    message = error if isinstance(error, str) else f"the server answered {status}: look into its log"
    return ServerError(message, status, headers.get("x-error-code", ""), headers.get("x-request-id", ""))


def unreachable(url: str, error: Exception) -> ServerError:
    """No response came."""
    return ServerError(f"no answer from {url} ({error or type(error).__name__}): is trivec serve running there?")


def pause_s(attempt: int, headers: Mapping[str, str]) -> float:
    """How long to wait before asking again."""
    told = headers.get("retry-after", "")
    return min(_MOST_PATIENCE_S, float(told) if told.isdigit() else 0.5 * 2.0**attempt)


def _listed(texts: str | Sequence[str]) -> list[str]:
    return [texts] if isinstance(texts, str) else list(texts)


def _given(**fields: Any) -> dict[str, Any]:  # noqa: ANN401
    return {name: value for name, value in fields.items() if value is not None}
