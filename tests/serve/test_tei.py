"""The dialect of text-embeddings-inference, beside direct calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

import trivec

TEXTS = ["Water and night.", "Die Hauptstadt und der Berg"]


def ask(client: TestClient, path: str, status: int = 200, **body: Any) -> Any:
    response = client.post(path, json=body)
    assert response.status_code == status, response.text
    return response.json()


@pytest.mark.parametrize("path", ["/embed", "/"])
def test_dense(client: TestClient, encoder: trivec.Encoder, path: str) -> None:
    np.testing.assert_allclose(ask(client, path, inputs=TEXTS), encoder.encode_documents(TEXTS).dense, atol=1e-6)
    assert len(ask(client, path, inputs="one")) == 1
    assert len(ask(client, path, inputs=TEXTS, dimensions=5)[0]) == 5


def test_sparse(client: TestClient, encoder: trivec.Encoder) -> None:
    sparse = encoder.encode_documents(TEXTS).sparse
    assert sparse is not None
    for number, row in enumerate(ask(client, "/embed_sparse", inputs=TEXTS)):
        got = np.zeros(sparse.shape[1], np.float32)
        for weight in row:
            got[weight["index"]] = weight["value"]
        np.testing.assert_allclose(got, sparse[[number]].toarray()[0], atol=1e-6)


def test_all_tokens(client: TestClient, encoder: trivec.Encoder) -> None:
    multi = encoder.encode_documents(TEXTS).multi
    assert multi is not None
    for number, row in enumerate(ask(client, "/embed_all", inputs=TEXTS)):
        np.testing.assert_allclose(row, multi[number], atol=1e-6)


@pytest.mark.parametrize(("prompt_name", "role"), [("query", "query"), ("passage", "document"), ("none", "none")])
def test_prompts(client: TestClient, prompt_name: str, role: str) -> None:
    by_name = ask(client, "/embed", inputs=TEXTS, prompt_name=prompt_name)
    ours = ask(client, "/v1/encode", texts=TEXTS, role=role, heads=["dense"])["vectors"]
    np.testing.assert_allclose(by_name, [row["dense"] for row in ours], atol=1e-6)


def test_long_texts_are_cut_unless_they_must_not(client: TestClient) -> None:
    long = "water " * 1000
    assert ask(client, "/embed", inputs=long)
    assert "512" in ask(client, "/embed", 422, inputs=long, truncate=False)["error"]
    assert ask(client, "/embed", 422, inputs=long, truncate=True, truncation_direction="Left")
    assert ask(client, "/embed", inputs="short", truncation_direction="left")


def test_what_cannot_be(client: TestClient) -> None:
    assert set(ask(client, "/embed", 422)) == {"error", "error_type"}
    assert "normalize" in ask(client, "/embed", 422, inputs="a", normalize=False)["error"]
    assert "odd" in ask(client, "/embed", 422, inputs="a", prompt_name="odd")["error"]
    assert ask(client, "/embed_sparse", 422, inputs=[1, 2])


def test_info_and_health(client: TestClient) -> None:
    info = client.get("/info").json()
    assert info["model_id"] == "m3"
    assert info["max_input_length"] == 512
    assert info["model_type"] == {"embedding": {"pooling": "cls"}}
    response = client.get("/health")
    assert (response.status_code, response.content) == (200, b"")
