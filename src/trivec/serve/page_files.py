"""The files of the page, read once, with the headers that keep it safe."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

SAFETY: Mapping[str, str] = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
}
"""Nothing is loaded from elsewhere, no script or style runs that is not a file of ours, no other page may frame it."""

_PREFIX = "/page/"
_START = "index.html"


@dataclass(frozen=True)
class PageFile:
    """A file as it is sent."""

    content: bytes
    media_type: str
    etag: str


@cache
def page_files() -> Mapping[str, PageFile]:
    """The files by their paths on the server; ``/`` is where one begins."""
    found = {}
    for entry in files("trivec.serve").joinpath("page").iterdir():
        suffix = f".{entry.name.rpartition('.')[2]}"
        if suffix in MEDIA_TYPES:
            content = entry.read_bytes()
            etag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
            path = "/" if entry.name == _START else _PREFIX + entry.name
            found[path] = PageFile(content, f"{MEDIA_TYPES[suffix]}; charset=utf-8", etag)
    return found
