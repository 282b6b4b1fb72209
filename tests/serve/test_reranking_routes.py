"""Reranking in the dialects of Cohere, Jina and text-embeddings-inference, beside direct calls."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

import trivec

QUERY = "what is the capital city"
DOCUMENTS = ["The capital city is on the river.", "", "science book", "Die Hauptstadt und der Berg. " * 8, "water"]


def ask(client: TestClient, path: str, status: int = 200, **body: Any) -> Any:
    response = client.post(path, json={"query": QUERY, **body})
    assert response.status_code == status, response.text
    return response.json()


@pytest.mark.parametrize("path", ["/v1/rerank", "/v2/rerank"])
def test_cohere_and_jina(client: TestClient, reranker: trivec.Reranker, path: str) -> None:
    answer = ask(client, path, documents=DOCUMENTS)
    ranked = reranker.rank(QUERY, DOCUMENTS)
    chances = reranker.probabilities(np.asarray([one.score for one in ranked], np.float32))
    assert [row["index"] for row in answer["results"]] == [one.number for one in ranked]
    np.testing.assert_allclose([row["relevance_score"] for row in answer["results"]], chances, atol=1e-6)
    assert answer["meta"]["api_version"]["version"] == path[2]
    assert answer["usage"]["total_tokens"] > 0
    assert all("document" not in row for row in answer["results"])


def test_the_best_with_their_texts(client: TestClient, reranker: trivec.Reranker) -> None:
    documents = [{"text": text} if number % 2 else text for number, text in enumerate(DOCUMENTS)]
    answer = ask(client, "/v1/rerank", documents=documents, top_n=2, return_documents=True, model=reranker.name)
    ranked = reranker.rank(QUERY, DOCUMENTS, 2)
    assert [row["document"]["text"] for row in answer["results"]] == [DOCUMENTS[one.number] for one in ranked]


def test_less_of_a_document(client: TestClient, reranker: trivec.Reranker) -> None:
    answer = ask(client, "/v2/rerank", documents=[DOCUMENTS[3]], max_tokens_per_doc=2)
    chance = reranker.probabilities(reranker.score(QUERY, [DOCUMENTS[3][:8]]))
    assert answer["results"][0]["relevance_score"] == pytest.approx(float(chance[0]), abs=1e-6)


def test_tei(client: TestClient, reranker: trivec.Reranker) -> None:
    ranked = reranker.rank(QUERY, DOCUMENTS)
    raw = ask(client, "/rerank", texts=DOCUMENTS, raw_scores=True, return_text=True)
    assert [(row["index"], row["text"]) for row in raw] == [(one.number, DOCUMENTS[one.number]) for one in ranked]
    np.testing.assert_allclose([row["score"] for row in raw], [one.score for one in ranked], atol=1e-5)
    assert all(0 <= row["score"] <= 1 for row in ask(client, "/rerank", texts=DOCUMENTS))


def test_what_cannot_be_is_refused_in_each_dialect(client: TestClient) -> None:
    assert set(ask(client, "/v2/rerank", 400)) == {"message"}
    assert "none-such" in ask(client, "/v1/rerank", 404, documents=["a"], model="none-such")["message"]
    assert ask(client, "/v1/rerank", 413, documents=["a"] * 2049)
    assert ask(client, "/rerank", 422) == {
        "error": "the request cannot be used: texts: Field required", "error_type": "validation",
    }  # fmt: skip
