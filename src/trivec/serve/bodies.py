"""Bodies come whole, in time and within bounds, and work ends when its client is gone.

Routes that take a stream of documents read it themselves, by `timed_receive`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trivec.serve.dialects import error_response
from trivec.serve.failures import BadRequest, Failure, TooLarge, TooSlow

_STREAMED = re.compile(r"/v1/libraries/[^/]+/documents/stream")


class ClientGone(Exception):
    """The connection was closed before the body was there."""


class WholeBodies:
    """Reads a body before the app runs, and cancels the app if the client leaves before its answer.

    Args:
        app: is given the body at once.
        most_bytes: of a body.
        timeout_s: between two parts of it.
    """

    def __init__(self, app: ASGIApp, most_bytes: int, timeout_s: float) -> None:
        self._app = app
        self._most_bytes = most_bytes
        self._timeout_s = timeout_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI asks for."""
        if scope["type"] != "http" or _STREAMED.fullmatch(scope["path"]):
            await self._app(scope, receive, send)
            return
        try:
            body = await self._read(Headers(scope=scope), receive)
        except ClientGone:
            _mark_gone(scope)
            return
        except Failure as failure:
            response = error_response(scope["path"], failure)
            response.headers["connection"] = "close"  # what is left of the body is not read
            await response(scope, receive, send)
            return
        await self._run(scope, body, receive, send)

    async def _read(self, headers: Headers, receive: Receive) -> bytes:
        """The body.

        Raises:
            ClientGone: it will never come.
            TooLarge: it is, or says so.
            TooSlow: it takes too long.
        """
        declared = headers.get("content-length", "0")
        if not declared.isascii() or not declared.isdigit():
            raise BadRequest("the Content-Length is no number: send that of the body")
        if int(declared[:20]) > self._most_bytes:
            raise self._too_large()
        parts = bytearray()
        while True:
            message = await timed_receive(receive, self._timeout_s)
            if message["type"] == "http.disconnect":
                raise ClientGone
            parts += message.get("body", b"")
            if len(parts) > self._most_bytes:
                raise self._too_large()
            if not message.get("more_body", False):
                return bytes(parts)

    def _too_large(self) -> Failure:
        return TooLarge(f"the body has more than {self._most_bytes} bytes: send fewer texts at once")

    async def _run(self, scope: Scope, body: bytes, receive: Receive, send: Send) -> None:
        """Run the app; if the client leaves, cancel it."""
        given = False
        gone = asyncio.Event()

        async def replay() -> Message:
            nonlocal given
            if not given:
                given = True
                return {"type": "http.request", "body": body, "more_body": False}
            await gone.wait()
            return {"type": "http.disconnect"}

        work = asyncio.ensure_future(self._app(scope, replay, send))
        leaving = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait({work, leaving}, return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                _mark_gone(scope)
                work.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await work
            else:
                await work
        finally:
            gone.set()
            for task in (work, leaving):
                task.cancel()


async def timed_receive(receive: Receive, timeout_s: float) -> Message:
    """The next part of a body.

    Raises:
        TooSlow: it did not come in time.
    """
    try:
        async with asyncio.timeout(timeout_s):
            return await receive()
    except TimeoutError:
        raise TooSlow(f"no part of the body came for {timeout_s:g} seconds: send it faster, or less") from None


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _mark_gone(scope: Scope) -> None:
    scope.setdefault("state", {})["gone"] = True
