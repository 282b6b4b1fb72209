"""Making a library smaller, and measuring what that costs before it takes effect.

The stored vectors are written anew, smaller, into a second store beside the first. Queries taken from the documents
themselves (a title, or else a first sentence) are then asked of both. Only if the loss is accepted does
``library.json`` name the new store, in one atomic step; a process that is killed before leaves the old library.
"""

from __future__ import annotations

import contextlib
import itertools
import random
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from pathlib import Path

from trivec.embeddings import Embeddings
from trivec.encode.compression import Compression
from trivec.errors import InputError, LibraryError
from trivec.index import NativeStore, Store
from trivec.index.native.dense_codecs import DenseCodec
from trivec.index.native.settings import NativeOptions
from trivec.index.native.tokens import TokenCodec
from trivec.progress import Progress
from trivec.search.collection import Collection
from trivec.search.manifest import Manifest
from trivec.search.options import MODES, Mode, SearchOptions
from trivec.search.retrieval import retrieve
from trivec.search.sentences import split_sentences
from trivec.types import HEAD_OF_SIGNAL, Passage

_STEP = 512
"""Passages read and written at a time."""
_DEPTH = 10
_QUERY_CHARACTERS = 200


@dataclass(frozen=True)
class CompressOptions:
    """How small a library becomes.

    Attributes:
        dense: the codec of dense vectors; None keeps the library's.
        tokens: the codec of multi-vectors; None keeps the library's.
        compression: which dimensions, tokens and weights are left out.
        max_loss: the largest share of the best ten of hybrid search that may change, on average; None accepts any.
        queries: to measure with; empty takes some from the documents.
        sample: how many are taken from the documents.
        seed: of that choice.
    """

    dense: DenseCodec | None = None
    tokens: TokenCodec | None = None
    compression: Compression = field(default_factory=Compression)
    max_loss: float | None = None
    queries: tuple[str, ...] = ()
    sample: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if self.max_loss is not None and not 0 <= self.max_loss <= 1:
            raise InputError(f"max_loss is a share between 0 and 1, got {self.max_loss}")
        if self.sample < 1:
            raise InputError(f"sample must be at least 1, got {self.sample}")


@dataclass(frozen=True)
class Loss:
    """What compression changes in one mode of search, averaged over the queries.

    Attributes:
        overlap: share of the former best ten that are still among the best ten.
        found_before: share of queries that found the document they were taken from among the best ten; None for
            queries that were given.
        found_after: the same after compression.
    """

    overlap: float
    found_before: float | None
    found_after: float | None


@dataclass(frozen=True)
class CompressReport:
    """What `compress` did; ``losses`` by mode of search. ``kept`` is False if the loss was too large."""

    bytes_before: int
    bytes_after: int
    queries: int
    losses: Mapping[Mode, Loss]
    kept: bool


@dataclass(frozen=True)
class _Question:
    text: str
    document_id: str | None


def compress(library: Collection, options: CompressOptions, progress: bool = False) -> CompressReport:
    """Rewrite a library's vectors in a smaller form, measure the loss, and keep the result if it is accepted.

    Others may search meanwhile, but whoever adds or deletes is refused. The collection goes on with the new store;
    other processes have to open the library again.

    Raises:
        InputError: the library lives in memory, is empty, or has fewer dimensions than are to be kept.
        LibraryBusyError: another process writes to it.
        LibraryError: the smaller form cannot be written, or documents were changed meanwhile; nothing was changed.
    """
    if library.folder is None:
        raise InputError("a library in memory cannot be compressed: make one in a folder")
    if not library.store.signals:
        raise InputError(f"{library.folder} is empty: add documents first")
    with _frozen(library.store):
        library.prepare_writing()
        return _compress(library, library.folder, options, progress)


def _compress(library: Collection, home: Path, options: CompressOptions, progress: bool) -> CompressReport:
    questions = _questions(library, options)
    with _second_store(library, home, options) as (folder, smaller):
        _copy(library.store, smaller, options.compression, progress)
        losses = _losses(library, smaller, options.compression, questions)
        loss = 1 - losses["hybrid"].overlap if "hybrid" in losses else 0.0
        kept = options.max_loss is None or loss <= options.max_loss
        sizes = library.store.stats().bytes, smaller.stats().bytes
        if kept:
            _check_same_passages(library.store, smaller)
            library.switch_store(smaller, "native", folder, _both(library.compression, options.compression))
    return CompressReport(*sizes, len(questions), losses, kept)


def _frozen(store: Store) -> AbstractContextManager[None]:
    """No changes for a while, from any thread or process, where the store can see to it."""
    return store.frozen() if isinstance(store, NativeStore) else contextlib.nullcontext()


