"""Many clients at once: every answer is that of a direct call, whoever else asks; who leaves is forgotten."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import Any

import httpx2
import numpy as np
import pytest
from serving import MakeApp

import trivec
from trivec.serve.options import BatchOptions, LaneOptions, Limits

CLIENTS = 256
WORDS = ("water", "night", "river", "mountain", "book", "science", "capital", "city", "library", "the", "where")


def text(rng: random.Random) -> str:
    return " ".join(rng.choices(WORDS, k=rng.choice([1, 3, 8, 40])))


def open_client(app: Any) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://localhost", timeout=120)


def test_256_clients_get_their_own_answers(
    make: MakeApp, encoder: trivec.Encoder, reranker: trivec.Reranker, library: trivec.Collection
) -> None:
    rng = random.Random(1)
    jobs: list[tuple[str, dict[str, Any], list[str]]] = []
    for number in range(CLIENTS):
        texts = [text(rng) for _ in range(rng.choice([1, 1, 2, 7]))]
        kind = ("/v1/embeddings", "/embed_all", "/v1/rerank", "/v1/libraries/library/search")[number % 4]
        bodies: dict[str, dict[str, Any]] = {
            "/v1/embeddings": {"input": texts, "input_type": rng.choice(["query", "document"])},
            "/embed_all": {"inputs": texts},
            "/v1/rerank": {"query": texts[0], "documents": texts},
            "/v1/libraries/library/search": {"query": texts[0], "k": 2, "mode": rng.choice(["hybrid", "dense"])},
        }
        jobs.append((kind, bodies[kind], texts))

    async def story() -> list[Any]:
        async with open_client(make()) as client:
            answers = await asyncio.gather(*(client.post(path, json=body) for path, body, _ in jobs))
            return [answer.json() for answer in answers if answer.status_code == 200]

    answers = asyncio.run(story())
    assert len(answers) == CLIENTS
    for (path, body, texts), answer in zip(jobs, answers, strict=True):
        if path == "/v1/embeddings":
            encode = encoder.encode_queries if body["input_type"] == "query" else encoder.encode_documents
            np.testing.assert_allclose([row["embedding"] for row in answer["data"]], encode(texts).dense, atol=1e-5)
        elif path == "/embed_all":
            multi = encoder.encode_documents(texts).multi
            assert multi is not None
            for row, expected in zip(answer, multi, strict=True):
                np.testing.assert_allclose(row, expected, atol=1e-5)
        elif path == "/v1/rerank":
            chances = reranker.probabilities(reranker.score(texts[0], texts))
            for row in answer["results"]:
                assert row["relevance_score"] == pytest.approx(float(chances[row["index"]]), abs=1e-5)
        else:
            hits = library.search(texts[0], 2, body["mode"])
            assert [hit["id"] for hit in answer["hits"]] == [hit.id for hit in hits]
            np.testing.assert_allclose([hit["score"] for hit in answer["hits"]], [hit.score for hit in hits], atol=1e-4)


class Brake:
    """Stops an encoder until it is let go."""

    def __init__(self, encoder: trivec.Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
        self.batches: list[list[str]] = []
        self._open = threading.Event()
        encode = encoder.encode

        def slowly(texts: Any, *arguments: Any, **options: Any) -> Any:
            self.batches.append(list(texts))
            assert self._open.wait(60)
            return encode(texts, *arguments, **options)

        monkeypatch.setattr(encoder, "encode", slowly)

    def let_go(self) -> None:
        self._open.set()


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.005)


def test_a_full_queue_answers_429(make: MakeApp, encoder: trivec.Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    lanes = {name: LaneOptions(64, 0.0, 64, name == "queries") for name in ("queries", "documents", "reranking")}
    app, brake = make(batches=BatchOptions(lanes, workers=1)), Brake(encoder, monkeypatch)

    async def story() -> None:
        async with open_client(app) as client:

            def ask() -> Any:
                return asyncio.ensure_future(client.post("/v1/embeddings", json={"input": "water " * 50}))

            waiting = [ask()]
            await until(lambda: brake.batches)
            waiting.append(ask())
            await asyncio.sleep(0.1)
            refused = await ask()
            assert refused.status_code == 429
            assert 1 <= int(refused.headers["retry-after"]) <= 60
            assert refused.json()["error"]["type"] == "rate_limit_error"
            brake.let_go()
            assert [answer.status_code for answer in await asyncio.gather(*waiting)] == [200, 200]

    asyncio.run(story())


def test_time_is_up(make: MakeApp, encoder: trivec.Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    app, brake = make(limits=Limits(request_timeout_s=0.1)), Brake(encoder, monkeypatch)

    async def story() -> None:
        async with open_client(app) as client:
            answer = await client.post("/v1/embeddings", json={"input": "water"})
            assert (answer.status_code, answer.json()["error"]["code"]) == (503, "timeout")
            brake.let_go()

    asyncio.run(story())


def test_who_leaves_is_not_worked_for(make: MakeApp, encoder: trivec.Encoder, monkeypatch: pytest.MonkeyPatch) -> None:
    """The ASGI messages of a client that goes before its answer comes."""
    app, brake = make(batches=BatchOptions(workers=1)), Brake(encoder, monkeypatch)

    async def ask(words: str, left: asyncio.Event, sent: list[Any]) -> None:
        body = [{"type": "http.request", "body": f'{{"input": "{words}"}}'.encode(), "more_body": False}]

        async def receive() -> Any:
            if body:
                return body.pop()
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"host", b"localhost"), (b"content-type", b"application/json")]
        await app(
            {"type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "scheme": "http",
             "path": "/v1/embeddings", "raw_path": b"/v1/embeddings", "query_string": b"", "root_path": "",
             "headers": headers, "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 2)}, receive, send,
        )  # fmt: skip

    async def story() -> None:
        stays, leaves = asyncio.Event(), asyncio.Event()
        answered: list[Any] = []
        nothing: list[Any] = []
        first = asyncio.ensure_future(ask("first", stays, answered))
        await until(lambda: brake.batches)
        second = asyncio.ensure_future(ask("second", leaves, nothing))
        await asyncio.sleep(0.1)
        leaves.set()
        await second
        assert nothing == []
        brake.let_go()
        await first
        assert answered[0]["status"] == 200
        assert brake.batches == [["first"]]

    asyncio.run(story())


def test_a_slow_body_is_sent_away(make: MakeApp) -> None:
    async def drip() -> Any:
        yield b'{"input": '
        await asyncio.sleep(60)
        yield b'"water"}'

    async def story() -> None:
        async with open_client(make(limits=Limits(body_timeout_s=0.1))) as client:
            assert (await client.post("/v1/embeddings", content=drip())).status_code == 408

    asyncio.run(story())
