"""What a reranker says of the first documents of queries: read some at a time, and kept on disk like vectors."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from trivec.evaluate.judged_sets import JudgedQuery
from trivec.rerank.reranker import Pair, Reranker
from trivec.search.collection import Collection
from trivec.search.options import SearchOptions
from trivec.tensorfile import memory_map, write_tensors
from trivec.types import FloatArray

_AT_ONCE = 32
"""Queries whose pairs are read together, and kept in one file."""


@dataclass(frozen=True)
class Listed:
    """A document that a first stage found.

    Attributes:
        document: its id.
        score: of the first stage.
        content: what is read of it, its best passage.
    """

    document: str
    score: float
    content: str


@dataclass(frozen=True, eq=False)
class ReadQuery:
    """What was read for one query.

    Attributes:
        documents: ids, best first by the first stage.
        first_scores: (n,) of the first stage.
        logits: (n,) of the reranker.
    """

    documents: Sequence[str]
    first_scores: FloatArray
    logits: FloatArray


def list_documents(
    library: Collection,
    queries: Sequence[JudgedQuery],
    options: SearchOptions,
    depth: int,
    without_self: bool = False,
) -> Iterator[list[Listed]]:
    """The first documents of a library for each query, each at its best passage.

    Args:
        library: is searched.
        queries: what for.
        options: of the search; a reranker in them is not asked.
        depth: documents a query.
        without_self: leave out a document whose id is that of the query.
    """
    way = options.changed(per_passage=False).first_stage_alone
    for first in range(0, len(queries), _AT_ONCE):
        window = queries[first : first + _AT_ONCE]
        found = library.search_batch([query.text for query in window], depth + without_self, options=way)
        for query, hits in zip(window, found, strict=True):
            kept = (hit for hit in hits if not without_self or hit.id != query.id)
            yield [Listed(hit.id, hit.score, hit.content) for hit in islice(kept, depth)]


class DocumentReader:
    """Reads documents, or takes their logits from the cache.

    Args:
        reranker: reads.
        cache: folder that keeps logits.

    Attributes:
        pairs: how many were really read.
        seconds: what that took.
    """

    def __init__(self, reranker: Reranker, cache: Path | None = None) -> None:
        self._reranker = reranker
        self._cache = cache if reranker.digest else None
        self.pairs, self.seconds = 0, 0.0

    def read(self, queries: Iterable[JudgedQuery], listed: Iterable[Sequence[Listed]]) -> Iterator[ReadQuery]:
        """What is said of each query's documents, in order; lists are taken when they are needed."""
        together = zip(queries, listed, strict=True)
        while window := list(islice(together, _AT_ONCE)):
            logits = self._logits([Pair(query.text, one.content) for query, own in window for one in own])
            place = 0
            for _, own in window:
                scores = np.asarray([one.score for one in own], np.float32)
                yield ReadQuery([one.document for one in own], scores, logits[place : place + len(own)])
                place += len(own)

    def _logits(self, pairs: Sequence[Pair]) -> FloatArray:
        path = self._path(pairs)
        if path is not None and path.is_file():
            return np.array(memory_map(path)["logits"])
        start = time.perf_counter()
        logits = self._reranker.score_pairs(pairs)
        self.seconds += time.perf_counter() - start
        self.pairs += len(pairs)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_tensors(path, {"logits": logits}, {})
        return logits

    def _path(self, pairs: Sequence[Pair]) -> Path | None:
        if self._cache is None:
            return None
        named = "\0\0".join([self._reranker.digest, *(f"{pair.query}\0{pair.document}" for pair in pairs)])
        return self._cache / f"{hashlib.sha256(named.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}.safetensors"
