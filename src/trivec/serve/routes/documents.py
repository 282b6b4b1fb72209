"""``/v1/libraries/{name}/documents``: adding, reading and removing."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from itertools import islice
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import Response

from trivec.index import FilterLike
from trivec.search.collection import Collection
from trivec.serve.answers import json_answer
from trivec.serve.failures import BadRequest, NotFound, TooLarge
from trivec.serve.reading import StrictRoute
from trivec.serve.schemas.libraries import (
    AddRequest,
    AddResponse,
    DeleteRequest,
    DeleteResponse,
    DocumentAnswer,
    DocumentBody,
    DocumentList,
)
from trivec.serve.schemas.openai import ERRORS
from trivec.serve.service import Served, Service
from trivec.types import Document

router = APIRouter(
    tags=["Documents"], responses=ERRORS, route_class=StrictRoute, prefix="/v1/libraries/{name}/documents"
)


@router.post("", summary="Add or replace documents")
async def add(name: str, body: AddRequest, service: Served) -> AddResponse:
    """Unchanged ones are not encoded again. What is answered is durable."""
    library = service.libraries.named(name)
    service.encoding.check_count(len(body.documents), "documents")
    report = await library.add([as_document(one, service) for one in body.documents])
    return AddResponse(**asdict(report))


@router.get("", response_model=DocumentList, summary="Documents by id or filter")
async def documents(
    name: str,
    service: Served,
    where: Annotated[str | None, Query(description="A filter over metadata.")] = None,
    after: Annotated[str | None, Query(description="Begin behind this id.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> Response:
    """Ordered by id, some at a time."""
    collection = service.libraries.named(name).collection
    found, following = await asyncio.to_thread(_page, collection, where, after, limit)
    return json_answer({"documents": [_answer(document) for document in found], "next": following})


def _page(
    collection: Collection, where: FilterLike, after: str | None, limit: int
) -> tuple[list[Document], str | None]:
    behind = (one for one in collection.documents(where) if after is None or one.id > after)
    found = list(islice(behind, limit + 1))
    return found[:limit], found[limit - 1].id if len(found) > limit else None


@router.post("/delete", summary="Remove documents by id or filter")
async def delete_several(name: str, body: DeleteRequest, service: Served) -> DeleteResponse:
    """Ids that are not there are ignored."""
    library = service.libraries.named(name)
    if not body.ids and not body.where:
        raise BadRequest("nothing to delete: give ids, or a filter as where", param="ids")
    return DeleteResponse(deleted=await library.delete(body.ids, body.where))


@router.get("/{id:path}", response_model=DocumentAnswer, summary="One document")
async def document(name: str, id: str, service: Served) -> Response:
    """By its id, put together from its passages."""
    found = await asyncio.to_thread(service.libraries.named(name).collection.get, id)
    if found is None:
        raise NotFound(f"{name} has no document {id!r:.80}", code="document_not_found")
    return json_answer(_answer(found))


@router.delete("/{id:path}", summary="Remove one document")
async def delete(name: str, id: str, service: Served) -> DeleteResponse:
    """By its id."""
    library = service.libraries.named(name)
    if not id:
        raise BadRequest("nothing to delete: give an id")
    if not await library.delete([id]):
        raise NotFound(f"{name} has no document {id!r:.80}", code="document_not_found")
    return DeleteResponse(deleted=1)


def as_document(body: DocumentBody, service: Service) -> Document:
    """A body as a document.

    Raises:
        TooLarge: its text is too long.
    """
    most = service.options.limits.text_characters
    if len(body.text) > most:
        raise TooLarge(f"the text of {body.id!r:.80} has {len(body.text)} characters, and may have {most}: split it")
    return Document(body.id, body.text, body.title, body.metadata)


def _answer(found: Document) -> dict[str, object]:
    return {"id": found.id, "text": found.text, "title": found.title, "metadata": dict(found.metadata)}
