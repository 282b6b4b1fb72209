"""What a store holds now: its catalogue, its segment folders, and the view that readers take."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from trivec.errors import TrivecError
from trivec.index.native.catalog import Catalog
from trivec.index.native.files import SegmentFolders
from trivec.index.native.records import SegmentRecord, State
from trivec.index.native.segment import Segment
from trivec.index.native.view import Member, View, alive_rows

Answer = TypeVar("Answer")


class Contents:
    """Gives every reader the current view. Threads may share it.

    Attributes:
        folder: of the store.
        catalog: says what counts.
        folders: where segments lie.
        owned: whether this process writes, so that nobody else changes anything.
        changing: whether this process began a change and has not read since what came of it.
    """

    def __init__(self, folder: Path, catalog: Catalog) -> None:
        """Open all segments.

        Raises:
            LibraryError: something is missing or damaged.
        """
        self.folder = folder
        self.catalog = catalog
        self.folders = SegmentFolders(folder)
        self.owned = False
        self.changing = False
        self._loading = threading.Lock()
        self._view: View | None = None
        self.reload()

    @property
    def current(self) -> View:
        """The view as it was last read."""
        assert self._view is not None
        return self._view

    def refreshed(self) -> View:
        """The view with everything that any process has committed so far."""
        view = self.current
        certain = self.owned and not self.changing
        if certain or self.catalog.version() == view.state.version:
            return view
        return self.reload()

    def reload(self) -> View:
        """Read the catalogue, and open the segments that are new in it.

        Raises:
            LibraryError: something is missing or damaged.
        """
        with self._loading:
            while True:
                state = self.catalog.state()
                try:
                    self._view = View(state, self._members(state))
                    return self._view
                except (OSError, TrivecError):
                    # A merge may have removed a segment after it was read here that it is there.
                    if self.catalog.version() == state.version:
                        raise

    def read(self, ask: Callable[[View], Answer]) -> Answer:
        """Ask the current view. If files that it had not opened yet are gone since a merge, the next one is asked."""
        view = self.refreshed()
        while True:
            try:
                return ask(view)
            except (OSError, RuntimeError, TrivecError):
                later = self.refreshed()
                if later is view:
                    raise
                view = later

    def _members(self, state: State) -> list[Member]:
        known: dict[object, Member] = {}
        if self._view is not None and self._view.state.settings == state.settings:
            known = {_identity(member.segment.record): member for member in self._view.members}
        return [self._member(record, state, known) for record in state.segments]

    def _member(self, record: SegmentRecord, state: State, known: Mapping[object, Member]) -> Member:
        before = known.get(_identity(record))
        if before is not None and before.dead == record.dead:
            return before
        if before is not None:
            segment = before.segment
        else:
            segment = Segment(self.folders.folder(record.number), record, state.settings)
        return Member(segment, record.dead, alive_rows(record.dead, record.rows))

    def close(self) -> None:
        """Close the catalogue."""
        self.catalog.close()


def _identity(record: SegmentRecord) -> object:
    return record.number, tuple(sorted(record.files))