def _check_same_passages(old: Store, new: Store) -> None:
    """For a store that cannot be frozen: whether another thread has changed it."""
    if isinstance(old, NativeStore):
        return
    if any(one != other for one, other in itertools.zip_longest(old.select(), new.select())):
        raise LibraryError("documents were added or deleted meanwhile, so nothing was changed: compress again")


@contextlib.contextmanager
def _second_store(library: Collection, home: Path, options: CompressOptions) -> Iterator[tuple[str, NativeStore]]:
    """A new store beside the library's own, and its folder's name. It goes again unless the library took it over."""
    for leftover in home.glob("store-*"):
        if leftover.name != library.manifest.folder:
            shutil.rmtree(leftover)
    number = int(library.manifest.folder.rpartition("-")[2]) if "-" in library.manifest.folder else 1
    folder = f"store-{number + 1}"
    store = NativeStore.create(home / folder, options=_store_options(library.store, options))
    try:
        yield folder, store
    except OSError as error:
        raise LibraryError(f"{home / folder} cannot be written ({error.strerror}): nothing was changed") from error
    finally:
        if library.store is not store:
            store.close()
        if Manifest.read(home).folder != folder:
            shutil.rmtree(home / folder, ignore_errors=True)


def _store_options(store: Store, options: CompressOptions) -> NativeOptions:
    present = store.options if isinstance(store, NativeStore) else NativeOptions()
    return replace(
        present,
        dense=replace(present.dense, codec=options.dense or present.dense.codec),
        tokens=options.tokens or present.tokens,
    )


def _both(first: Compression, second: Compression) -> Compression:
    """What is left when one compression follows another."""
    return Compression(
        second.dimensions or first.dimensions,
        first.pool_tokens * second.pool_tokens,
        second.sparse_weights or first.sparse_weights,
    )


def _copy(source: Store, target: Store, compression: Compression, progress: bool) -> None:
    passages = source.select()
    with Progress("compressing", "passages", progress, source.stats().passages) as bar:
        while batch := list(itertools.islice(passages, _STEP)):
            target.upsert(batch, compression.documents(source.vectors([passage.id for passage in batch])))
            bar.update(len(batch))
    target.optimize()


def _questions(library: Collection, options: CompressOptions) -> list[_Question]:
    if options.queries:
        return [_Question(text, None) for text in options.queries]
    chooser = random.Random(options.seed)
    sample: list[Passage] = []
    for place, passage in enumerate(passage for passage in library.store.select() if passage.text.strip()):
        if place < options.sample:  # reservoir sampling: every passage has the same chance
            sample.append(passage)
        elif (other := chooser.randrange(place + 1)) < options.sample:
            sample[other] = passage
    return [_Question(_question_text(passage), passage.document_id) for passage in sample]


def _question_text(passage: Passage) -> str:
    start, end = split_sentences(passage.text.strip())[0]
    return (passage.title or passage.text.strip()[start:end])[:_QUERY_CHARACTERS]


def _losses(
    library: Collection, smaller: Store, compression: Compression, questions: Sequence[_Question]
) -> dict[Mode, Loss]:
    options = library.search_options
    heads = [HEAD_OF_SIGNAL[signal] for signal in library.store.signals]
    texts = [question.text for question in questions]
    vectors = library.compression.queries(library.encoder.encode_queries(texts, heads))
    shorter = compression.queries(vectors)
    losses: dict[Mode, Loss] = {}
    for mode in MODES:
        chosen = replace(options, mode=mode)
        if mode != "hybrid" and mode not in library.store.signals:
            continue
        before = [_best(library.store, query, chosen) for query in vectors]
        after = [_best(smaller, query, chosen) for query in shorter]
        losses[mode] = _loss(before, after, questions)
    return losses


def _best(store: Store, query: Embeddings, options: SearchOptions) -> list[str]:
    return [found.passage.document_id for found in retrieve(store, query, _DEPTH, None, options)]


def _loss(before: Sequence[list[str]], after: Sequence[list[str]], questions: Sequence[_Question]) -> Loss:
    pairs = [(set(old), set(new)) for old, new in zip(before, after, strict=True) if old]
    overlap = sum(len(old & new) / len(old) for old, new in pairs) / len(pairs) if pairs else 1.0
    names = [question.document_id for question in questions]
    if None in names:
        return Loss(overlap, None, None)
    found = [
        sum(name in best for name, best in zip(names, lists, strict=True)) / len(names) for lists in (before, after)
    ]
    return Loss(overlap, *found)
