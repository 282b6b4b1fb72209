"""How each dialect spells a failure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from starlette.responses import Response

from trivec.serve.failures import Failure

_TEI = ("/embed", "/embed_sparse", "/embed_all", "/rerank", "/info", "/health", "/metrics", "/")
_COHERE = ("/v1/rerank", "/v2/rerank")

_TEI_TYPES = {429: "overloaded", 503: "unhealthy"}
_OPENAI_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def error_response(path: str, failure: Failure) -> Response:
    """A failure as a response in the dialect of a path."""
    return Response(
        orjson.dumps(error_body(path, failure)), failure.status, _headers(failure), media_type="application/json"
    )


def error_body(path: str, failure: Failure) -> dict[str, Any]:
    """What a failure says in the dialect of a path."""
    if path in _COHERE:
        return {"message": failure.message}
    if path in _TEI:
        kind = _TEI_TYPES.get(failure.status, "validation" if failure.status < 500 else "backend")
        return {"error": failure.message, "error_type": kind}
    kind = _OPENAI_TYPES.get(failure.status, "invalid_request_error" if failure.status < 500 else "server_error")
    return {"error": {"message": failure.message, "type": kind, "param": failure.param, "code": failure.code}}


def _headers(failure: Failure) -> Mapping[str, str]:
    headers = {"x-error-code": failure.code}
    if failure.retry_after_s is not None:
        headers["retry-after"] = str(failure.retry_after_s)
    if failure.status == 401:
        headers["www-authenticate"] = "Bearer"
    return headers
