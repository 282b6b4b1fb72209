"""Our own clients against the app: the values are those of direct calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from fastapi.testclient import TestClient
from serving import DOCUMENTS, MakeApp

import trivec
from trivec import Document
from trivec.client import AsyncClient, Client, Ingested, Reranked, ServerError

TEXTS = ["Water and night.", "", "Die Hauptstadt und der Berg"]


class Through(httpx2.BaseTransport):
    """Hands requests to a `TestClient`."""

    def __init__(self, client: TestClient) -> None:
        self._client = client

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        content = request.read()
        answer = self._client.request(request.method, str(request.url), content=content, headers=request.headers)
        return httpx2.Response(answer.status_code, headers=answer.headers, content=answer.content)


@pytest.fixture
def ours(client: TestClient) -> Iterator[Client]:
    with Client("http://testserver", transport=Through(client)) as opened:
        yield opened


def test_vectors_are_those_of_the_encoder(
    ours: Client, encoder: trivec.Encoder, same_vectors: Callable[..., None]
) -> None:
    heads: Any = ["dense", "sparse", "multi", "terms"]
    for got, direct in (
        (ours.encode_queries(TEXTS, heads), encoder.encode_queries(TEXTS)),
        (ours.encode_documents(TEXTS, heads), encoder.encode_documents(TEXTS)),
    ):
        same_vectors(got, direct)
        assert got.fingerprint == direct.fingerprint
    assert ours.encode_documents("one").heads == ("dense", "sparse", "multi")
    trivec.score(ours.encode_queries(TEXTS), encoder.encode_documents(TEXTS))


def test_reranking_and_searching(ours: Client, reranker: trivec.Reranker, library: trivec.Collection) -> None:
    ranked = ours.rerank("water", TEXTS, k=2)
    assert [one.number for one in ranked] == [one.number for one in reranker.rank("water", TEXTS, 2)]
    assert isinstance(ranked[0], Reranked)
    hits = ours.search("library", "water", k=2, where={"lang": "en"}, explain=True)
    assert [hit.id for hit in hits] == [hit.id for hit in library.search("water", 2, where={"lang": "en"})]
    assert hits[0].explanation is not None
    assert hits[0].text[hits[0].start : hits[0].end]


def test_documents(ours: Client, library: trivec.Collection) -> None:
    assert ours.get("library", "a/b c") == DOCUMENTS[3]
    assert ours.add("library", [Document("new/1", "night")])["added"] == 1
    assert ours.delete("library", ["new/1"], None) == 1
    assert ours.delete("library", where='lang = "de"') == 1
    many = (Document(f"n{number}", f"water {number}") for number in range(150))
    assert list(ours.ingest("library", many))[-1] == Ingested("done", 150, 150, 150, 0, 0)
    assert len(library) == 153
    with pytest.raises(ServerError, match="line 2") as refused:
        list(ours.ingest("library", [Document("x", "water"), Document("", "night")]))
    assert refused.value.code == "invalid_request"
    assert [one["name"] for one in ours.libraries()] == ["library"]
    assert ours.models()[0]["id"] == "m3"


def test_what_is_refused_is_told(ours: Client) -> None:
    with pytest.raises(ServerError, match="no library 'none'") as refused:
        ours.search("none", "water")
    assert (refused.value.status, refused.value.code) == (404, "library_not_found")
    assert refused.value.request_id
    with pytest.raises(ServerError, match="no library"):
        list(ours.ingest("none", []))
    with pytest.raises(ServerError, match="documents"):
        ours.rerank("water", [])


def test_no_server_is_told() -> None:
    with Client("http://127.0.0.1:9") as client, pytest.raises(ServerError, match="trivec serve"):
        client.models()


def test_a_busy_server_is_asked_again() -> None:
    answers = [httpx2.Response(429, headers={"retry-after": "0"}), httpx2.Response(503, headers={"retry-after": "0"})]

    def answer(request: httpx2.Request) -> httpx2.Response:
        return answers.pop() if answers else httpx2.Response(200, json={"data": [{"id": "m3"}]})

    with Client(transport=httpx2.MockTransport(answer)) as client:
        assert client.models() == [{"id": "m3"}]
    answers.extend(httpx2.Response(429, headers={"retry-after": "0"}) for _ in range(9))
    with Client(transport=httpx2.MockTransport(answer), retries=2) as client, pytest.raises(ServerError):
        client.models()


def test_another_kind_of_server_is_told() -> None:
    for status, message in ((200, "JSON"), (502, "502")):
        page = httpx2.MockTransport(lambda request, status=status: httpx2.Response(status, text="<html>"))
        with Client(transport=page) as client, pytest.raises(ServerError, match=message):
            client.models()


def test_the_asynchronous_client(make: MakeApp, encoder: trivec.Encoder, same_vectors: Callable[..., None]) -> None:
    async def story() -> None:
        async with AsyncClient("http://localhost", transport=httpx2.ASGITransport(make())) as client:
            same_vectors(
                await client.encode_queries(TEXTS), encoder.encode_queries(TEXTS, ["dense", "sparse", "multi"])
            )
            assert await client.encode_documents(TEXTS)
            assert len(await client.rerank("water", TEXTS)) == 3
            assert await client.search("library", "water", k=1)
            assert await client.libraries()
            assert await client.models()
            assert await client.get("library", "water") == DOCUMENTS[2]
            assert await client.add("library", [Document("new", "night")])
            progress = [one async for one in client.ingest("library", [Document("newer", "night")])]
            assert progress[-1].acknowledged == 1
            assert await client.delete("library", ["new"]) == 1
            with pytest.raises(ServerError):
                await client.search("none", "water")

    asyncio.run(story())
