"""``/v1/libraries/{name}/overview`` and ``/map``: a library as a whole."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter
from fastapi.responses import Response

from trivec.serve.answers import json_answer
from trivec.serve.reading import StrictRoute
from trivec.serve.schemas.openai import ERRORS
from trivec.serve.schemas.overview import MapAnswer, OverviewAnswer
from trivec.serve.service import Served

router = APIRouter(tags=["Libraries"], responses=ERRORS, route_class=StrictRoute, prefix="/v1/libraries/{name}")


@router.get("/overview", response_model=OverviewAnswer, summary="What is in a library")
async def overview(name: str, service: Served) -> Response:
    """How many documents, how long they are, and the values of their metadata."""
    return json_answer(asdict(await service.views.overview(service.libraries.named(name))))


@router.get("/map", response_model=MapAnswer, summary="Documents in a plane")
async def document_map(name: str, service: Served) -> Response:
    """At most 2,000 of them, along the two principal components of their dense vectors."""
    return json_answer(asdict(await service.views.map(service.libraries.named(name))))
