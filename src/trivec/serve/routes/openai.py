"""``/v1/embeddings`` and ``/v1/models``, as OpenAI has them."""

from __future__ import annotations

import base64
import time
from typing import Any

import numpy as np
from fastapi import APIRouter
from fastapi.responses import Response

from trivec.embeddings import Embeddings
from trivec.encode.compression import truncate
from trivec.serve.answers import json_answer, sparse_row
from trivec.serve.failures import BadRequest, NotFound
from trivec.serve.reading import StrictRoute
from trivec.serve.schemas.base import listed
from trivec.serve.schemas.openai import ERRORS, EmbeddingsRequest, EmbeddingsResponse, Model, ModelList
from trivec.serve.service import Served, Service
from trivec.types import FloatArray

router = APIRouter(tags=["OpenAI"], responses=ERRORS, route_class=StrictRoute)
_STARTED = int(time.time())


@router.post("/v1/embeddings", response_model=EmbeddingsResponse, summary="Vectors of texts")
async def embeddings(body: EmbeddingsRequest, service: Served) -> Response:
    """Dense vectors, and with `heads` sparse and multi-vectors from the same pass."""
    encoder = service.models.encoder(body.model)
    if body.dimensions is not None and "dense" not in body.heads:
        raise BadRequest("dimensions are those of the dense vector: add dense to heads", param="dimensions")
    encoded = await service.encoding.encode(encoder, listed(body.input), body.input_type, body.heads, body.truncate)
    vectors, tokens = encoded.vectors, sum(encoded.tokens)
    dense = vectors.dense
    if dense is not None and body.dimensions is not None:
        dense = truncate(dense, body.dimensions)
    rows = [_row(vectors, dense, row, body.encoding_format) for row in range(len(vectors))]
    return json_answer(
        {
            "object": "list",
            "data": rows,
            "model": service.models.name_of(encoder),
            "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
        }
    )


def _row(vectors: Embeddings, dense: FloatArray | None, row: int, form: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {"object": "embedding", "index": row, "embedding": []}
    if dense is not None:
        found["embedding"] = _base64(dense[row]) if form == "base64" else dense[row]
    if vectors.sparse is not None:
        found["sparse"] = sparse_row(vectors.sparse, row)
    if vectors.multi is not None:
        found["multi_vector"] = vectors.multi[row]
    return found


def _base64(vector: FloatArray) -> str:
    return base64.b64encode(np.ascontiguousarray(vector, "<f4").tobytes()).decode()


@router.get("/v1/models", summary="Encoders and rerankers of this server")
async def models(service: Served) -> ModelList:
    """All of them; the first of a kind is meant where a request names none."""
    return ModelList(data=_models(service))


@router.get("/v1/models/{name:path}", summary="One model")
async def model(name: str, service: Served) -> Model:
    """By its name."""
    for found in _models(service):
        if found.id == name:
            return found
    raise NotFound(f"this server has no model {name!r:.80}: see /v1/models", code="model_not_found", param="model")


def _models(service: Service) -> list[Model]:
    encoders = [
        Model(
            id=name,
            created=_STARTED,
            owned_by="trivec",
            kind="encoder",
            heads=list(encoder.heads),
            dimensions=encoder.checkpoint.dense_width,
            max_length=encoder.max_length,
        )
        for name, encoder in service.models.encoders.items()
    ]
    rerankers = [
        Model(id=name, created=_STARTED, owned_by="trivec", kind="reranker", heads=[], dimensions=None, max_length=None)
        for name in service.models.rerankers
        if name not in service.models.encoders
    ]
    return [*encoders, *rerankers]
