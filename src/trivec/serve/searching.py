"""A search in stages: queries are encoded with those of others, threads retrieve, rerankers read with those of others.

Each stage is the one of `trivec.Collection.search`, so a search gives the same hits as there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from trivec.embeddings import Embeddings
from trivec.index import Filter
from trivec.rerank.reranking import reranked
from trivec.search.collection import Collection
from trivec.search.explain import Explanation
from trivec.search.hits import Hit
from trivec.search.named_passages import every_signal, explain_named
from trivec.search.options import SearchOptions
from trivec.search.second_stage import SecondStage
from trivec.serve.encoding import Encoding
from trivec.serve.libraries import ServedLibrary
from trivec.serve.metrics import Metrics
from trivec.serve.models import Models
from trivec.serve.reranking import Reranking
from trivec.types import Signal

Answer = TypeVar("Answer")

_THREADS = 4


@dataclass(frozen=True)
class Search:
    """What is looked for.

    Attributes:
        query: words or a question.
        k: how many documents.
        where: a filter, or None.
        options: how; a reranker in them is one that the server has.
    """

    query: str
    k: int
    where: Filter | None
    options: SearchOptions


class Searching:
    """Searches for requests.

    Args:
        models: where rerankers come from.
        encoding: of queries.
        reranking: of hits.
        metrics: are told how long retrieval takes.
    """

    def __init__(self, models: Models, encoding: Encoding, reranking: Reranking, metrics: Metrics) -> None:
        self._models = models
        self._encoding = encoding
        self._reranking = reranking
        self._metrics = metrics
        self._threads = ThreadPoolExecutor(_THREADS, "trivec-search")

    async def search(self, library: ServedLibrary, search: Search) -> list[Hit]:
        """The best documents, best first.

        Raises:
            InputError: the library has none of the signals that the options need.
            NotFound: the reranker is not one of the server's.
        """
        collection, options = library.collection, search.options
        second = self._second_stage(collection, options)
        available = await self._in_thread(lambda: collection.store.signals)
        if not available:
            return []
        vectors = await self._encode(library, search.query, options, available)
        depth = search.k if second is None else max(search.k, second.depth)
        with self._metrics.stage("retrieve"):
            hits = await self._in_thread(
                lambda: collection.first_hits(search.query, vectors, depth, search.where, options)
            )
        if second is None or not hits:
            return hits[: search.k]
        found = await self._reranking.rerank(second.reranker, search.query, [hit.content for hit in hits])
        logits, chances = found.logits, found.probabilities
        return reranked(hits, second.reranker.name, logits, chances, second.first_stage)[: search.k]

    async def explain(self, hits: Sequence[Hit]) -> list[Explanation]:
        """Why these are hits."""
        with self._metrics.stage("explain"):
            return await self._in_thread(lambda: [hit.explain() for hit in hits])

    async def explain_named(self, library: ServedLibrary, query: str, names: Sequence[str]) -> list[Explanation | None]:
        """Why passages answer a query, or do not; see `trivec.search.named_passages.explain_named`."""
        collection = library.collection
        available = await self._in_thread(lambda: collection.store.signals)
        if not available:
            return [None for _ in names]
        vectors = await self._encode(library, query, every_signal(collection), available)
        with self._metrics.stage("explain"):
            return await self._in_thread(lambda: explain_named(collection, query, vectors, names))

    def close(self) -> None:
        """Let threads come to an end."""
        self._threads.shutdown()

    async def _encode(
        self, library: ServedLibrary, query: str, options: SearchOptions, available: tuple[Signal, ...]
    ) -> Embeddings:
        """A query's vectors for a search of a library with these signals."""
        collection = library.collection
        key = ("search", library.name, options.signals(available))

        def encode(queries: Sequence[str]) -> Embeddings:
            return collection.encode_queries(queries, options)

        return await self._encoding.encode_queries(collection.encoder, key, encode, [query])

    def _second_stage(self, collection: Collection, options: SearchOptions) -> SecondStage | None:
        if not options.reranker:
            return None
        return SecondStage.of(self._models.reranker(options.reranker), options, collection.manifest.rerankers)

    async def _in_thread(self, work: Callable[[], Answer]) -> Answer:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)
