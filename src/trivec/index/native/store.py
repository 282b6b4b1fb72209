"""The store of a library on one machine, in our own files.

    catalog.sqlite    settings, segments, passages: what it says is what there is
    segments/         one folder a segment: vectors, term lists and metadata in a file that never changes, and graphs
    lock              names the process that writes

One process writes at a time, from its first write until it closes the store. Any number of processes and threads
read meanwhile: each call answers from what was committed when it began.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import numpy as np

from trivec.embeddings import Embeddings
from trivec.errors import InputError, LibraryError
from trivec.index.bm25 import Bm25Options
from trivec.index.files import sync_folder
from trivec.index.filters import Filter
from trivec.index.lock import FolderLock
from trivec.index.native.catalog import Catalog
from trivec.index.native.checking import copy_store, verify_store
from trivec.index.native.contents import Contents
from trivec.index.native.payload import read_payload
from trivec.index.native.proposing import propose
from trivec.index.native.rewriting import Rewriter
from trivec.index.native.settings import NativeOptions, NativeSettings
from trivec.index.native.view import Places, View
from trivec.index.native.writer import Writer
from trivec.index.proposals import Proposals, propose_by_search
from trivec.index.queries import term_counts
from trivec.index.ranking import Ranking, check_k
from trivec.index.schema import VectorSchema, check_upsert
from trivec.index.store import Capabilities, StoreStats
from trivec.types import FloatArray, Passage, Signal

_FETCHED = 500
"""Passages read at once where many are asked for."""

_KNOWN_NUMBERS = 500_000
"""Passage ids whose numbers are remembered, about 100 bytes each."""


class NativeStore:
    """Passages and vectors in a folder. Follows the protocol `trivec.index.store.Store`.

    Opening takes no lock; the first write does, and holds it until `close`. Threads may share the store. A folder
    that cannot be written can be read: while a writer runs, or when the last one has closed the store.
    """

    capabilities = Capabilities(name="native", durable=True, exact_dense=False, concurrent_readers=True, atomic=True)

    def __init__(self, contents: Contents) -> None:
        """Use `create` or `open`."""
        self.folder = contents.folder
        self._contents = contents
        self._writer = Writer(contents)
        self._rewriter = Rewriter(self._writer)
        self._numbers: dict[str, int] = {}
        self._tell_first_stage()

    def _tell_first_stage(self) -> None:
        staged = self.options.multi_first_stage != "exact"
        self.capabilities = replace(self.capabilities, multi_first_stage=staged)

    @classmethod
    def create(
        cls,
        folder: str | Path,
        schema: VectorSchema | None = None,
        options: NativeOptions | None = None,
        bm25: Bm25Options | None = None,
    ) -> NativeStore:
        """Make a store in a new or empty folder. Without a schema, the first upsert settles it.

        Raises:
            LibraryError: there is something in the folder.
            LibraryBusyError: another process is just making a store there.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        lock = FolderLock(folder)
        try:
            if any(path.name != "lock" for path in folder.iterdir()):
                raise LibraryError(f"{folder} is not empty: name a new folder, or open the store that is there")
            settings = NativeSettings(schema, options or NativeOptions(), bm25 or Bm25Options())
            Catalog.create(folder, settings)
            sync_folder(folder)
        finally:
            lock.release()
        return cls.open(folder)

    @classmethod
    def open(cls, folder: str | Path) -> NativeStore:
        """Open the store in a folder, with everything that was ever acknowledged.

        Raises:
            LibraryError: there is no store, or its files are damaged; the message names the file.
            LibraryMismatchError: a newer trivec made it.
        """
        folder = Path(folder)
        catalog = Catalog(folder)
        try:
            return cls(Contents(folder, catalog))
        except BaseException:
            catalog.close()
            raise

    @property
    def options(self) -> NativeOptions:
        """How vectors are kept and searched."""
        return self._contents.current.state.settings.options

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Signals that the stored vectors allow; none before the first upsert."""
        schema = self._contents.refreshed().state.settings.schema
        return schema.signals if schema else ()

    # -- writing -------------------------------------------------------------------------------------------

    def upsert(self, passages: Sequence[Passage], vectors: Embeddings, remove: Sequence[str] = ()) -> None:
        """Add passages, or replace those with the same id, and remove others: all of it or nothing.

        Raises:
            InputError: numbers of rows differ, or a value cannot be stored.
            LibraryMismatchError: heads or widths are not those of the store.
            LibraryBusyError: another process writes.
            LibraryError: the disk is full, or cannot be written.
        """
        check_upsert(passages, vectors)
        if not passages:
            self.delete(remove)
            return
        last = {passage.id: row for row, passage in enumerate(passages)}
        if len(last) < len(passages):
            passages, vectors = [passages[row] for row in last.values()], vectors[list(last.values())]
        self._writer.upsert(passages, vectors, remove)
        self._rewriter.wake()

    def delete(self, ids: Sequence[str]) -> None:
        """Remove passages, all in one step. Unknown ids are ignored.

        Raises:
            LibraryBusyError: another process writes.
            LibraryError: the disk is full, or cannot be written.
        """
        if ids:
            self._writer.delete(ids)
            self._rewriter.wake()

    def frozen(self) -> AbstractContextManager[None]:
        """A block in which no passage is added or removed: who tries, in any thread or process, is refused.

        Raises:
            LibraryBusyError: another process writes, or another thread has frozen the store.
        """
        return self._writer.frozen()

    # -- reading -------------------------------------------------------------------------------------------

    def select(self, where: Filter | None = None) -> Iterator[Passage]:
        """All passages that pass a filter, ordered by id."""
        if where is None:
            yield from map(read_payload, self._contents.catalog.payloads_in_order())
            return
        names = sorted(self._contents.read(lambda view: view.names(where)))
        for start in range(0, len(names), _FETCHED):
            for passage in self.fetch(names[start : start + _FETCHED]):
                # it may have been replaced since
                if passage is not None and where.matches(passage):
                    yield passage

    def count(self, where: Filter | None = None) -> int:
        """How many passages pass a filter."""
        return self._contents.read(lambda view: view.count(where))

    def fetch(self, ids: Sequence[str]) -> list[Passage | None]:
        """Passages by id, in the order asked; None for an unknown id."""
        payloads = self._contents.catalog.payloads(ids)
        return [None if payload is None else read_payload(payload) for payload in payloads]

    def vectors(self, ids: Sequence[str]) -> Embeddings:
        """Stored vectors of known passages, in the order asked, as the codecs kept them.

        Raises:
            InputError: an id is unknown.
        """

        def ask(view: View) -> Embeddings:
            places = self._places(view, ids)
            unknown = np.flatnonzero(places.rows < 0)
            if len(unknown):
                raise InputError(f"the store has no passage {ids[unknown[0]]!r}: ask for ids that `select` gives")
            return view.vectors(places)

        return self._contents.read(ask)

    def search(self, signal: Signal, query: Embeddings, k: int, where: Filter | None = None) -> Ranking:
        """The best k passages by one signal."""
        check_k(k)

        def ask(view: View) -> Ranking:
            if view.state.settings.schema is None:
                return Ranking([], np.zeros(0, np.float32))
            return view.search(view.ask(signal, query), k, where)

        return self._contents.read(ask)

    def score(self, signal: Signal, query: Embeddings, ids: Sequence[str]) -> FloatArray:
        """Scores of passages by one signal, from the vectors as the codecs kept them; 0 for an unknown id."""

        def ask(view: View) -> FloatArray:
            if view.state.settings.schema is None:
                return np.zeros(len(ids), np.float32)
            return view.score(view.ask(signal, query), self._places(view, ids))

        return self._contents.read(ask)

    def propose(
        self, signals: Sequence[Signal], query: Embeddings, k: int, where: Filter | None = None, complete: bool = True
    ) -> Proposals:
        """The best k passages by each of several signals, together."""
        check_k(k)

        def ask(view: View) -> Proposals:
            if view.state.settings.schema is None:
                return propose_by_search(self, signals, query, k, where, complete)
            return propose(view, signals, query, k, where, complete)

        return self._contents.read(ask)

    def term_weights(self, query: Embeddings) -> dict[int, float]:
        """The weight of each query term in BM25."""
        term_counts(query)
        return dict(self._contents.read(lambda view: view.term_weights(query)))

    def stats(self) -> StoreStats:
        """How much is stored."""
        view = self._contents.refreshed()
        return StoreStats(view.documents, view.live, view.disk_bytes + self._contents.catalog.disk_bytes())

    def _places(self, view: View, ids: Sequence[str]) -> Places:
        """Where passages lie. Numbers once seen are tried first; the catalogue knows the others."""
        numbers = np.fromiter(map(self._numbers.get, ids, itertools.repeat(-1)), np.int64, len(ids))
        places = view.locate(numbers)
        missing = np.flatnonzero(places.rows < 0)
        if len(missing):
            names = [ids[place] for place in missing.tolist()]
            found = self._contents.catalog.numbers(names)
            self._remember(names, found)
            numbers[missing] = found
            places = view.locate(numbers)
        return places

    def _remember(self, names: Sequence[str], numbers: Sequence[int]) -> None:
        if len(self._numbers) > _KNOWN_NUMBERS:
            self._numbers = {}
        self._numbers.update(zip(names, numbers, strict=True))

    # -- care ----------------------------------------------------------------------------------------------

    def optimize(self) -> None:
        """Merge everything into as few segments as allowed, build graphs, and tidy up after deletions."""
        self._rewriter.optimize()

    def recode(self, options: NativeOptions) -> None:
        """Change the options of the store, and rewrite what was written with other codecs.

        Values come from what is stored: a finer codec does not bring back what a coarser one has dropped. Readers
        go on meanwhile. If the process dies, calling it again goes on where it stopped.
        """
        self._rewriter.recode(options)
        self._tell_first_stage()

    def flush(self) -> None:
        """Nothing to do: every write is durable when its call returns."""

    def snapshot(self, target: Path) -> None:
        """Copy the store, as of now, to a folder that does not exist yet, while others read and write.

        Segments are hard links where the file system has them: their files never change.

        Raises:
            InputError: the target exists.
        """
        copy_store(self.folder, self._contents.catalog, Path(target))

    def verify(self) -> list[str]:
        """What is wrong with the files, in words; nothing if all is well. Reads everything.

        Each file of a segment is compared with its SHA-256, the catalogue with its checksums, and both with each
        other. `verify_store` does the same where a store cannot even be opened.
        """
        return verify_store(self.folder)

    def close(self) -> None:
        """Let merges come to an end, and release files and the lock. The store cannot be used afterwards."""
        self._rewriter.close()
        self._writer.close()
        self._contents.close()

    def discard(self) -> None:
        """Close the store and remove its folder, so that no other process can still write to it in between.

        Raises:
            LibraryBusyError: another process writes.
        """
        self._rewriter.close()
        removed = self.folder.with_name(f"{self.folder.name}.removed")
        with self._writer.step():
            shutil.rmtree(removed, ignore_errors=True)
            self.folder.rename(removed)
        self._writer.close()
        self._contents.close()
        shutil.rmtree(removed, ignore_errors=True)
