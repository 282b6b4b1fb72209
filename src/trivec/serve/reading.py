"""Reading JSON bodies, and saying in words what is wrong with one."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

import orjson
from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute

_SHOWN = 3


class StrictRequest(Request):
    """A request whose JSON is that of the standard: no NaN, and no halves of surrogate pairs, which are no text."""

    async def json(self) -> Any:  # noqa: ANN401
        """The body.

        Raises:
            json.JSONDecodeError: it is no JSON.
        """
        if not hasattr(self, "_json"):
            self._json = orjson.loads(await self.body())
        return self._json


class StrictRoute(APIRoute):
    """A route that reads its body as `StrictRequest` does."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's, with another request."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return handle_strictly


def validation_message(errors: Sequence[Any]) -> str:
    """The first errors of pydantic in one line: which field, and what it should be. The values are not repeated."""
    lines = list(dict.fromkeys(f"{_place(error['loc'])}: {error['msg']}" for error in errors))
    more = f"; and {len(lines) - _SHOWN} more" if len(lines) > _SHOWN else ""
    return "; ".join(lines[:_SHOWN]) + more


def first_field(errors: Sequence[Any]) -> str | None:
    """The field that the first error is about."""
    for error in errors:
        names = [part for part in error["loc"] if isinstance(part, str) and part not in ("body", "query", "path")]
        if names:
            return str(names[0])
    return None


def _place(location: Sequence[Any]) -> str:
    parts = [str(part) for part in location if part not in ("body", "query", "path")]
    return ".".join(parts) or "body"
