"""Encoding, searching and changing libraries by our own routes, beside direct calls."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

import trivec
from trivec.rerank.reranker import Reranker

SEARCH = "/v1/libraries/library/search"
DOCUMENTS = "/v1/libraries/library/documents"


def ask(client: TestClient, path: str, status: int = 200, **body: Any) -> Any:
    response = client.post(path, json=body)
    assert response.status_code == status, response.text
    return response.json()


def without_last_digits(rows: list[dict[str, Any]]) -> Any:
    def rounded(value: Any) -> Any:
        if isinstance(value, float):
            return round(value, 4) + 0.0
        if isinstance(value, dict):
            return {name: rounded(one) for name, one in value.items()}
        return [rounded(one) for one in value] if isinstance(value, list | tuple) else value

    return json.loads(json.dumps(rounded(rows)))


def test_encode_gives_all_heads(client: TestClient, encoder: trivec.Encoder) -> None:
    texts = ["Water and night.", "", "Die Hauptstadt"]
    answer = ask(client, "/v1/encode", texts=texts, role="query", heads=["dense", "sparse", "multi", "terms"])
    direct = encoder.encode_queries(texts)
    assert direct.multi is not None
    np.testing.assert_allclose([row["dense"] for row in answer["vectors"]], direct.dense, atol=1e-6)
    assert [len(row["multi"]) for row in answer["vectors"]] == direct.multi.lengths.tolist()
    assert sum(answer["vectors"][0]["terms"]["values"]) == direct.terms[[0]].sum()  # type: ignore[index]
    assert answer["fingerprint"]["weights"] == encoder.fingerprint.weights
    assert set(ask(client, "/v1/encode", texts="a")["vectors"][0]) == {"dense", "sparse", "multi"}
    assert ask(client, "/v1/encode", 400, texts="a", head="dense")["error"]["param"] == "head"


@pytest.mark.parametrize("options", [
    {}, {"k": 2}, {"mode": "dense"}, {"mode": "bm25"}, {"mode": "multi"}, {"where": 'lang = "en"'},
    {"where": {"year": {">=": 2000}}}, {"weights": {"dense": 1.0, "bm25": 0.5}, "k": 3}, {"fusion": "rrf"},
])  # fmt: skip
def test_a_search_is_that_of_a_direct_call(
    client: TestClient, library: trivec.Collection, options: dict[str, Any]
) -> None:
    answer = ask(client, SEARCH, query="the capital city and water", explain=True, **options)
    direct = library.search("the capital city and water", **options)
    expected = [{**hit.to_dict(), "explanation": hit.explain().to_dict()} for hit in direct]
    assert without_last_digits(answer["hits"]) == without_last_digits(expected)


def test_a_reranked_search_is_that_of_a_direct_call(
    client: TestClient, library: trivec.Collection, reranker: Reranker
) -> None:
    options: dict[str, Any] = {"k": 2, "depth": 3, "first_stage": 0.5}
    answer = ask(client, SEARCH, query="water", reranker=reranker.name, **options)
    expected = [hit.to_dict() for hit in library.search("water", reranker=reranker, **options)]
    assert without_last_digits(answer["hits"]) == without_last_digits(expected)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"query": " "}, 400, "invalid_request"),
        ({"query": "a", "k": 0}, 400, "invalid_request"),
        ({"query": "a", "k": 1001}, 413, "too_large"),
        ({"query": "a", "mode": "odd"}, 400, "invalid_request"),
        ({"query": "a", "where": "lang ="}, 400, "invalid_filter"),
        ({"query": "a", "where": {"lang": {"odd": 1}}}, 400, "invalid_filter"),
        ({"query": "a", "fusion": "odd"}, 400, "invalid_request"),
        ({"query": "a", "weights": {"dense": -1.0}}, 400, "invalid_request"),
        ({"query": "a", "weights": {"odd": 1.0}}, 400, "invalid_request"),
        ({"query": "a", "reranker": "/etc/passwd"}, 404, "model_not_found"),
        ({"query": "a", "depth": 3}, 400, "invalid_request"),
        ({"query": "a", "wher": "x"}, 400, "invalid_request"),
    ],
)
def test_what_cannot_be_searched(client: TestClient, body: dict[str, Any], status: int, code: str) -> None:
    assert ask(client, SEARCH, status, **body)["error"]["code"] == code


@pytest.mark.parametrize(
    "name", ["none", "..", "%2e%2e", "..%2f..%2fetc", "library%00", "library/..", "LIBRARY", "%ff"]
)
def test_a_name_is_no_path(client: TestClient, name: str) -> None:
    response = client.post(f"/v1/libraries/{name}/search", json={"query": "water"})
    assert response.status_code in (404, 405)
    assert "root:" not in response.text


def test_what_there_is(client: TestClient) -> None:
    (listed,) = client.get("/v1/libraries").json()["libraries"]
    assert (listed["name"], listed["documents"], listed["model"]) == ("library", 4, "m3")
    assert client.get("/v1/libraries/library").json()["languages"] == {"en": 2, "de": 1}
    assert client.get("/v1/libraries/none").status_code == 404


def test_adding_getting_and_deleting(client: TestClient, library: trivec.Collection) -> None:
    new = {"id": "x/y #1?", "text": "night and river", "title": "Night", "metadata": {"tags": ["a", 1], "year": 1999}}
    assert ask(client, DOCUMENTS, documents=[new]) == {"added": 1, "updated": 0, "unchanged": 0, "passages": 1}
    assert ask(client, DOCUMENTS, documents=[new])["unchanged"] == 1
    assert client.get(f"{DOCUMENTS}/x%2Fy%20%231%3F").json() == new
    assert library.get("x/y #1?") is not None
    assert ask(client, SEARCH, query="night and river", where='missing title or tags all ["a"]')
    assert client.delete(f"{DOCUMENTS}/x%2Fy%20%231%3F").json() == {"deleted": 1}
    assert client.get(f"{DOCUMENTS}/x%2Fy%20%231%3F").status_code == 404
    assert client.delete(f"{DOCUMENTS}/x%2Fy%20%231%3F").status_code == 404
    assert ask(client, f"{DOCUMENTS}/delete", ids=["water", "none"]) == {"deleted": 1}
    assert ask(client, f"{DOCUMENTS}/delete", where='lang = "de"') == {"deleted": 1}
    assert ask(client, f"{DOCUMENTS}/delete", 400)
    assert len(library) == 2


def test_listing_documents(client: TestClient) -> None:
    first = client.get(DOCUMENTS, params={"limit": 3}).json()
    assert [row["id"] for row in first["documents"]] == ["a/b c", "berlin", "paris"]
    rest = client.get(DOCUMENTS, params={"after": first["next"]}).json()
    assert [row["id"] for row in rest["documents"]] == ["water"]
    assert rest["next"] is None
    assert [row["id"] for row in client.get(DOCUMENTS, params={"where": 'lang = "de"'}).json()["documents"]] == [
        "berlin"
    ]
    assert client.get(DOCUMENTS, params={"where": "lang ="}).status_code == 400
    assert client.get(DOCUMENTS, params={"limit": 0}).status_code == 400


@pytest.mark.parametrize("document", [
    {"id": "", "text": "a"}, {"id": 1, "text": "a"}, {"id": "a"}, {"id": "a", "text": "a", "meta": {}},
    {"id": "a", "text": "a", "metadata": {"x": {"y": 1}}},
    {"id": "a" * 1025, "text": "a"},
])  # fmt: skip
def test_documents_that_cannot_be(client: TestClient, document: dict[str, Any]) -> None:
    assert ask(client, DOCUMENTS, 400, documents=[document])["error"]["code"] == "invalid_request"


def test_a_stream_is_added_and_tells_how_far_it_is(client: TestClient, library: trivec.Collection) -> None:
    lines = [json.dumps({"id": f"n{number}", "text": f"water {number}"}) for number in range(200)]
    response = client.post(f"{DOCUMENTS}/stream", content="\n".join([lines[0], "", *lines[1:]]))
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/x-ndjson"
    last = json.loads(response.text.splitlines()[-1])
    assert last == {
        "status": "done", "received": 200, "acknowledged": 200, "added": 200, "updated": 0, "unchanged": 0
    }  # fmt: skip
    assert len(library) == 204


@pytest.mark.parametrize("wrong", ["{", "[]", '{"id": 1, "text": "a"}', '{"id": "a", "text": "\\ud800"}', "\x00"])
def test_a_wrong_line_is_named_and_what_came_before_is_added(
    client: TestClient, library: trivec.Collection, wrong: str
) -> None:
    content = f'{{"id": "n1", "text": "water"}}\n{{"id": "n2", "text": "night"}}\n{wrong}\n{{"id": "n3", "text": "x"}}'
    last = json.loads(client.post(f"{DOCUMENTS}/stream", content=content).text.splitlines()[-1])
    assert (last["status"], last["acknowledged"]) == ("failed", 2)
    assert "line 3" in last["error"]["message"]
    assert library.get("n2") is not None
    assert library.get("n3") is None
