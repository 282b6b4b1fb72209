"""Pictures of whole libraries, which take long to draw: each is kept until its library changes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from trivec.index.store import Store
from trivec.serve.document_map import DocumentMap, draw_map
from trivec.serve.libraries import ServedLibrary
from trivec.serve.overview import Overview, look_over

View = TypeVar("View")


class LibraryViews:
    """Overviews and maps. One of a kind is drawn at a time, and whoever asks meanwhile gets the same."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, str], tuple[object, Any]] = {}
        self._drawing: dict[tuple[str, str], asyncio.Lock] = {}

    async def overview(self, library: ServedLibrary) -> Overview:
        """What is in it."""
        return await self._view("overview", library, look_over)

    async def map(self, library: ServedLibrary) -> DocumentMap:
        """Its documents in a plane.

        Raises:
            MissingHeadError: it has no dense vectors.
        """
        return await self._view("map", library, draw_map)

    async def _view(self, kind: str, library: ServedLibrary, draw: Callable[[Store], View]) -> View:
        key = (kind, library.name)
        async with self._drawing.setdefault(key, asyncio.Lock()):
            state = await asyncio.to_thread(_state, library)
            kept = self._kept.get(key)
            if kept is None or kept[0] != state:
                kept = (state, await asyncio.to_thread(draw, library.collection.store))
                self._kept[key] = kept
            view: View = kept[1]
            return view


def _state(library: ServedLibrary) -> object:
    """Differs after a change: changes made here are counted, those of other processes show in the sizes."""
    return library.changes, library.collection.store.stats()
