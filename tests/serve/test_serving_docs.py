"""Every curl line of the page works, and every route has one."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from serving import MakeApp

PAGE = Path(__file__).parents[2] / "docs" / "serving.md"


def calls() -> Iterator[tuple[str, str, dict[str, str], str | None]]:
    """Method, target, headers and body of each line."""
    for block in re.findall(r"^```bash\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] == "curl":
                yield read(words[1:])


def read(words: list[str]) -> tuple[str, str, dict[str, str], str | None]:
    method, target, headers, body = "", "", {}, None
    rest = iter(words)
    for word in rest:
        if word == "-X":
            method = next(rest)
        elif word == "-H":
            name, _, value = next(rest).partition(": ")
            headers[name] = value
        elif word in ("-d", "--data-binary"):
            body = next(rest)
        else:
            parts = urlsplit(f"http://{word}")
            assert parts.netloc == "localhost:8000"
            target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    return method or ("GET" if body is None else "POST"), target, headers, body


@pytest.fixture
def app(make: MakeApp) -> FastAPI:
    """One whose encoder is called as on the page."""
    app = make()
    encoders = app.state.service.models.encoders
    encoders["m3-small"] = encoders.pop("m3")
    return app


def test_every_line_works_and_every_route_has_one(app: FastAPI) -> None:
    asked = set()
    with TestClient(app) as client:
        routes = [
            (method.upper(), re.compile(re.sub(r"\{\w+(:path)?\}", "[^/]+", path)), path)
            for path, methods in client.get("/openapi.json").json()["paths"].items()
            for method in methods
        ]
        for method, target, headers, body in calls():
            content = None if body is None else body.encode()
            answer = client.request(method, target, headers=headers, content=content)
            assert answer.status_code == 200, (target, answer.text)
            path = target.partition("?")[0]
            found = min((r for r in routes if r[0] == method and r[1].fullmatch(path)), key=lambda r: r[2].count("{"))
            asked.add((method, found[2]))
    assert {(method, path) for method, _, path in routes} == asked
