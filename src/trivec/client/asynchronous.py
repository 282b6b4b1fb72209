"""`AsyncClient`: the same as `Client` for asyncio."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, TypeVar

from trivec.client import calls
from trivec.client.answers import Found, Ingested, Reranked, read_progress
from trivec.client.connection import async_lines, decoded, headers_for, http
from trivec.embeddings import Embeddings
from trivec.types import Document, Head

Answer = TypeVar("Answer")


class AsyncClient:
    """Asks a server. Close it, or use it in an ``async with`` block. Arguments as for `Client`."""

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
        self._http = http().AsyncClient(
            base_url=self.url, headers=headers_for(key), timeout=timeout_s, transport=transport
        )

    async def encode_queries(
        self, texts: str | Sequence[str], heads: Sequence[Head] | None = None, model: str | None = None
    ) -> Embeddings:
        """See `Client.encode_queries`."""
        return await self._ask(calls.encode(texts, "query", heads, model))

    async def encode_documents(
        self, texts: str | Sequence[str], heads: Sequence[Head] | None = None, model: str | None = None
    ) -> Embeddings:
        """See `Client.encode_documents`."""
        return await self._ask(calls.encode(texts, "document", heads, model))

    async def rerank(
        self, query: str, documents: Sequence[str], k: int | None = None, model: str | None = None
    ) -> list[Reranked]:
        """See `Client.rerank`."""
        return await self._ask(calls.rerank(query, documents, k, model))

    async def search(self, library: str, query: str, k: int = 10, **options: Any) -> list[Found]:  # noqa: ANN401
        """See `Client.search`."""
        return await self._ask(calls.search(library, query, {"k": k, **options}))

    async def libraries(self) -> list[dict[str, Any]]:
        """See `Client.libraries`."""
        return await self._ask(calls.libraries())

    async def models(self) -> list[dict[str, Any]]:
        """See `Client.models`."""
        return await self._ask(calls.models())

    async def get(self, library: str, id: str) -> Document:
        """See `Client.get`."""
        return await self._ask(calls.get(library, id))

    async def add(self, library: str, documents: Iterable[Document]) -> dict[str, int]:
        """See `Client.add`."""
        return await self._ask(calls.add(library, documents))

    async def ingest(self, library: str, documents: Iterable[Document]) -> AsyncIterator[Ingested]:
        """See `Client.ingest`."""
        path = f"{calls.library_path(library)}/documents/stream"
        package = http()
        try:
            async with self._http.stream("POST", path, content=async_lines(documents), timeout=None) as response:
                if response.status_code != 200:
                    await response.aread()
                    raise calls.failure(response.status_code, response.headers, decoded(response))
                async for line in response.aiter_lines():
                    yield read_progress(line)
        except package.TransportError as error:
            raise calls.unreachable(self.url, error) from error

    async def delete(self, library: str, ids: Iterable[str] = (), where: str | Mapping[str, Any] | None = None) -> int:
        """See `Client.delete`."""
        return await self._ask(calls.delete(library, ids, where))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _ask(self, call: calls.Call[Answer]) -> Answer:
        package = http()
        for attempt in range(self._retries + 1):
            try:
                response = await self._http.request(call.method, call.path, json=call.body)
            except package.TransportError as error:
                raise calls.unreachable(self.url, error) from error
            if response.status_code not in calls.RETRIED or attempt == self._retries:
                break
            await asyncio.sleep(calls.pause_s(attempt, response.headers))
        if response.status_code != 200:
            raise calls.failure(response.status_code, response.headers, decoded(response))
        return call.read(decoded(response))
