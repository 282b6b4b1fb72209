"""What both clients need of HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import orjson

from trivec.client.answers import ServerError, write_document
from trivec.errors import require
from trivec.types import Document


def http() -> Any:  # noqa: ANN401
    """The package httpx2.

    Raises:
        MissingPackageError: it is not installed.
    """
    return require("httpx2", "client", "asking a server")


def headers_for(key: str | None) -> dict[str, str]:
    """What every request brings."""
    return {} if key is None else {"authorization": f"Bearer {key}"}


def decoded(response: Any) -> Any:  # noqa: ANN401
    """The JSON of a response.

    Raises:
        ServerError: it is none, and says that all is well.
    """
    try:
        return orjson.loads(response.content)
    except orjson.JSONDecodeError as error:
        if response.status_code != 200:
            return None
        raise ServerError(f"{response.url} answered something else than JSON: is it trivec serve?", 200) from error


def document_lines(documents: Iterable[Document]) -> Iterator[bytes]:
    """Documents for a stream."""
    for document in documents:
        yield orjson.dumps(write_document(document)) + b"\n"


async def async_lines(documents: Iterable[Document]) -> AsyncIterator[bytes]:
    """The same for asyncio."""
    for line in document_lines(documents):
        yield line
