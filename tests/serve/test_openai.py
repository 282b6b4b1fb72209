"""OpenAI's dialect, beside direct calls."""

from __future__ import annotations

import base64
import json
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

import trivec
from trivec.encode.compression import truncate

TEXTS = ["Water and night.", "", "Die Hauptstadt und der Berg", "京都 の 山", "the </s> <mask> river"]


def ask(client: TestClient, status: int = 200, **body: Any) -> Any:
    response = client.post("/v1/embeddings", json=body)
    assert response.status_code == status, response.text
    return response.json()


def same(got: object, expected: object) -> None:
    np.testing.assert_allclose(np.asarray(got, np.float32), np.asarray(expected), rtol=0, atol=1e-6)


def test_vectors_are_those_of_a_direct_call(client: TestClient, encoder: trivec.Encoder) -> None:
    answer = ask(client, input=TEXTS, model="m3")
    direct = encoder.encode_documents(TEXTS, ["dense"]).dense
    same([row["embedding"] for row in answer["data"]], direct)
    assert [row["index"] for row in answer["data"]] == list(range(len(TEXTS)))
    assert answer["model"] == "m3"
    tokens = sum(len(row.ids) for row in encoder.tokenizer.tokenize(TEXTS, 512))
    assert answer["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}


def test_one_text_is_a_list_of_one(client: TestClient, encoder: trivec.Encoder) -> None:
    same(ask(client, input=TEXTS[0])["data"][0]["embedding"], encoder.encode_documents(TEXTS[0]).dense[0])  # type: ignore[index]


def test_base64_holds_the_same_numbers(client: TestClient) -> None:
    plain = ask(client, input=TEXTS)["data"]
    coded = ask(client, input=TEXTS, encoding_format="base64")["data"]
    for one, other in zip(plain, coded, strict=True):
        decoded = np.frombuffer(base64.b64decode(other["embedding"]), "<f4")
        assert decoded.tolist() == np.asarray(one["embedding"], np.float32).tolist()


def test_dimensions(client: TestClient, encoder: trivec.Encoder) -> None:
    dense = encoder.encode_documents(TEXTS, ["dense"]).dense
    assert dense is not None
    same([row["embedding"] for row in ask(client, input=TEXTS, dimensions=8)["data"]], truncate(dense, 8))
    assert "33" in ask(client, 400, input=TEXTS, dimensions=33)["error"]["message"]
    assert ask(client, 400, input=TEXTS, dimensions=8, heads=["sparse"])["error"]["param"] == "dimensions"


def test_token_ids_are_those_of_the_model(client: TestClient, encoder: trivec.Encoder) -> None:
    ids = [encoding.ids for encoding in encoder.tokenizer.pieces([TEXTS[0], TEXTS[2]])]
    direct = encoder.encode_documents([TEXTS[0], TEXTS[2]])
    answer = ask(client, input=ids, heads=["dense", "multi"])
    same([row["embedding"] for row in answer["data"]], direct.dense)
    assert direct.multi is not None
    same(answer["data"][1]["multi_vector"], direct.multi[1])
    same(ask(client, input=ids[0])["data"][0]["embedding"], direct.dense[0])  # type: ignore[index]
    assert ask(client, 422, input=ids, heads=["sparse"])["error"]["param"] == "heads"
    assert "999999" in ask(client, 400, input=[999999])["error"]["message"]


def test_sparse_and_multi_vectors(client: TestClient, encoder: trivec.Encoder) -> None:
    direct = encoder.encode_documents(TEXTS)
    rows = ask(client, input=TEXTS, heads=["sparse", "multi"])["data"]
    assert direct.sparse is not None
    assert direct.multi is not None
    for number, row in enumerate(rows):
        assert row["embedding"] == []
        dense_row = np.zeros(direct.sparse.shape[1], np.float32)
        dense_row[row["sparse"]["indices"]] = row["sparse"]["values"]
        same(dense_row, direct.sparse[[number]].toarray()[0])
        same(np.reshape(row["multi_vector"], (-1, 24)), direct.multi[number])


def test_long_texts_are_refused_unless_they_may_be_cut(client: TestClient, encoder: trivec.Encoder) -> None:
    long = "water " * 1000
    assert ask(client, 400, input=long)["error"]["code"] == "context_length_exceeded"
    answer = ask(client, input=long, truncate=True)
    same(answer["data"][0]["embedding"], encoder.encode_documents(long).dense[0])  # type: ignore[index]
    assert answer["usage"]["total_tokens"] == 512
    assert ask(client, 400, input=[5] * 600)["error"]["code"] == "context_length_exceeded"
    assert ask(client, input=[5] * 600, truncate=True)["usage"]["total_tokens"] == 512


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "invalid_request"),
        ({"input": []}, 400, "invalid_request"),
        ({"input": [[]]}, 400, "invalid_request"),
        ({"input": 7}, 400, "invalid_request"),
        ({"input": ["a", 7]}, 400, "invalid_request"),
        ({"input": [-1]}, 400, "invalid_request"),
        ({"input": "a", "dimensions": 0}, 400, "invalid_request"),
        ({"input": "a", "dimensions": "8"}, 400, "invalid_request"),
        ({"input": "a", "encoding_format": "hex"}, 400, "invalid_request"),
        ({"input": "a", "model": "text-embedding-3-small"}, 404, "model_not_found"),
        ({"input": "a", "heads": []}, 400, "invalid_request"),
        ({"input": ["a"] * 2049}, 413, "too_many"),
    ],
)
def test_what_cannot_be_is_refused_in_openais_words(
    client: TestClient, body: dict[str, Any], status: int, code: str
) -> None:
    error = ask(client, status, **body)["error"]
    assert error["code"] == code
    assert error["message"]
    assert set(error) == {"message", "type", "param", "code"}


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'"a"', b"\xff", b'{"input": "\\ud800"}', b"[" * 100_000])
def test_bodies_that_are_none(client: TestClient, content: bytes) -> None:
    response = client.post("/v1/embeddings", content=content, headers={"content-type": "application/json"})
    assert response.status_code == 400
    assert "Traceback" not in response.text
    json.loads(response.text)


def test_models(client: TestClient, reranker: trivec.Reranker) -> None:
    listed = client.get("/v1/models").json()["data"]
    assert [(one["id"], one["kind"]) for one in listed] == [("m3", "encoder"), (reranker.name, "reranker")]
    assert client.get("/v1/models/m3").json() == listed[0]
    assert client.get("/v1/models/none/such").status_code == 404
