"""Holding a query against passages that are named."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

import trivec

EXPLAIN = "/v1/libraries/library/explain"


def ask(client: TestClient, status: int = 200, **body: Any) -> Any:
    response = client.post(EXPLAIN, json=body)
    assert response.status_code == status, response.text
    return response.json()


def test_it_is_the_explanation_of_a_hit(client: TestClient, library: trivec.Collection) -> None:
    query = "the capital city and water"
    hits = library.search(query, weights={"dense": 1, "sparse": 1, "bm25": 1, "multi": 1})
    passages = [{"id": hit.id, "number": hit.passage.number} for hit in hits]
    told = ask(client, query=query, passages=passages)["explanations"]
    for hit, explanation in zip(hits, told, strict=True):
        direct = hit.explain()
        scores = {share["signal"]: share["score"] for share in explanation["signals"]}
        assert scores == pytest.approx(dict(hit.signals), abs=1e-5)
        assert explanation["document_id"] == hit.id
        assert [word["word"] for word in explanation["words"]] == [word.word for word in direct.words]
        assert [pair["document_start"] for pair in explanation["alignments"]] == [
            pair.document_start for pair in direct.alignments
        ]
        assert all(share["contribution"] is None for share in explanation["signals"])


def test_passages_that_are_not_there_have_none(client: TestClient) -> None:
    told = ask(client, query="water", passages=[{"id": "none"}, {"id": "water"}, {"id": "water", "number": 7}])
    assert [one is None for one in told["explanations"]] == [True, False, True]


@pytest.mark.parametrize(
    "body",
    [
        {"query": " ", "passages": [{"id": "water"}]},
        {"query": "water", "passages": []},
        {"query": "water", "passages": [{"id": "water"}] * 101},
        {"query": "water", "passages": [{"id": "water", "number": -1}]},
    ],
)
def test_what_cannot_be_explained(client: TestClient, body: dict[str, Any]) -> None:
    assert ask(client, 400, **body)["error"]["code"] == "invalid_request"


def test_how_a_library_is_searched(client: TestClient) -> None:
    way = client.get("/v1/libraries/library").json()["search"]
    assert (way["mode"], way["fusion"], way["reranker"]) == ("hybrid", "weighted-sum", "")
    assert way["weights"] == {"dense": 1.0, "sparse": 0.3, "bm25": 0.0, "multi": 1.0}
    assert set(way["rules"]) == {"weighted-sum", "rrf", "z-score", "min-max"}
