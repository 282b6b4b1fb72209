"""``/health`` and ``/metrics``."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from trivec.serve.metrics import CONTENT_TYPE
from trivec.serve.service import Served

router = APIRouter(tags=["Care"])


@router.get("/health", summary="Whether the server answers", response_class=Response)
async def health() -> Response:
    """200 and nothing else. Needs no key."""
    return Response()


@router.get("/metrics", summary="Numbers for Prometheus", response_class=Response)
async def metrics(service: Served) -> Response:
    """Latencies by stage, how full batches are, queues, tokens."""
    return Response(service.metrics.page(), headers={"content-type": CONTENT_TYPE})
