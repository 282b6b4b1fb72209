"""The OpenAPI document: FastAPI's, with the keys that are needed and without answers that are never given."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from trivec.serve.keys import needs_no_key


def describe(app: FastAPI, with_keys: bool, readable: Container[str] = ()) -> None:
    """Have an app describe itself in this way; ``readable`` are the paths that may be read without a key."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            content = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
            if with_keys:
                _require_key(content, readable)
            app.openapi_schema = content
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _require_key(content: dict[str, Any], readable: Container[str]) -> None:
    content.setdefault("components", {})["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, methods in content["paths"].items():
        for method, operation in methods.items():
            if not needs_no_key(method, path, readable):
                operation["security"] = [{"key": []}]
