"""The store of a library on one machine: a folder, searched in process by Qdrant Edge.

    store.json           schema and options          shard/   Edge's own files: vectors, payload, write-ahead log
    bm25.safetensors     derived from the shard      lock     names the process that has the store open

BM25 needs statistics that Edge does not keep, so `bm25` runs beside it. Its file is written on `flush` and `close`
and removed before the first write after that: **the file is there only while it agrees with the shard**. A
process that is killed leaves no file behind, and the next opening counts the terms again from the shard.
"""

from __future__ import annotations

import contextlib
import logging
import shutil
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge

from trivec.embeddings import Embeddings
from trivec.errors import CorruptModelError, LibraryError
from trivec.index.bm25 import Bm25Index, Bm25Options
from trivec.index.embedded_filter import FilterTranslator, PointIds
from trivec.index.embedded_points import point_id
from trivec.index.embedded_settings import StoreSettings
from trivec.index.embedded_shard import EmbeddedOptions, Shard, write_chunks
from trivec.index.files import copy_folder, folder_bytes, sync_folder
from trivec.index.filters import Filter
from trivec.index.lock import FolderLock
from trivec.index.proposals import Proposals, propose_by_search
from trivec.index.queries import row_weights, term_counts
from trivec.index.ranking import Ranking, check_k, rank, rank_positive
from trivec.index.schema import VectorSchema, check_upsert
from trivec.index.store import Capabilities, StoreStats
from trivec.types import FloatArray, Passage, Signal

_logger = logging.getLogger(__name__)


