"""``/v1/libraries``: what there is, and searching it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter
from fastapi.responses import Response

from trivec.index import parse_filter
from trivec.search.collection import Collection
from trivec.search.fusion import FUSIONS, make_fusion
from trivec.search.options import SearchOptions
from trivec.serve.answers import json_answer
from trivec.serve.failures import BadRequest, TooLarge
from trivec.serve.libraries import ServedLibrary
from trivec.serve.reading import StrictRoute
from trivec.serve.schemas.libraries import (
    ExplainRequest,
    ExplainResponse,
    LibraryAnswer,
    LibraryList,
    SearchRequest,
    SearchResponse,
    SearchWay,
)
from trivec.serve.schemas.openai import ERRORS
from trivec.serve.searching import Search
from trivec.serve.service import Served, Service
from trivec.types import Signal, passage_id

router = APIRouter(tags=["Libraries"], responses=ERRORS, route_class=StrictRoute, prefix="/v1/libraries")


@router.get("", summary="Libraries of this server")
async def libraries(service: Served) -> LibraryList:
    """All of them."""
    return LibraryList(libraries=[await _describe(service, library, False) for library in service.libraries])


@router.get("/{name}", summary="One library")
async def library(name: str, service: Served) -> LibraryAnswer:
    """With its languages."""
    return await _describe(service, service.libraries.named(name), True)


async def _describe(service: Service, library: ServedLibrary, with_languages: bool) -> LibraryAnswer:
    def look() -> LibraryAnswer:
        collection = library.collection
        stats = collection.store.stats()
        return LibraryAnswer(
            name=library.name,
            model=service.models.name_of(collection.encoder),
            signals=list(collection.store.signals),
            documents=stats.documents,
            passages=stats.passages,
            bytes=stats.bytes,
            store=collection.manifest.store,
            read_only=service.options.read_only,
            search=_way(collection),
            languages=dict(collection.info().languages) if with_languages else None,
        )

    return await asyncio.to_thread(look)


def _way(collection: Collection) -> SearchWay:
    options, signals = collection.search_options, collection.store.signals

    def of_each(weights: Mapping[Signal, float]) -> dict[str, float]:
        return {signal: weights.get(signal, 0.0) for signal in signals}

    return SearchWay(
        mode=options.mode,
        fusion=options.fusion,
        weights=of_each(options.rule().weights),
        candidates=options.candidates,
        shortlist=options.shortlist,
        per_passage=options.per_passage,
        reranker=options.reranker,
        depth=options.depth,
        first_stage=options.first_stage,
        rules={name: of_each(make_fusion(name).weights) for name in FUSIONS},
    )


@router.post("/{name}/search", response_model=SearchResponse, summary="Search a library")
async def search(name: str, body: SearchRequest, service: Served) -> Response:
    """Hybrid by default; with `explain`, each hit says why."""
    library = service.libraries.named(name)
    started = time.perf_counter()
    found = await service.searching.search(library, _search(body, library, service))
    hits: list[dict[str, Any]] = [hit.to_dict() for hit in found]
    if body.explain:
        for hit, explanation in zip(hits, await service.searching.explain(found), strict=True):
            hit["explanation"] = explanation.to_dict()
    seconds = round(time.perf_counter() - started, 6)
    return json_answer({"library": name, "query": body.query, "hits": hits, "seconds": seconds})


@router.post("/{name}/explain", response_model=ExplainResponse, summary="Hold a query against given passages")
async def explain(name: str, body: ExplainRequest, service: Served) -> Response:
    """Scores by every signal, matched words and token pairs, also of passages that a search does not find."""
    library = service.libraries.named(name)
    _check_query(body.query)
    names = [passage_id(passage.id, passage.number) for passage in body.passages]
    found = await service.searching.explain_named(library, body.query, names)
    return json_answer({"explanations": [None if one is None else one.to_dict() for one in found]})


def _check_query(query: str) -> None:
    if not query.strip():
        raise BadRequest("the query is blank: give a question or keywords", param="query")


def _search(body: SearchRequest, library: ServedLibrary, service: Service) -> Search:
    """What is asked for, within bounds.

    Raises:
        BadRequest: the query is blank.
        TooLarge: it asks for too much.
    """
    _check_query(body.query)
    limits = service.options.limits
    for name, most in {"k": limits.hits, "depth": limits.hits, "candidates": limits.candidates,
                       "shortlist": limits.candidates}.items():  # fmt: skip
        if (value := getattr(body, name)) is not None and value > most:
            raise TooLarge(f"{name} is {value}, and may be {most}: ask for less", param=name)
    chosen: SearchOptions = library.collection.search_options.changed(
        mode=body.mode,
        weights=body.weights,
        fusion=body.fusion,
        candidates=body.candidates,
        shortlist=body.shortlist,
        per_passage=body.per_passage,
        reranker=body.reranker,
        depth=body.depth,
        first_stage=body.first_stage,
    )
    if chosen.reranker:
        service.models.reranker(chosen.reranker)
    elif body.depth is not None or body.first_stage is not None:
        raise BadRequest("depth and first_stage are for a reranker: name one", param="reranker")
    return Search(body.query, body.k, parse_filter(body.where), chosen)
