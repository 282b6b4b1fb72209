"""The libraries that a server has, by name. A name in a request is looked up here, and never becomes a path."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from trivec.errors import InputError
from trivec.search.adding import AddReport
from trivec.search.collection import Collection
from trivec.search.manifest import Manifest
from trivec.search.opening import open_collection
from trivec.serve.failures import Forbidden, NotFound, Overloaded
from trivec.serve.metrics import Metrics
from trivec.serve.models import Models
from trivec.types import Document

Answer = TypeVar("Answer")

_NAME = re.compile(r"[^\W_][\w.-]{0,99}")
_WAITING_WRITES = 64


class ServedLibrary:
    """A library, with one thread for what changes it.

    What was begun is finished, also if nobody waits for it any more. Adding answers when everything is durable.

    Attributes:
        name: in requests.
        collection: the library.
        changes: how many changes were asked for here and came to an end.
    """

    def __init__(self, name: str, collection: Collection, metrics: Metrics, read_only: bool = False) -> None:
        self.name = name
        self.collection = collection
        self.changes = 0
        self._metrics = metrics
        self._read_only = read_only
        self._thread = ThreadPoolExecutor(1, f"trivec-write-{name}")
        self._waiting = 0

    async def add(self, documents: Iterable[Document]) -> AddReport:
        """See `trivec.Collection.add`. Errors as in `check_writable`."""
        return await self._write(lambda: self.collection.add(documents))

    async def delete(self, ids: Iterable[str], where: str | Mapping[str, object] | None = None) -> int:
        """See `trivec.Collection.delete`. Errors as in `check_writable`."""
        return await self._write(lambda: self.collection.delete(ids, where))

    def check_writable(self) -> None:
        """Refuse a change.

        Raises:
            Forbidden: the server only reads.
            Overloaded: too many changes are waiting.
        """
        if self._read_only:
            raise Forbidden("this server changes no libraries (--read-only)")
        if self._waiting >= _WAITING_WRITES:
            raise Overloaded(f"{self._waiting} changes of {self.name} are waiting: ask again later", retry_after_s=5)

    async def _write(self, change: Callable[[], Answer]) -> Answer:
        self.check_writable()
        self._waiting += 1
        future = asyncio.get_running_loop().run_in_executor(self._thread, change)
        future.add_done_callback(lambda _: self._written())
        with self._metrics.stage("write"):
            return await future

    def _written(self) -> None:
        self._waiting -= 1
        self.changes += 1

    def close(self) -> None:
        """Finish what was begun, and close the library."""
        self._thread.shutdown(wait=True)
        self.collection.close()


class Libraries:
    """Libraries by name."""

    def __init__(self) -> None:
        self._served: dict[str, ServedLibrary] = {}

    def __iter__(self) -> Iterator[ServedLibrary]:
        return iter(self._served.values())

    def add(self, library: ServedLibrary) -> None:
        """Serve one more.

        Raises:
            InputError: there is one of that name, or the name cannot stand in an address.
        """
        if not _NAME.fullmatch(library.name):
            raise InputError(
                f"the library's name {library.name!r} cannot stand in an address: give it another one, NAME=FOLDER"
            )
        if library.name in self._served:
            raise InputError(f"two libraries are called {library.name!r}: give one another name, NAME=FOLDER")
        self._served[library.name] = library

    def named(self, name: str) -> ServedLibrary:
        """The library of that name.

        Raises:
            NotFound: there is none.
        """
        if name not in self._served:
            offer = f"choose one of {', '.join(self._served)}" if self._served else "start the server with one"
            raise NotFound(f"this server has no library {name!r:.80}: {offer}", code="library_not_found")
        return self._served[name]

    def close(self) -> None:
        """Close them all."""
        for library in self._served.values():
            library.close()


def split_name(word: str) -> tuple[str, Path]:
    """Name and folder of a library: ``NAME=FOLDER``, or a folder that gives its name."""
    name, equals, folder = word.partition("=")
    if equals and "/" not in name and not Path(word).exists():
        return name, Path(folder).expanduser()
    path = Path(word).expanduser()
    return path.resolve().name, path


def open_library(word: str, models: Models, metrics: Metrics, read_only: bool = False) -> ServedLibrary:
    """Open a library, with its model, and with the reranker that it names.

    Raises:
        LibraryError: there is none.
        UnknownModelError: its model is not here.
    """
    name, folder = split_name(word)
    encoder = models.load_encoder(Manifest.read(folder).model)
    collection = open_collection(folder, encoder, create=False)
    reranker = collection.search_options.reranker
    if reranker:
        models.load_reranker(reranker)
    return ServedLibrary(name, collection, metrics, read_only)
