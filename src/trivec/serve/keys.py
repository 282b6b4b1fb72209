"""API keys. The server knows their hashes alone.

A file of keys has one a line, a name and the SHA-256 of the key; ``trivec serve --new-key NAME`` makes both::

    # name  hash
    search-page  sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08

The environment variable ``TRIVEC_API_KEYS`` may hold more, between commas: hashes, or keys as they are. Keys are long
and random, so a plain hash cannot be turned back by guessing.

A request brings its key as ``Authorization: Bearer KEY``, or as ``X-API-Key: KEY``.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Container, Mapping
from pathlib import Path

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from trivec.errors import InputError
from trivec.serve.dialects import error_response
from trivec.serve.failures import NoKey

VARIABLE = "TRIVEC_API_KEYS"
OPEN_PATHS = ("/health",)
"""Paths that need no key, so that a supervisor can ask whether the server lives."""

_HASH = re.compile("sha256:[0-9a-f]{64}")
_LEAST_LENGTH = 16


def new_key(name: str) -> tuple[str, str]:
    """A new random key, and the line for the file.

    Raises:
        InputError: the name has blanks, or is empty.
    """
    if not re.fullmatch(r"[\w.@-]+", name):
        raise InputError(f"a key's name has letters, digits and . _ @ - only, got {name!r}")
    key = f"tv-{secrets.token_urlsafe(32)}"
    return key, f"{name}  {hash_key(key)}"


def hash_key(key: str) -> str:
    """What is kept of a key."""
    return f"sha256:{hashlib.sha256(key.encode('utf-8', 'surrogatepass')).hexdigest()}"


class ApiKeys:
    """Keys by their hashes, with names for the log."""

    def __init__(self, names: Mapping[str, str]) -> None:
        self._names = dict(names)

    @classmethod
    def read(cls, path: Path | None, environment: Mapping[str, str] = os.environ) -> ApiKeys:
        """Keys of a file and of the environment.

        Raises:
            InputError: the file is not there, or a line is no name with a hash; or a key is too short.
        """
        names: dict[str, str] = {}
        if path is not None:
            names |= _read_file(path)
        for number, word in enumerate(re.split(r"[\s,]+", environment.get(VARIABLE, "").strip()), start=1):
            if word:
                names[_hashed(word)] = f"environment-{number}"
        return cls(names)

    def __bool__(self) -> bool:
        return bool(self._names)

    def name_of(self, key: str) -> str | None:
        """Whose key it is; None if it is nobody's. All hashes are compared, so the time tells nothing."""
        given, found = hash_key(key), None
        for known, name in self._names.items():
            if hmac.compare_digest(known, given):
                found = name
        return found


def _read_file(path: Path) -> dict[str, str]:
    if not path.is_file():
        raise InputError(f"there is no file of keys {path}: trivec serve --new-key NAME makes a line for one")
    names = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        words = line.split("#")[0].split()
        if not words:
            continue
        if len(words) != 2 or not _HASH.fullmatch(words[1]):
            raise InputError(
                f"{path}:{number}: not a name and sha256: with 64 digits; trivec serve --new-key NAME makes such a line"
            )
        names[words[1]] = words[0]
    if not names:
        raise InputError(f"{path} has no key: trivec serve --new-key NAME makes a line for it")
    return names


def _hashed(word: str) -> str:
    if _HASH.fullmatch(word):
        return word
    if len(word) < _LEAST_LENGTH:
        raise InputError(f"a key in {VARIABLE} has {len(word)} letters: give at least {_LEAST_LENGTH}, random ones")
    return hash_key(word)


class RequireKey:
    """Lets requests through that bring a key. Its name goes to ``scope["state"]["key"]``.

    Args:
        app: is asked with a key.
        keys: the known ones.
        readable: paths that may be read without one.
    """

    def __init__(self, app: ASGIApp, keys: ApiKeys, readable: Container[str] = ()) -> None:
        self._app = app
        self._keys = keys
        self._readable = readable

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """As ASGI asks for."""
        if scope["type"] != "http" or needs_no_key(scope["method"], scope["path"], self._readable):
            await self._app(scope, receive, send)
            return
        key = given_key(Headers(scope=scope))
        name = None if key is None else self._keys.name_of(key)
        if name is None:
            reason = "a key is needed: send Authorization: Bearer KEY" if key is None else "this key is not known"
            await error_response(scope["path"], NoKey(reason))(scope, receive, send)
            return
        scope.setdefault("state", {})["key"] = name
        await self._app(scope, receive, send)


def needs_no_key(method: str, path: str, readable: Container[str] = ()) -> bool:
    """Whether a request may come without a key: ``readable`` are the paths that anybody may read."""
    return path in OPEN_PATHS or (method.upper() in ("GET", "HEAD") and path in readable)


def given_key(headers: Headers) -> str | None:
    """The key that a request brings."""
    kind, _, key = headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and key.strip():
        return key.strip()
    return headers.get("x-api-key") or None
