"""``/v1/encode``: all vectors of texts."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from trivec.embeddings import Embeddings
from trivec.serve.answers import json_answer, sparse_row
from trivec.serve.reading import StrictRoute
from trivec.serve.schemas.base import listed
from trivec.serve.schemas.encode import EncodeRequest, EncodeResponse
from trivec.serve.schemas.openai import ERRORS
from trivec.serve.service import Served
from trivec.types import Head

router = APIRouter(tags=["trivec"], responses=ERRORS, route_class=StrictRoute)


@router.post("/v1/encode", response_model=EncodeResponse, summary="All vectors of texts")
async def encode(body: EncodeRequest, service: Served) -> Response:
    """Dense, sparse and multi-vectors from one pass."""
    encoder = service.models.encoder(body.model)
    heads: list[Head] = [head for head in encoder.heads if head != "terms"]
    encoded = await service.encoding.encode(encoder, listed(body.texts), body.role, body.heads or heads, body.truncate)
    vectors = encoded.vectors
    fingerprint = vectors.fingerprint or encoder.fingerprint
    return json_answer(
        {
            "model": service.models.name_of(encoder),
            "fingerprint": asdict(fingerprint),
            "vocabulary_size": encoder.tokenizer.vocabulary_size,
            "tokens": encoded.tokens,
            "vectors": [_row(vectors, row) for row in range(len(vectors))],
        }
    )


def _row(vectors: Embeddings, row: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if vectors.dense is not None:
        found["dense"] = vectors.dense[row]
    if vectors.sparse is not None:
        found["sparse"] = sparse_row(vectors.sparse, row)
    if vectors.multi is not None:
        found["multi"] = list(vectors.multi[row])
    if vectors.terms is not None:
        found["terms"] = sparse_row(vectors.terms, row)
    return found