class EmbeddedStore:
    """Passages and vectors in a folder. Follows the protocol `trivec.index.store.Store`.

    One process has a folder open at a time; inside it, threads may share the store. What `upsert` and `delete`
    acknowledged is found again after the process is killed.
    """

    capabilities = Capabilities(name="embedded", durable=True, exact_dense=False, concurrent_readers=True, atomic=False)

    def __init__(
        self,
        folder: Path,
        lock: FolderLock,
        settings: StoreSettings,
    ) -> None:
        """Use `create` or `open`."""
        self.folder = folder
        self.options = settings.options
        self._folder_lock = lock
        self._schema = settings.schema
        self._bm25_options = settings.bm25
        self._bm25 = Bm25Index(settings.bm25)
        self._bm25_saved = False
        self._bm25_agrees = True
        self._writing = threading.RLock()
        self._shard_or_none: Shard | None = None

    @classmethod
    def create(
        cls,
        folder: str | Path,
        schema: VectorSchema | None = None,
        options: EmbeddedOptions | None = None,
        bm25: Bm25Options | None = None,
    ) -> EmbeddedStore:
        """Make a store in a new or empty folder. Without a schema, the first upsert settles it.

        Raises:
            LibraryError: there is something in the folder.
            LibraryBusyError: another process is just making a store there.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        _check_empty(folder)
        with _locked(folder) as lock:
            _check_empty(folder)
            settings = StoreSettings(None, options or EmbeddedOptions(), bm25 or Bm25Options())
            settings.write(folder)
            store = cls(folder, lock, settings)
            if schema is not None:
                store._settle(schema, Embeddings())
        return store

    @classmethod
    def open(cls, folder: str | Path) -> EmbeddedStore:
        """Open the store in a folder, with everything that was ever acknowledged.

        Raises:
            LibraryError: there is no store, or its files are damaged.
            LibraryMismatchError: a newer trivec made it.
            LibraryBusyError: another process, or another store in this one, has it open.
        """
        folder = Path(folder)
        settings = StoreSettings.read(folder)
        with _locked(folder) as lock:
            store = cls(folder, lock, settings)
            store._load()
        return store

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Signals that the stored vectors allow; none before the first upsert."""
        return self._schema.signals if self._schema else ()

    def upsert(self, passages: Sequence[Passage], vectors: Embeddings, remove: Sequence[str] = ()) -> None:
        """Add passages, or replace those with the same id; then remove others. On disk when this returns.

        Large calls are written in several steps: if the process dies, the first of them may be there.
        """
        check_upsert(passages, vectors)
        if passages:
            self._add(passages, vectors)
        added = {passage.id for passage in passages}
        self.delete([name for name in remove if name not in added])

    def _add(self, passages: Sequence[Passage], vectors: Embeddings) -> None:
        last = {passage.id: row for row, passage in enumerate(passages)}
        if len(last) < len(passages):
            passages, vectors = [passages[row] for row in last.values()], vectors[list(last.values())]
        with self._writing:
            if self._schema is None:
                self._settle(VectorSchema.of(vectors), vectors)
            self._known_schema.check_documents(vectors)
            for rows in write_chunks(vectors):
                self._upsert_step(passages[rows], vectors[rows])

    def delete(self, ids: Sequence[str]) -> None:
        """Remove passages. Unknown ids are ignored."""
        with self._writing:
            if self._schema is not None and ids:
                with self._in_step():
                    self._shard.delete(ids)
                    self._bm25.remove(ids)

    def select(self, where: Filter | None = None) -> Iterator[Passage]:
        """All passages that pass a filter, ordered by id."""
        if self._schema is not None:
            yield from self._shard.passages(self._shard.names(self._translate(where)))

    def count(self, where: Filter | None = None) -> int:
        """How many passages pass a filter."""
        return 0 if self._schema is None else self._shard.count(self._translate(where))

    def fetch(self, ids: Sequence[str]) -> list[Passage | None]:
        """Passages by id, in the order asked; None for an unknown id."""
        if self._schema is None:
            return [None] * len(ids)
        known = [name for name in ids if _is_text(name)]
        found = {passage.id: passage for passage in self._shard.passages(known)}
        return [found.get(name) for name in ids]

    def vectors(self, ids: Sequence[str]) -> Embeddings:
        """Stored vectors of known passages, in the order asked."""
        if self._schema is None and not ids:
            return Embeddings()
        return self._shard.vectors(ids)

    def search(self, signal: Signal, query: Embeddings, k: int, where: Filter | None = None) -> Ranking:
        """The best k passages by one signal."""
        check_k(k)
        if self._schema is None:
            return rank([], np.zeros(0, np.float32), k)
        self._schema.check_query(signal, query)
        translated = self._translate(where)
        if signal == "bm25":
            return self._search_bm25(query, k, translated)
        vector, divisor = _query_vector(signal, query)
        if vector is None:
            names = self._shard.names(translated) if signal == "multi" else []
            return rank(names, np.zeros(len(names), np.float32), k)
        names, scores = self._shard.nearest(signal, vector, k, translated)
        return (rank_positive if signal == "sparse" else rank)(names, scores / divisor, k)

    def score(self, signal: Signal, query: Embeddings, ids: Sequence[str]) -> FloatArray:
        """Exact scores of passages by one signal; 0 for an unknown id."""
        if self._schema is None:
            return np.zeros(len(ids), np.float32)
        self._schema.check_query(signal, query)
        if signal == "bm25":
            with self._writing:
                return self._bm25.score_passages(term_counts(query), ids)
        vector, divisor = _query_vector(signal, query)
        if vector is None:
            return np.zeros(len(ids), np.float32)
        return self._shard.scores(signal, vector, ids) / divisor

    def propose(
        self, signals: Sequence[Signal], query: Embeddings, k: int, where: Filter | None = None, complete: bool = True
    ) -> Proposals:
        """The best k passages by each of several signals, together."""
        return propose_by_search(self, signals, query, k, where, complete)

    def term_weights(self, query: Embeddings) -> dict[int, float]:
        """The weight of each query term in BM25."""
        with self._writing:
            return self._bm25.weights(term_counts(query))

    def optimize(self) -> None:
        """Build the graph for dense search if there are many passages, and tidy up after deletions."""
        with self._writing:
            if self._schema is not None:
                self._shard.optimize()

    def flush(self) -> None:
        """Write everything to disk, so that the next opening has nothing to repair."""
        with self._writing:
            if self._schema is not None:
                self._shard.flush()
                self._save_bm25()

    def snapshot(self, target: Path) -> None:
        """Copy the store, as of now, to a folder that does not exist yet. Writers wait meanwhile."""
        with self._writing:
            self.flush()
            copy_folder(self.folder, Path(target), leave_out={"lock"})

    def stats(self) -> StoreStats:
        """How much is stored."""
        documents = 0 if self._schema is None else self._shard.count_documents()
        return StoreStats(documents, self.count(), folder_bytes(self.folder))

    def close(self) -> None:
        """Write everything to disk and let others in. The store cannot be used afterwards."""
        with self._writing:
            if self._shard_or_none is not None:
                self.flush()
                self._shard_or_none.close()
                self._shard_or_none = None
            self._folder_lock.release()

    @property
    def _shard(self) -> Shard:
        if self._shard_or_none is None:
            raise LibraryError(f"the store in {self.folder} is closed or still empty: open it, and add passages")
        return self._shard_or_none

    @property
    def _known_schema(self) -> VectorSchema:
        assert self._schema is not None
        return self._schema

    def _settle(self, schema: VectorSchema, sample: Embeddings) -> None:
        """Fix heads and widths. The shard is made first: without a schema in the settings it does not count."""
        self._shard_or_none = Shard.create(self.folder / "shard", schema, self.options, sample)
        self._schema = schema
        StoreSettings(schema, self.options, self._bm25_options).write(self.folder)

    def _load(self) -> None:
        if self._schema is None:
            shutil.rmtree(self.folder / "shard", ignore_errors=True)
            return
        self._shard_or_none = Shard.load(self.folder / "shard", self._schema, self.options)
        if "terms" in self._schema.widths:
            self._load_bm25()

    def _translate(self, where: Filter | None) -> edge.Filter | None:
        if where is None:
            return None
        return FilterTranslator(self._matching, self._index).translate(where)

    def _matching(self, where: Filter) -> PointIds:
        return {point_id(passage.id) for passage in self.select() if where.matches(passage)}

    def _index(self, path: str, kind: edge.PayloadSchemaType) -> None:
        with self._writing:
            self._shard.index(path, kind)

    def _search_bm25(self, query: Embeddings, k: int, where: edge.Filter | None) -> Ranking:
        """Rank all and look which of the best pass the filter, or, if few pass it, rank just those."""
        counts = term_counts(query)
        with self._writing:
            scores, ids = self._bm25.score(counts), self._bm25.ids
        if where is None:
            return rank_positive(ids, scores, k)
        allowed = self._shard.count(where)
        depth = 2 * k * len(ids) // max(1, allowed)
        if allowed > depth:
            return self._filter_down(ids, scores, k, where, depth)
        names = self._shard.names(where)
        with self._writing:
            return rank_positive(names, self._bm25.score_passages(counts, names), k)

    def _filter_down(self, ids: Sequence[str], scores: FloatArray, k: int, where: edge.Filter, depth: int) -> Ranking:
        """Take the best ``depth`` that pass a filter, and go further down until there are k."""
        while True:
            ranking = rank_positive(ids, scores, depth)
            passing = self._shard.passing(ranking.ids, where)
            kept = [place for place, name in enumerate(ranking.ids) if name in passing][:k]
            if len(kept) == k or len(ranking) < depth:
                return Ranking([ranking.ids[place] for place in kept], ranking.scores[kept])
            depth *= 4

    @property
    def _bm25_path(self) -> Path:
        return self.folder / "bm25.safetensors"

    def _upsert_step(self, passages: Sequence[Passage], vectors: Embeddings) -> None:
        with self._in_step():
            self._shard.upsert(passages, vectors)
            if vectors.terms is not None:
                self._bm25.add([passage.id for passage in passages], vectors.terms)

    @contextlib.contextmanager
    def _in_step(self) -> Iterator[None]:
        """A write to the shard and to BM25. If it breaks off between the two, BM25 is not saved any more."""
        self._forget_saved_bm25()
        agreed, self._bm25_agrees = self._bm25_agrees, False
        yield
        self._bm25_agrees = agreed

    def _forget_saved_bm25(self) -> None:
        if self._bm25_saved:
            self._bm25_path.unlink(missing_ok=True)
            sync_folder(self.folder)
            self._bm25_saved = False

    def _save_bm25(self) -> None:
        if self._bm25_agrees and not self._bm25_saved and "terms" in self._known_schema.widths:
            self._bm25.save(self._bm25_path)
            sync_folder(self.folder)
            self._bm25_saved = True

    def _load_bm25(self) -> None:
        self._bm25_saved = self._bm25_path.exists()
        with contextlib.suppress(FileNotFoundError, CorruptModelError):
            self._bm25 = Bm25Index.load(self._bm25_path, self._bm25_options)
            if len(self._bm25) == self._shard.count():
                return
        self._forget_saved_bm25()
        self._count_terms()

    def _count_terms(self) -> None:
        _logger.info("counting the terms of %d passages in %s", self._shard.count(), self.folder)
        self._bm25 = Bm25Index(self._bm25_options)
        for names, vectors in self._shard.term_vectors():
            assert vectors.terms is not None
            self._bm25.add(names, vectors.terms)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[FolderLock]:
    """A lock that is kept, unless what is done first fails."""
    lock = FolderLock(folder)
    try:
        yield lock
    except BaseException:
        lock.release()
        raise


def _check_empty(folder: Path) -> None:
    if any(path.name != "lock" for path in folder.iterdir()):
        raise LibraryError(f"{folder} is not empty: name a new folder, or open the store that is there")


def _query_vector(signal: Signal, query: Embeddings) -> tuple[Any, np.float32]:
    """What Edge is asked with, and what its score is divided by; None if the query is empty.

    Edge sums MaxSim over the vectors of the query where `scoring` takes the mean.
    """
    if signal == "dense":
        assert query.dense is not None
        return query.dense[0].tolist(), np.float32(1)
    if signal == "multi":
        assert query.multi is not None
        matrix = query.multi[0]
        return matrix.tolist() or None, np.float32(max(1, len(matrix)))
    assert query.sparse is not None
    columns, values = row_weights(query.sparse, 0)
    return (edge.SparseVector(columns, values) if columns else None), np.float32(1)


def _is_text(name: str) -> bool:
    """Whether an id is valid Unicode, as those of all stored passages are."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
