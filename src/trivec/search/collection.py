"""`Collection`: documents, their vectors and the model that made them, in one folder; called a library by users."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from trivec.embeddings import Embeddings
from trivec.encode.compression import Compression
from trivec.encode.encoder import Encoder
from trivec.encode.loading import load
from trivec.errors import InputError
from trivec.index import Filter, FilterLike, Store, parse_filter
from trivec.rerank.loading import load_reranker
from trivec.rerank.reranker import Reranker
from trivec.search.adding import AddReport, add_documents, finish_interrupted
from trivec.search.compacting import CompactReport, compact_store, remove_leftovers
from trivec.search.explain import Explainer
from trivec.search.hits import Hit
from trivec.search.long_documents import LongDocuments
from trivec.search.manifest import Manifest
from trivec.search.options import Mode, SearchOptions
from trivec.search.passages import PassageSplitter, join_passages
from trivec.search.retrieval import retrieve
from trivec.search.second_stage import SecondStage, TunedReranker
from trivec.search.snapshots import SnapshotReport, write_snapshot
from trivec.search.stores import discard_store
from trivec.search.verification import Verification, verify_library
from trivec.types import HEAD_OF_SIGNAL, Document, Head, Passage, Signal, passage_id

logger = logging.getLogger(__name__)

IN_MEMORY = ":memory:"
"""The path of a library that is gone when the process ends."""


@dataclass(frozen=True)
class LibraryInfo:
    """What is in a library."""

    path: str
    model: str
    fingerprint: str
    store: str
    signals: tuple[Signal, ...]
    documents: int
    passages: int
    bytes: int
    languages: Mapping[str, int]
    search: Mapping[str, Any]
    rerankers: Mapping[str, Mapping[str, Any]]


class Collection:
    """Documents that can be searched. Made by `trivec.open`; close it, or use it in a ``with`` block.

    Example:
        >>> with trivec.open("library", model="m3-small") as library:                     # doctest: +SKIP
        ...     library.add([Document("1", "Water boils at 100 °C.", metadata={"lang": "en"})])
        ...     hits = library.search("Bei wie viel Grad kocht Wasser?", where={"lang": "en"})
        ...     print(hits[0].id, hits[0].explain().alignments)
    """

    def __init__(self, folder: Path | None, store: Store, manifest: Manifest, encoder: Encoder | None) -> None:
        self.folder = folder
        self.store = store
        self.manifest = manifest
        self._encoder = encoder
        self._rerankers: dict[str, Reranker] = {}
        finish_interrupted(store, folder)

    # -- the model -----------------------------------------------------------------------------------------

    @property
    def encoder(self) -> Encoder:
        """The model of the library, loaded when first needed.

        Raises:
            LibraryMismatchError: the model under that name is no longer the one that made the library.
        """
        if self._encoder is None:
            encoder = load(**self.manifest.model)
            self.manifest.check_model(encoder.fingerprint, self.folder or Path(IN_MEMORY))
            self._encoder = encoder
        return self._encoder

    @property
    def splitter(self) -> PassageSplitter:
        """Cuts documents to passages, and has them encoded, as the library takes long documents."""
        return PassageSplitter.for_encoder(self.encoder, long_documents=self.long_documents)

    @property
    def long_documents(self) -> LongDocuments:
        """What becomes of documents that are longer than the model's window."""
        return LongDocuments.from_settings(self.manifest.long_documents)

    @property
    def compression(self) -> Compression:
        """What is left out of vectors before they are stored or compared."""
        return Compression.from_settings(self.manifest.compression)

    # -- content -------------------------------------------------------------------------------------------

    def add(self, documents: Iterable[Document], progress: bool = False) -> AddReport:
        """Add documents, replacing those with the same id; unchanged ones are not encoded again.

        Documents are taken from the iterable as they are needed. Whatever the report of an interrupted run would
        have counted is stored, and stays.

        Raises:
            InputError: a document cannot be stored; what came before it is.
        """
        self.prepare_writing()
        return add_documents(self, documents, progress)

    def delete(self, ids: Iterable[str] = (), where: FilterLike = None) -> int:
        """Remove documents by id, or all that pass a filter. Unknown ids are ignored.

        Returns:
            How many documents were removed.

        Raises:
            InputError: neither ids nor a filter were given.
        """
        condition = parse_filter(where)
        names = [ids] if isinstance(ids, str) else list(ids)
        if not names and condition is None:
            raise InputError("nothing to delete: give ids, or a filter such as where='lang = \"de\"'")
        self.prepare_writing()
        firsts = [p for p in self.store.fetch([passage_id(name, 0) for name in dict.fromkeys(names)]) if p is not None]
        if condition is not None:
            known = {passage.document_id for passage in firsts}
            matching = self.store.select(condition)
            firsts += [p for p in matching if p.number == 0 and p.document_id not in known]
        self.store.delete([passage_id(p.document_id, number) for p in firsts for number in range(p.count)])
        return len(firsts)

    def get(self, id: str) -> Document | None:
        """A document by id, put together from its passages; None if there is none."""
        (first,) = self.store.fetch([passage_id(id, 0)])
        return None if first is None else self._whole(first)

    def documents(self, where: FilterLike = None) -> Iterator[Document]:
        """All documents that pass a filter, ordered by id."""
        return (self._whole(passage) for passage in self.store.select(parse_filter(where)) if passage.number == 0)

    def _whole(self, first: Passage) -> Document:
        rest = self.store.fetch([passage_id(first.document_id, number) for number in range(1, first.count)])
        return join_passages([first, *(passage for passage in rest if passage is not None)])

    def __len__(self) -> int:
        return self.store.stats().documents

    def info(self) -> LibraryInfo:
        """Counts and settings. Needs no model."""
        firsts = (passage for passage in self.store.select() if passage.number == 0)
        languages = Counter(str(passage.metadata["lang"]) for passage in firsts if passage.metadata.get("lang"))
        stats = self.store.stats()
        return LibraryInfo(
            path=str(self.folder or IN_MEMORY),
            model=self.manifest.fingerprint.model,
            fingerprint=self.manifest.fingerprint.digest,
            store=self.manifest.store,
            signals=self.store.signals,
            documents=stats.documents,
            passages=stats.passages,
            bytes=stats.bytes,
            languages=dict(languages.most_common()),
            search=self.manifest.search,
            rerankers={
                tuned["name"]: {"depth": tuned["depth"], "first_stage": tuned["first_stage"]}
                for tuned in self.manifest.rerankers.values()
            },
        )

    # -- search --------------------------------------------------------------------------------------------

    @property
    def search_options(self) -> SearchOptions:
        """The library's own way of searching: what was stored with it, else what suits its model."""
        return SearchOptions.from_settings(self.manifest.search)

    def configure(self, options: SearchOptions, evidence: Mapping[str, Any] | None = None) -> None:
        """Store a way of searching with the library, and on what evidence it was chosen."""
        self._rewrite(search=options.settings(), tuning=dict(evidence or {}))

    def configure_reranker(self, reranker: Reranker, tuned: TunedReranker) -> None:
        """Store how a reranker is used in searches that name it and say no more.

        If the library's own way of searching names it, with a depth or a weight, these give way.

        Raises:
            InputError: the reranker was not loaded by `trivec.load_reranker`, so it could not be known again.
        """
        if not reranker.identity:
            raise InputError(f"{reranker.name} was not loaded by load_reranker: nothing can be stored about it")
        present = self.search_options
        if present.reranker and self.reranker(present.reranker).identity == reranker.identity:
            present = replace(present, depth=None, first_stage=None)
        self._rewrite(
            search=present.settings(), rerankers={**self.manifest.rerankers, reranker.identity: asdict(tuned)}
        )

    def _rewrite(self, **changes: Mapping[str, Any]) -> None:
        """Change what ``library.json`` says."""
        self.prepare_writing()
        self.manifest = replace(self.manifest, **changes)  # type: ignore[arg-type]
        if self.folder is not None:
            self.manifest.write(self.folder)

    def search(
        self,
        query: str,
        k: int = 10,
        mode: Mode | None = None,
        where: FilterLike = None,
        weights: Mapping[Signal, float] | None = None,
        fusion: str | None = None,
        options: SearchOptions | None = None,
        reranker: Reranker | str | None = None,
        depth: int | None = None,
        first_stage: float | None = None,
    ) -> list[Hit]:
        """The best documents for a query.

        Args:
            query: a question or keywords, in any language of the model.
            k: how many documents.
            mode: ``hybrid``, or one signal: ``dense``, ``sparse``, ``bm25``, ``multi``.
            where: a filter over metadata, as `trivec.index.filters` reads it.
            weights: of the signals, for this call.
            fusion: the rule that mixes them, for this call.
            options: all options at once, instead of the library's.
            reranker: puts the best hits in its order: its name or folder, or itself.
            depth: how many hits it reads.
            first_stage: weight of the order before beside its own.

        Raises:
            InputError: an option cannot be used.
            FilterError: the filter cannot be read.
        """
        return self.search_batch([query], k, mode, where, weights, fusion, options, reranker, depth, first_stage)[0]

    def search_batch(
        self,
        queries: Sequence[str],
        k: int = 10,
        mode: Mode | None = None,
        where: FilterLike = None,
        weights: Mapping[Signal, float] | None = None,
        fusion: str | None = None,
        options: SearchOptions | None = None,
        reranker: Reranker | str | None = None,
        depth: int | None = None,
        first_stage: float | None = None,
    ) -> list[list[Hit]]:
        """`search` for many queries, encoded together."""
        if isinstance(queries, str):
            raise InputError("search_batch takes a list of queries: use search for one")
        if k < 1:
            raise InputError(f"k must be at least 1, got {k}")
        name = None if reranker is None else self.known_reranker(reranker)
        chosen = (options or self.search_options).changed(
            mode=mode, weights=weights, fusion=fusion, reranker=name, depth=depth, first_stage=first_stage
        )
        condition = parse_filter(where)
        if not self.store.signals:
            return [[] for _ in queries]
        vectors = self.encode_queries(queries, chosen)
        return [self._hits(query, row, k, condition, chosen) for query, row in zip(queries, vectors, strict=True)]

    def encode_queries(self, queries: Sequence[str], options: SearchOptions) -> Embeddings:
        """The vectors that a search with these options compares."""
        used = set(options.signals(self.store.signals))
        if used == {"multi"}:
            used = set(self.store.signals)
        heads: list[Head] = [HEAD_OF_SIGNAL[signal] for signal in self.store.signals if signal in used]
        return self.compression.queries(self.encoder.encode_queries(queries, heads))

    def reranker(self, name: str) -> Reranker:
        """The reranker of this name or folder, loaded when first needed."""
        if name not in self._rerankers:
            self._rerankers[name] = load_reranker(name)
        return self._rerankers[name]

    def second_stage(self, options: SearchOptions) -> SecondStage | None:
        """What reads the hits of a search with these options; None if they name no reranker."""
        if not options.reranker:
            return None
        return SecondStage.of(self.reranker(options.reranker), options, self.manifest.rerankers)

    def known_reranker(self, reranker: Reranker | str) -> str:
        """The name under which a search of this library asks for it."""
        if isinstance(reranker, str):
            return reranker
        self._rerankers[reranker.name] = reranker
        return reranker.name

    def _hits(self, query: str, vectors: Embeddings, k: int, where: Filter | None, options: SearchOptions) -> list[Hit]:
        second = self.second_stage(options)
        if second is None:
            return self.first_hits(query, vectors, k, where, options)
        hits = self.first_hits(query, vectors, max(k, second.depth), where, options)
        return second.reranker.rank(query, hits, k, first_stage=second.first_stage)

    def first_hits(
        self, query: str, vectors: Embeddings, k: int, where: Filter | None, options: SearchOptions
    ) -> list[Hit]:
        """The best documents by the first stage alone, for a query with these vectors (one row)."""
        explain, content = Explainer(self, query, vectors), self.splitter.content
        return [
            Hit(rank, one.score, one.passage, one.signals, one.contributions, explain, content=content(one.passage))
            for rank, one in enumerate(retrieve(self.store, vectors, k, where, options), start=1)
        ]

    # -- life ----------------------------------------------------------------------------------------------

    def optimize(self) -> None:
        """Build or tidy search structures now; worth it after adding much."""
        self.store.optimize()

    def compact(self) -> CompactReport:
        """`optimize`, with the sizes before and after; brings an older library to the present format."""
        self.prepare_writing()
        report = compact_store(self.store)
        if self.folder is not None:
            remove_leftovers(self.folder, self.manifest.folder)
        return report

    def verify(self) -> Verification:
        """Check every file against its checksum. Reads everything."""
        return verify_library(self._on_disk(), self.store)

    def snapshot(self, target: str | Path) -> SnapshotReport:
        """Write the library, as of now, to one new file, which `restore_snapshot` makes a library of again."""
        return write_snapshot(self._on_disk(), self.store, self.manifest, Path(target))

    def _on_disk(self) -> Path:
        if self.folder is None:
            raise InputError("a library in memory has no files: make one in a folder")
        return self.folder

    def prepare_writing(self) -> None:
        """Bring the folder to the present format, and learn what others have configured.

        Raises:
            LibraryError: another process has rewritten the library since it was opened here.
        """
        if self.folder is not None:
            self.manifest = self.manifest.upgraded(self.folder)

    def switch_store(self, store: Store, kind: str, folder: str, compression: Compression) -> None:
        """Go on with another store of the same passages, in this library's folder, and remove the old one.

        The new manifest is the switch: a process killed before it has the old store, one killed after it the new.
        """
        assert self.folder is not None
        old, old_folder = self.store, self.folder / self.manifest.folder
        manifest = replace(self.manifest, store=kind, folder=folder, compression=compression.settings())
        manifest.write(self.folder)
        self.manifest, self.store = manifest, store
        discard_store(old, old_folder)

    def close(self) -> None:
        """Make everything durable and release the folder. A library that is closed stays so."""
        self.store.close()

    def __enter__(self) -> Collection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
