"""The OpenAPI document: FastAPI's, with the keys that are needed and without answers that are never given."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from trivec.serve.keys import OPEN_PATHS


def describe(app: FastAPI, with_keys: bool) -> None:
    """Have an app describe itself in this way."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            content = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
            if with_keys:
                _require_key(content)
            app.openapi_schema = content
        return app.openapi_schema

    app.openapi = document  # type: ignore[method-assign]


def _require_key(content: dict[str, Any]) -> None:
    content.setdefault("components", {})["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, methods in content["paths"].items():
        if path not in OPEN_PATHS:
            for operation in methods.values():
                operation["security"] = [{"key": []}]
