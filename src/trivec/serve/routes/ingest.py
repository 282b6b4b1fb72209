"""``/v1/libraries/{name}/documents/stream``: documents line by line in, progress line by line out.

The answer begins while the request is still under way. A line of it that says ``acknowledged`` is true for good: these
documents are there after a crash. If something is wrong with a line, what came before it is added, and the last line
of the answer tells.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson
from fastapi import APIRouter, Request
from fastapi.responses import Response
from pydantic import ValidationError
from starlette.types import Receive, Scope, Send

from trivec.search.adding import AddReport
from trivec.serve.answers import json_bytes
from trivec.serve.bodies import timed_receive
from trivec.serve.failures import BadRequest, Failure, TooLarge, as_failure
from trivec.serve.libraries import ServedLibrary
from trivec.serve.logs import LOGGER
from trivec.serve.reading import validation_message
from trivec.serve.routes.documents import as_document
from trivec.serve.schemas.libraries import DocumentBody, IngestLine
from trivec.serve.schemas.openai import ERRORS
from trivec.serve.service import Served, Service
from trivec.types import Document

router = APIRouter(tags=["Documents"], responses=ERRORS)

_WINDOW = 64
"""Documents that are added at once; all of a window are acknowledged together."""
_EVERY_S = 0.5
"""A client may read the answer only when it has sent everything, so there must not be too much of it."""

_BODY = {
    "requestBody": {
        "required": True,
        "description": "One document a line, as in the body of /documents.",
        "content": {
            "application/x-ndjson": {
                "schema": {"type": "string"},
                "example": '{"id": "1", "text": "Water boils at 100 °C."}\n',
            }
        },
    }
}


@router.post(
    "/v1/libraries/{name}/documents/stream",
    summary="Add a stream of documents",
    response_class=Response,
    responses={200: {"content": {"application/x-ndjson": {"schema": IngestLine.model_json_schema()}}}},
    openapi_extra=_BODY,
)
async def stream(name: str, service: Served, request: Request) -> Response:
    """One JSON object a line in; lines with the progress come out while it goes on."""
    library = service.libraries.named(name)
    library.check_writable()
    return _Ingest(library, service)


class _Ingest(Response):
    """Reads the body while it answers."""

    media_type = "application/x-ndjson"

    def __init__(self, library: ServedLibrary, service: Service) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._library = library
        self._service = service
        self._received = 0
        self._acknowledged = 0
        self._report = AddReport()
        self._told_at = time.monotonic()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        try:
            async for window in self._windows(receive):
                self._report += await self._library.add(window)
                self._acknowledged += len(window)
                if time.monotonic() - self._told_at >= _EVERY_S:
                    self._told_at = time.monotonic()
                    await self._tell(send, "progress", more=True)
            await self._tell(send, "done")
        except _Gone:
            return
        except Exception as error:
            failure = as_failure(error)
            if failure.status >= 500:
                LOGGER.error("fault", exc_info=error, extra={"fields": {"id": scope["state"]["id"]}})
            await self._tell(send, "failed", {"message": failure.message, "code": failure.code})

    async def _tell(self, send: Send, status: str, error: dict[str, Any] | None = None, more: bool = False) -> None:
        line = {
            "status": status,
            "received": self._received,
            "acknowledged": self._acknowledged,
            "added": self._report.added,
            "updated": self._report.updated,
            "unchanged": self._report.unchanged,
            **({} if error is None else {"error": error}),
        }
        await send({"type": "http.response.body", "body": json_bytes(line) + b"\n", "more_body": more})

    async def _windows(self, receive: Receive) -> AsyncIterator[list[Document]]:
        """Documents, some dozens at a time; if a line is wrong, those before it first."""
        window: list[Document] = []
        try:
            async for number, line in _lines(receive, self._service):
                if line.strip():
                    window.append(self._document(number, line))
                    self._received += 1
                if len(window) == _WINDOW:
                    yield window
                    window = []
        except Failure:
            if window:
                yield window
            raise
        if window:
            yield window

    def _document(self, number: int, line: bytes) -> Document:
        try:
            return as_document(DocumentBody.model_validate(orjson.loads(line)), self._service)
        except orjson.JSONDecodeError as error:
            raise BadRequest(f"line {number} is no JSON ({error}): send one object a line") from error
        except ValidationError as error:
            raise BadRequest(f"line {number}: {validation_message(error.errors())}") from error


class _Gone(Exception):
    """The client left."""


async def _lines(receive: Receive, service: Service) -> AsyncIterator[tuple[int, bytes]]:
    """Numbered lines of a body, without their ends."""
    limits = service.options.limits
    rest, number, more = b"", 0, True
    while more:
        message = await timed_receive(receive, limits.body_timeout_s)
        if message["type"] == "http.disconnect":
            raise _Gone
        more = message.get("more_body", False)
        *whole, rest = _split(rest + message.get("body", b""))
        if not more and rest:
            whole.append(rest)
        for line in whole:
            number += 1
            yield number, line
        if len(rest) > limits.body_bytes:
            raise TooLarge(f"line {number + 1} has more than {limits.body_bytes} bytes: send shorter documents")


def _split(content: bytes) -> Iterator[bytes]:
    return iter(content.split(b"\n"))
