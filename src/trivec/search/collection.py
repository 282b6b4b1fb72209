"""`Collection`: documents, their vectors and the model that made them, in one folder; called a library by users."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any

from trivec.embeddings import Embeddings
from trivec.encode.encoder import Encoder
from trivec.encode.loading import load
from trivec.errors import InputError, LibraryError
from trivec.index import EmbeddedStore, Filter, FilterLike, MemoryStore, Store, parse_filter
from trivec.search.adding import AddReport, add_documents, finish_interrupted
from trivec.search.explain import Explainer
from trivec.search.hits import Hit
from trivec.search.manifest import FILE, Manifest
from trivec.search.options import Mode, SearchOptions
from trivec.search.passages import PassageSplitter, join_passages
from trivec.search.retrieval import retrieve
from trivec.types import HEAD_OF_SIGNAL, Document, Head, Passage, Signal, passage_id

logger = logging.getLogger(__name__)

IN_MEMORY = ":memory:"
STORE_FOLDER = "store"


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
        """Cuts documents to the model's window."""
        return PassageSplitter.for_encoder(self.encoder)

    # -- content -------------------------------------------------------------------------------------------

    def add(self, documents: Iterable[Document], progress: bool = False) -> AddReport:
        """Add documents, replacing those with the same id; unchanged ones are not encoded again.

        Documents are taken from the iterable as they are needed. Whatever the report of an interrupted run would
        have counted is stored, and stays.

        Raises:
            InputError: a document cannot be stored; what came before it is.
        """
        return add_documents(self.store, self.encoder, self.splitter, self.folder, documents, progress)

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
        )

    # -- search --------------------------------------------------------------------------------------------

    @property
    def search_options(self) -> SearchOptions:
        """The library's own way of searching: what was stored with it, else what suits its model."""
        return SearchOptions.from_settings(self.manifest.search)

    def configure(self, options: SearchOptions) -> None:
        """Store a way of searching with the library."""
        self.manifest = replace(self.manifest, search=options.settings())
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

        Raises:
            InputError: an option cannot be used.
            FilterError: the filter cannot be read.
        """
        return self.search_batch([query], k, mode, where, weights, fusion, options)[0]

    def search_batch(
        self,
        queries: Sequence[str],
        k: int = 10,
        mode: Mode | None = None,
        where: FilterLike = None,
        weights: Mapping[Signal, float] | None = None,
        fusion: str | None = None,
        options: SearchOptions | None = None,
    ) -> list[list[Hit]]:
        """`search` for many queries, encoded together."""
        if isinstance(queries, str):
            raise InputError("search_batch takes a list of queries: use search for one")
        if k < 1:
            raise InputError(f"k must be at least 1, got {k}")
        chosen = (options or self.search_options).changed(mode=mode, weights=weights, fusion=fusion)
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
        return self.encoder.encode_queries(queries, heads)

    def _hits(self, query: str, vectors: Embeddings, k: int, where: Filter | None, options: SearchOptions) -> list[Hit]:
        explain = Explainer(self, query, vectors)
        found = retrieve(self.store, vectors, k, where, options)
        return [
            Hit(place, ranked.score, ranked.passage, ranked.signals, ranked.contributions, explain)
            for place, ranked in enumerate(found, start=1)
        ]

    # -- life ----------------------------------------------------------------------------------------------

    def optimize(self) -> None:
        """Build or tidy search structures now; worth it after adding much."""
        self.store.optimize()

    def close(self) -> None:
        """Make everything durable and release the folder."""
        self.store.flush()
        self.store.close()

    def __enter__(self) -> Collection:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_collection(path: str | Path, model: str | Path | Encoder | None = None, create: bool = True) -> Collection:
    """Open a library, or make one.

    Args:
        path: its folder, or ``":memory:"`` for one that is gone when the process ends.
        model: a name, a folder or an `Encoder`. An existing library knows its own; if one is given it must be the
            same. A new one takes ``m3-small`` by default.
        create: make the library if there is none.

    Raises:
        LibraryError: there is none and ``create`` is False, or the folder holds something else.
        LibraryMismatchError: it was made by another model, or by a newer trivec.
        LibraryBusyError: another process has it open.
    """
    if str(path) == IN_MEMORY:
        encoder = _encoder(model)
        return Collection(None, MemoryStore(), _new_manifest(encoder, "memory"), encoder)
    folder = Path(path).expanduser()
    if (folder / FILE).is_file():
        return _open_existing(folder, model)
    if not create:
        Manifest.read(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise LibraryError(f"{folder} exists and is no library: choose another place, or remove it")
    return _create(folder, _encoder(model))


def _open_existing(folder: Path, model: str | Path | Encoder | None) -> Collection:
    manifest = Manifest.read(folder)
    encoder = None
    if model is not None:
        encoder = _encoder(model)
        manifest.check_model(encoder.fingerprint, folder)
    return Collection(folder, EmbeddedStore.open(folder / STORE_FOLDER), manifest, encoder)


def _create(folder: Path, encoder: Encoder) -> Collection:
    manifest = _new_manifest(encoder, "embedded")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        store = EmbeddedStore.create(folder / STORE_FOLDER)
        manifest.write(folder)
    except OSError as error:
        raise LibraryError(f"a library cannot be made at {folder} ({error.strerror}): choose another place") from error
    return Collection(folder, store, manifest, encoder)


def _new_manifest(encoder: Encoder, store: str) -> Manifest:
    checkpoint = encoder.checkpoint
    settings = dict(checkpoint.settings) or SearchOptions.suited_to(encoder.heads).settings()
    model = checkpoint.loaded_by or {"model": str(checkpoint.folder.resolve())}
    return Manifest(dict(model), encoder.fingerprint, store, settings)


def _encoder(model: str | Path | Encoder | None) -> Encoder:
    if isinstance(model, Encoder):
        return model
    return load() if model is None else load(model)
