"""``/`` and ``/page/...``: the page for people. Its files hold no data, so they need no key."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse, Response

from trivec.serve.failures import NotFound
from trivec.serve.page_files import SAFETY, page_files

_UNCHANGED = {"description": "The browser has it already."}

router = APIRouter(tags=["Page"])


@router.get("/", summary="The page to search with", response_class=HTMLResponse, responses={304: _UNCHANGED})
@router.head("/", include_in_schema=False)
@router.api_route("/page/{name}", methods=["GET", "HEAD"], include_in_schema=False)
async def page(request: Request) -> Response:
    """A file, or 304 if the browser has it: it asks each time, and so never shows an old page to a new server."""
    file = page_files().get(request.url.path)
    if file is None:
        raise NotFound("the page has no such file: begin at /")
    headers = {**SAFETY, "etag": file.etag, "cache-control": "no-cache"}
    known = request.headers.get("if-none-match", "")
    if file.etag in (tag.strip().removeprefix("W/") for tag in known.split(",")):
        return Response(status_code=304, headers=headers)
    return Response(file.content, headers=headers, media_type=file.media_type)
