"""Connections that are closed if the head of a request comes too slowly, or never ends.

uvicorn by itself would wait for it, and read on.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from trivec.serve.logs import note


class GuardedConnection(HttpToolsProtocol):
    """A connection that must send the head of its next request, its line and headers, in time and within a size.

    Nothing of it is held against a client between two requests: there uvicorn's own time for idle connections counts.

    Attributes:
        head_seconds: from the connection, or from the first byte of a later request, to the end of its head.
        head_bytes: of a head.
    """

    head_seconds = 30.0
    head_bytes = 1 << 16

    _in_head = True
    _bytes_of_head = 0
    _alarm: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has come."""
        super().connection_made(transport)
        self._set_alarm()

    def connection_lost(self, exc: Exception | None) -> None:
        """It has left."""
        self._unset_alarm()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """It has sent something."""
        if self._in_head:
            self._set_alarm()
            self._bytes_of_head += len(data)
        super().data_received(data)
        if self._in_head and self._bytes_of_head > self.head_bytes:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_headers_complete(self) -> None:
        """The head has ended."""
        self._in_head = False
        self._unset_alarm()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The body has ended, and what comes next is another head."""
        self._in_head, self._bytes_of_head = True, 0
        super().on_message_complete()

    def _set_alarm(self) -> None:
        if self._alarm is None:
            self._alarm = self.loop.call_later(self.head_seconds, self._refuse, HTTPStatus.REQUEST_TIMEOUT)

    def _unset_alarm(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _refuse(self, status: HTTPStatus) -> None:
        self._unset_alarm()
        if self.transport.is_closing():
            return
        note("refused", status=status.value)
        if self._bytes_of_head and (self.cycle is None or self.cycle.response_complete):
            text = f"{status.phrase}\n".encode()
            head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: text/plain; charset=utf-8\r\n"
            self.transport.write(head.encode() + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(text) + text)
        self.transport.close()
