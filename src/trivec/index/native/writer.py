"""The one writer of a store: adds and deletes, each in one transaction of the catalogue.

A segment is written under another name, synced and renamed before the transaction names it, so whatever the moment
at which the process dies, the catalogue names whole segments only. What it does not name is removed by the next
writer. Readers are never waited for and never wait: they keep the segments that they have open.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np

from trivec.embeddings import Embeddings
from trivec.errors import LibraryBusyError, LibraryError
from trivec.index.lock import FolderLock
from trivec.index.native.changes import Changes
from trivec.index.native.contents import Contents
from trivec.index.native.encodings import centered
from trivec.index.native.files import seal
from trivec.index.native.payload import write_payload
from trivec.index.native.records import SegmentRecord
from trivec.index.native.segment_writing import write_segment
from trivec.index.native.settings import NativeSettings
from trivec.index.native.view import View, dead_bits
from trivec.index.schema import VectorSchema
from trivec.types import Passage


class Writer:
    """Holds the folder's lock from the first write until it is closed. Threads may share it."""

    def __init__(self, contents: Contents) -> None:
        self.contents = contents
        self._lock: FolderLock | None = None
        self._writing = threading.RLock()
        self._closed = False
        self._frozen = False
        self._made_segments = 0
        self._made_passages = 0

    def upsert(self, passages: Sequence[Passage], vectors: Embeddings, remove: Sequence[str]) -> None:
        """Add passages with distinct ids, which replace those there, and remove others, all in one step."""
        with self._changing() as view:
            settings = _settled(view.state.settings, vectors)
            number, first = self.next_segment(), self._made_passages
            with self.contents.folders.staged(number) as folder:
                write_segment(folder, first, passages, vectors, settings)
                files = seal(folder)
                self.contents.folders.publish(number)
            self._made_passages += len(passages)
            record = SegmentRecord(number, first, len(passages), b"", settings.options.codecs, files)

            def change(changes: Changes) -> None:
                if settings is not view.state.settings:
                    changes.save_settings(settings)
                ids = [passage.id for passage in passages]
                _bury(changes, view, changes.remove_passages([*ids, *remove]))
                changes.add_passages(first, ids, [write_payload(passage) for passage in passages])
                changes.put_segment(record)

            self.commit(change, number)

    def delete(self, ids: Sequence[str]) -> None:
        """Remove passages in one step. Unknown ids are ignored."""
        if max(self.contents.catalog.numbers(ids)) < 0:
            return
        with self._changing() as view:
            self.commit(lambda changes: _bury(changes, view, changes.remove_passages(ids)))

    @contextlib.contextmanager
    def step(self) -> Iterator[View]:
        """The right to change something, and what is there now.

        Raises:
            LibraryBusyError: another process writes.
            LibraryError: something cannot be written.
        """
        with self._writing:
            try:
                self._own()
                yield self.contents.refreshed()
            except OSError as error:
                raise LibraryError(
                    f"{self.contents.folder} cannot be written ({error.strerror or error}): free space on the disk, "
                    "or look for missing permission to write; what was stored before is safe"
                ) from error

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Passages stay as they are for a while: whoever adds or deletes is refused. Rewriting goes on."""
        with self.step():
            if self._frozen:
                raise self._frozen_error()
            self._frozen = True
        try:
            yield
        finally:
            self._frozen = False

    @contextlib.contextmanager
    def _changing(self) -> Iterator[View]:
        """A step that adds or deletes passages."""
        with self.step() as view:
            if self._frozen:
                raise self._frozen_error()
            yield view

    def _frozen_error(self) -> LibraryBusyError:
        return LibraryBusyError(f"{self.contents.folder} is just being rewritten in this process: wait until that ends")

    def next_segment(self) -> int:
        """A number that no segment ever had. To be called in a step."""
        self._made_segments += 1
        return self._made_segments

    def commit(self, change: Callable[[Changes], None], made: int | None = None) -> None:
        """Change the catalogue, take the new view, and remove segments that are in it no more. Called in a step.

        Also after an error the catalogue is read: an interruption may have come when the change was done already. If
        another comes while it is read, the next reader reads it.

        Args:
            change: what to change.
            made: the number of a segment that was published for this.
        """
        before = {member.segment.record.number for member in self.contents.current.members}
        self.contents.changing = True
        try:
            with self.contents.catalog.transaction() as changes:
                change(changes)
                changes.save_counters(self._made_segments, self._made_passages)
        finally:
            kept = {record.number for record in self.contents.reload().state.segments}
            self.contents.changing = False
            self.contents.folders.remove((before | {made} if made is not None else before) - kept)

    def close(self) -> None:
        """Release the folder. Harmless if called twice."""
        with self._writing:
            self._closed = True
            if self._lock is not None:
                self._lock.release()
                self._lock, self.contents.owned = None, False

    def _own(self) -> None:
        """Take the lock, and remove what a killed writer has left behind."""
        if self._lock is not None:
            return
        if self._closed:
            raise LibraryError(f"the store in {self.contents.folder} is closed: open it again")
        self.contents.catalog.check_there()
        lock = FolderLock(self.contents.folder)
        try:
            state = self.contents.reload().state
            self.contents.folders.remove_leftovers(state.segments)
        except BaseException:
            lock.release()
            raise
        self._made_segments, self._made_passages = state.made_segments, state.made_passages
        self._lock, self.contents.owned = lock, True


def _settled(settings: NativeSettings, vectors: Embeddings) -> NativeSettings:
    """The settings with a schema that these vectors fit."""
    if settings.schema is None:
        return centered(replace(settings, schema=VectorSchema.of(vectors)), vectors.multi)
    settings.schema.check_documents(vectors)
    return settings


def _bury(changes: Changes, view: View, numbers: Sequence[int]) -> None:
    """Mark rows as dead, and drop segments that have no others."""
    places = view.locate(np.asarray(numbers, np.int64))
    for place, chosen in places.by_member():
        member = view.members[place]
        alive = np.ones(len(member.segment), np.bool_) if member.alive is None else member.alive.copy()
        alive[places.rows[chosen]] = False
        record = member.segment.record
        if alive.any():
            changes.put_segment(replace(record, dead=dead_bits(alive)))
        else:
            changes.drop_segments([record.number])
