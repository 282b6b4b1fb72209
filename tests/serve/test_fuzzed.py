"""Requests of all kinds: none makes the server fail, and every answer is as the OpenAPI document says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from serving import MakeApp

NUMBERS = st.integers(-(1 << 80), 1 << 80) | st.floats()
STRINGS = st.text(max_size=20) | st.sampled_from(
    ["", "\x00", "water", "../..", "lang = ", 'lang = "en"', "é\u0301", "\ud800"]
)
LEAVES = st.none() | st.booleans() | NUMBERS | STRINGS
ANYTHING = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(STRINGS, inner, max_size=4))

ROUTES = {
    "/v1/embeddings": ["input", "model", "dimensions", "encoding_format", "input_type", "heads", "truncate", "user"],
    "/v1/encode": ["texts", "model", "role", "heads", "truncate"],
    "/v1/rerank": ["query", "documents", "top_n", "return_documents", "max_tokens_per_doc", "model"],
    "/embed": ["inputs", "prompt_name", "normalize", "truncate", "truncation_direction", "dimensions"],
    "/embed_sparse": ["inputs", "prompt_name", "truncate"],
    "/rerank": ["query", "texts", "raw_scores", "return_text"],
    "/v1/libraries/library/search": ["query", "k", "where", "mode", "weights", "fusion", "candidates", "explain"],
    "/v1/libraries/library/documents": ["documents"],
    "/v1/libraries/library/documents/delete": ["ids", "where"],
}
LIKELY: dict[str, list[Any]] = {
    "input": ["water", ["water", ""], [5], [[5, 6]]],
    "texts": ["water", [""]],
    "inputs": ["water", [1, 2]],
    "query": ["water", "\x00", "?"],
    "documents": [["water", {"text": ""}], [{"id": "a", "text": "b", "metadata": {"x": [1, None, "\x00", 1.5]}}]],
    "ids": [["a"], []],
    "where": ['lang = "en"', {"lang": "en"}, {"x": {">": 1}}, "not (a = 1 or b in [1])"],
    "heads": [["sparse"], ["multi", "multi"]],
    "k": [1, 10],
}


@pytest.fixture
def fuzzed(make: MakeApp) -> Iterator[TestClient]:
    with TestClient(make(), raise_server_exceptions=False) as client:
        yield client


def bodies(fields: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    values = {name: st.sampled_from(LIKELY[name]) | ANYTHING if name in LIKELY else ANYTHING for name in fields}
    return st.fixed_dictionaries({}, optional=values)


@pytest.mark.parametrize("path", ROUTES)
def test_no_body_is_too_odd(path: str, fuzzed: TestClient) -> None:
    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(bodies(ROUTES[path]))
    def check(body: dict[str, Any]) -> None:
        headers = {"content-type": "application/json"}
        answer = fuzzed.post(path, content=json.dumps(body), headers=headers)
        assert answer.status_code < 500, (body, answer.text)
        answer.json()

    check()


def test_no_stream_is_too_odd(fuzzed: TestClient) -> None:
    lines = st.sampled_from(
        [b"", b"{}", b"\xff", b'{"id": "a", "text": "water"}', b'{"id": "b", "text": "\\u0000"}', b"null"]
    )

    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(st.lists(lines | st.binary(max_size=30), max_size=6))
    def check(parts: list[bytes]) -> None:
        answer = fuzzed.post("/v1/libraries/library/documents/stream", content=b"\n".join(parts))
        assert answer.status_code == 200
        last = json.loads(answer.text.splitlines()[-1])
        assert last["status"] in ("done", "failed")
        assert last.get("error", {}).get("code") != "internal_error"

    check()
