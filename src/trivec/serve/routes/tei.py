"""``/embed``, ``/embed_sparse``, ``/embed_all``, ``/rerank`` and ``/info``, as text-embeddings-inference has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from fastapi import APIRouter
from fastapi.responses import Response

import trivec
from trivec.encode.compression import truncate
from trivec.encode.encoder import Encoder
from trivec.serve.answers import json_answer, sparse_row
from trivec.serve.encoding import Encoded, Role
from trivec.serve.failures import Failure, Unusable
from trivec.serve.reading import StrictRoute
from trivec.serve.schemas.base import listed
from trivec.serve.schemas.tei import (
    ERRORS,
    EmbedRequest,
    EmbedTextsRequest,
    Info,
    Rank,
    TeiRerankRequest,
    Weight,
)
from trivec.serve.service import Served, Service
from trivec.types import Head

router = APIRouter(tags=["text-embeddings-inference"], responses=ERRORS, route_class=StrictRoute)

_ROLES: dict[str | None, Role] = {
    None: "document",
    "query": "query",
    "document": "document",
    "passage": "document",
    "none": "none",
}


@router.post("/embed", response_model=list[list[float]], summary="Dense vectors")
@router.post("/", response_model=list[list[float]], summary="Dense vectors, at the root", operation_id="embed_at_root")
async def embed(body: EmbedRequest, service: Served) -> Response:
    """One vector a text."""
    encoder = service.models.encoder(None)
    if not body.normalize and encoder.checkpoint.normalize:
        raise Unusable(f"{encoder.name} gives vectors of unit length only: leave normalize out", param="normalize")
    encoded = await _encode(service, encoder, body, "dense")
    dense = encoded.vectors.dense
    assert dense is not None
    return json_answer(dense if body.dimensions is None else truncate(dense, body.dimensions))


@router.post("/embed_sparse", response_model=list[list[Weight]], summary="Learned weights of tokens")
async def embed_sparse(body: EmbedTextsRequest, service: Served) -> Response:
    """Token ids with their weights, one list a text."""
    encoded = await _encode(service, service.models.encoder(None), body, "sparse")
    matrix = encoded.vectors.sparse
    assert matrix is not None
    return json_answer([_weights(sparse_row(matrix, row)) for row in range(matrix.shape[0])])


@router.post("/embed_all", response_model=list[list[list[float]]], summary="Multi-vectors, one a token")
async def embed_all(body: EmbedTextsRequest, service: Served) -> Response:
    """The model's multi-vectors, for late interaction."""
    encoded = await _encode(service, service.models.encoder(None), body, "multi")
    multi = encoded.vectors.multi
    assert multi is not None
    return json_answer(list(multi))


@router.post("/rerank", response_model=list[Rank], summary="Texts in order of relevance")
async def rerank(body: TeiRerankRequest, service: Served) -> Response:
    """Best first."""
    found = await service.reranking.rerank(service.models.reranker(None), body.query, body.texts)
    scores = found.logits if body.raw_scores else found.probabilities
    return json_answer(
        [
            {"index": number, "score": float(scores[number])}
            | ({"text": body.texts[number]} if body.return_text else {})
            for number in found.order
        ]
    )


@router.get("/info", summary="What this server is")
async def info(service: Served) -> Info:
    """Of the first model."""
    limits, batches = service.options.limits, service.options.batches
    if service.models.encoders:
        name, encoder = next(iter(service.models.encoders.items()))
        sha, kind, length = encoder.fingerprint.digest, {"embedding": {"pooling": encoder.checkpoint.pooling}}, encoder
        longest = length.max_length
    else:
        reranker = service.models.reranker(None)
        name, sha, longest = reranker.name, reranker.identity, 0
        kind = {"reranker": {"id2label": {}, "label2id": {}}}  # type: ignore[dict-item]
    return Info(
        model_id=name,
        model_sha=sha,
        model_dtype="float32",
        model_type=cast("dict[str, Any]", kind),
        max_concurrent_requests=batches.queue_requests,
        max_input_length=longest,
        max_batch_tokens=batches.lanes["documents"].batch_tokens,
        max_client_batch_size=limits.texts,
        auto_truncate=True,
        tokenization_workers=1,
        version=trivec.__version__,
    )


async def _encode(service: Service, encoder: Encoder, body: EmbedRequest | EmbedTextsRequest, head: Head) -> Encoded:
    if body.prompt_name not in _ROLES:
        raise Unusable(
            f"there is no prompt {body.prompt_name!r:.40}: send query, document or none", param="prompt_name"
        )
    cut = body.truncate is not False and body.truncation_direction.lower() == "right"
    try:
        return await service.encoding.encode(encoder, listed(body.inputs), _ROLES[body.prompt_name], [head], cut)
    except Failure as failure:
        if failure.code == "context_length_exceeded":
            raise Unusable(failure.message) from failure
        raise


def _weights(row: dict[str, Any]) -> Sequence[dict[str, float]]:
    return [
        {"index": index, "value": value}
        for index, value in zip(row["indices"].tolist(), row["values"].tolist(), strict=True)
    ]
