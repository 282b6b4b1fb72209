"""`Client`: a server's routes as methods."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from trivec.client import calls
from trivec.client.answers import Found, Ingested, Reranked, read_progress
from trivec.client.connection import decoded, document_lines, headers_for, http
from trivec.embeddings import Embeddings
from trivec.types import Document, Head

Answer = TypeVar("Answer")


class Client:
    """Asks a server. Close it, or use it in a ``with`` block.

    A request that the server has no room for is sent again after the time that it names.

    Args:
        url: of the server.
        key: if it wants one.
        timeout_s: for one request.
        retries: how often a request is sent again.
        transport: of httpx2, to reach a server in another way.

    Example:
        >>> with trivec.client.Client("http://127.0.0.1:8000") as client:             # doctest: +SKIP
        ...     hits = client.search("library", "when does water boil?", k=3)
    """

    def __init__(
        self,
        url: str = "http://127.0.0.1:8000",
        key: str | None = None,
        timeout_s: float = 120.0,
        retries: int = 4,
        transport: Any = None,  # noqa: ANN401
    ) -> None:
        self.url = url.rstrip("/")
        self._retries = retries
        self._http = http().Client(base_url=self.url, headers=headers_for(key), timeout=timeout_s, transport=transport)

    def encode_queries(
        self, texts: str | Sequence[str], heads: Sequence[Head] | None = None, model: str | None = None
    ) -> Embeddings:
        """Vectors of queries. See `trivec.Encoder.encode_queries`."""
        return self._ask(calls.encode(texts, "query", heads, model))

    def encode_documents(
        self, texts: str | Sequence[str], heads: Sequence[Head] | None = None, model: str | None = None
    ) -> Embeddings:
        """Vectors of documents. See `trivec.Encoder.encode_documents`."""
        return self._ask(calls.encode(texts, "document", heads, model))

    def rerank(
        self, query: str, documents: Sequence[str], k: int | None = None, model: str | None = None
    ) -> list[Reranked]:
        """The best documents, best first."""
        return self._ask(calls.rerank(query, documents, k, model))

    def search(self, library: str, query: str, k: int = 10, **options: Any) -> list[Found]:  # noqa: ANN401
        """The best documents of a library. The options are the fields of the route, such as ``where`` and ``mode``."""
        return self._ask(calls.search(library, query, {"k": k, **options}))

    def libraries(self) -> list[dict[str, Any]]:
        """What the server has."""
        return self._ask(calls.libraries())

    def models(self) -> list[dict[str, Any]]:
        """What the server has."""
        return self._ask(calls.models())

    def get(self, library: str, id: str) -> Document:
        """A document by id."""
        return self._ask(calls.get(library, id))

    def add(self, library: str, documents: Iterable[Document]) -> dict[str, int]:
        """Add or replace a few documents. They are durable when this returns."""
        return self._ask(calls.add(library, documents))

    def ingest(self, library: str, documents: Iterable[Document]) -> Iterator[Ingested]:
        """Add or replace any number of documents, and yield how far it has come; the last one says ``done``.

        Raises:
            ServerError: a document cannot be added; those before it are.
        """
        path = f"{calls.library_path(library)}/documents/stream"
        package = http()
        try:
            with self._http.stream("POST", path, content=document_lines(documents), timeout=None) as response:
                if response.status_code != 200:
                    response.read()
                    raise calls.failure(response.status_code, response.headers, decoded(response))
                for line in response.iter_lines():
                    yield read_progress(line)
        except package.TransportError as error:
            raise calls.unreachable(self.url, error) from error

    def delete(self, library: str, ids: Iterable[str] = (), where: str | Mapping[str, Any] | None = None) -> int:
        """Remove documents by id, or all that pass a filter; how many."""
        return self._ask(calls.delete(library, ids, where))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _ask(self, call: calls.Call[Answer]) -> Answer:
        package = http()
        for attempt in range(self._retries + 1):
            try:
                response = self._http.request(call.method, call.path, json=call.body)
            except package.TransportError as error:
                raise calls.unreachable(self.url, error) from error
            if response.status_code not in calls.RETRIED or attempt == self._retries:
                break
            time.sleep(calls.pause_s(attempt, response.headers))
        if response.status_code != 200:
            raise calls.failure(response.status_code, response.headers, decoded(response))
        return call.read(decoded(response))
