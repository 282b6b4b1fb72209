"""What happens around every request: an id, a line in the log, a place in the metrics, and no traceback to anyone."""

from __future__ import annotations

import re
import time
import uuid

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from trivec.serve.dialects import error_response
from trivec.serve.failures import as_failure
from trivec.serve.logs import LOGGER, note
from trivec.serve.metrics import Metrics

ID_HEADER = "x-request-id"
_GONE = 499
"""The status in the log of a request whose client left."""
_ID = re.compile(r"[\w.:-]{1,64}", re.ASCII)


class RequestLog:
    """The outermost layer."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI asks for."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        state["id"] = _request_id(Headers(scope=scope))
        status, code = 0, None

        async def watched(message: Message) -> None:
            nonlocal status, code
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[ID_HEADER] = state["id"]
                code = headers.get("x-error-code")
            await send(message)

        started = time.perf_counter()
        self._metrics.began()
        try:
            await self._app(scope, receive, watched)
        except Exception as error:
            LOGGER.error("fault", exc_info=error, extra={"fields": {"id": state["id"]}})
            if not status:
                await error_response(scope["path"], as_failure(error))(scope, receive, watched)
        finally:
            seconds = time.perf_counter() - started
            status = status or _GONE
            method = scope["method"] if scope["method"] in _METHODS else "other"
            self._metrics.ended(_route(scope), method, status, seconds, code)
            note(
                "request",
                id=state["id"],
                method=method,
                route=_route(scope),
                status=status,
                seconds=round(seconds, 4),
                code=code,
                key=state.get("key"),
            )


_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD", "PATCH"})


def _request_id(headers: Headers) -> str:
    """The client's own id if it is a modest one, else a new one."""
    given = headers.get(ID_HEADER, "")
    return given if _ID.fullmatch(given) else uuid.uuid4().hex


def _route(scope: Scope) -> str:
    """The pattern that matched. Never the path: it may hold names, and there are endlessly many."""
    return getattr(scope.get("route"), "path", "") or "none"
