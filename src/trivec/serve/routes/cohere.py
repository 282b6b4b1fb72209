"""``/v1/rerank`` and ``/v2/rerank``, as Cohere and Jina have them."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from trivec.serve.answers import json_answer
from trivec.serve.reading import StrictRoute
from trivec.serve.schemas.cohere import ERRORS, RerankRequest, RerankResponse
from trivec.serve.service import Served, Service

router = APIRouter(tags=["Cohere and Jina"], responses=ERRORS, route_class=StrictRoute)


@router.post("/v1/rerank", response_model=RerankResponse, summary="Documents in order of relevance")
async def rerank_v1(body: RerankRequest, service: Served, request: Request) -> Response:
    """The first version of Cohere's route, and Jina's."""
    return json_answer(await _rerank(body, service, request, "1"))


@router.post("/v2/rerank", response_model=RerankResponse, summary="Documents in order of relevance")
async def rerank_v2(body: RerankRequest, service: Served, request: Request) -> Response:
    """The second version of Cohere's route."""
    return json_answer(await _rerank(body, service, request, "2"))


async def _rerank(body: RerankRequest, service: Service, request: Request, version: str) -> dict[str, Any]:
    reranker = service.models.reranker(body.model)
    texts = [one if isinstance(one, str) else one.text for one in body.documents]
    found = await service.reranking.rerank(reranker, body.query, texts, body.max_tokens_per_doc)
    results = [
        {
            "index": number,
            "relevance_score": float(found.probabilities[number]),
            **({"document": {"text": texts[number]}} if body.return_documents else {}),
        }
        for number in found.order[: body.top_n]
    ]
    return {
        "id": request.state.id,
        "model": body.model or reranker.name,
        "results": results,
        "meta": {"api_version": {"version": version}, "billed_units": {"search_units": 1}},
        "usage": {"total_tokens": found.tokens},
    }
