"""Retrieval metrics of an encoder, head by head: exact search over a judged set.

Systems are the heads ``dense``, ``sparse`` and ``multi``, their sum ``hybrid`` with the weights of M3-Embedding, and
``bm25`` over the same subwords, which no training moves. Every passage is scored by every head, so no head's result
depends on what another proposes.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np

from trivec.embeddings import Embeddings
from trivec.encode.encoder import Encoder
from trivec.encode.options import EncodeOptions
from trivec.errors import require
from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.set_vectors import encode_queries
from trivec.index.bm25 import Bm25Index
from trivec.index.queries import term_counts
from trivec.scoring import score, top_k
from trivec.train.options import MEASURES
from trivec.types import FloatArray, Head, IntArray

Ranking: TypeAlias = dict[str, dict[str, float]]
"""Scores by query id and passage id, as ir-measures takes them."""

_DEPTH = 100
_LEARNED: tuple[Literal["dense"], Literal["sparse"], Literal["multi"]] = ("dense", "sparse", "multi")


class Evaluator:
    """Measures encoders on one set. BM25 is computed once."""

    def __init__(self, judged: JudgedSet) -> None:
        require("ir_measures", "eval", "measuring retrieval")
        self.judged = judged
        self._passages = judged.texts
        self._ids = list(self._passages)
        self._bm25: dict[str, float] | None = None

    def measure(self, encoder: Encoder, heads: Sequence[Head]) -> dict[str, float]:
        """Values by system and measure, such as ``dense nDCG@10``.

        Args:
            encoder: gives the vectors.
            heads: which of its heads to measure, of dense, sparse and multi.
        """
        values: dict[str, float] = {}
        with contextlib.nullcontext() if self._bm25 is None else _without_warnings():
            for system, ranking in self._rankings(encoder, heads).items():
                values |= self._values(system, ranking)
        if self._bm25 is None:
            self._bm25 = self._values("bm25", self._bm25_ranking(encoder))
        return values | self._bm25

    def _values(self, system: str, ranking: Ranking) -> dict[str, float]:
        import ir_measures

        measures = [ir_measures.parse_measure(name) for name in MEASURES]
        found: Mapping[Any, float] = ir_measures.calc_aggregate(measures, dict(self.judged.relevance), ranking)
        return {f"{system} {measure}": float(found[measure]) for measure in measures}

    def _rankings(self, encoder: Encoder, heads: Sequence[Head]) -> dict[str, Ranking]:
        wanted = [head for head in _LEARNED if head in heads]
        queries = self._encode_queries(encoder, wanted)
        best: dict[str, _Best] = {}
        start = 0
        for part in encoder.stream(
            list(self._passages.values()), encoder.checkpoint.document_prompt, EncodeOptions(wanted)
        ):
            for system, scores in _system_scores(queries, part).items():
                best.setdefault(system, _Best(len(queries))).add(scores, start)
            start += len(part)
        names = [query.id for query in self.judged.queries]
        # a learned weight of zero is no match: sparse search does not list it
        return {
            system: dict(zip(names, found.rankings(self._ids, system == "sparse"), strict=True))
            for system, found in best.items()
        }

    def _encode_queries(self, encoder: Encoder, heads: Sequence[Head]) -> Embeddings:
        """All queries in order, each with its own prompt."""
        return encode_queries(encoder, self.judged.queries, heads)

    def _bm25_ranking(self, encoder: Encoder) -> Ranking:
        index = Bm25Index()
        index.add(self._ids, encoder.count_terms(list(self._passages.values())))
        counts = encoder.count_terms([query.text for query in self.judged.queries])
        ranking: Ranking = {}
        for query, row in zip(self.judged.queries, Embeddings(terms=counts), strict=True):
            best = _Best(1)
            best.add(index.score(term_counts(row))[None], 0)
            ranking[query.id] = next(best.rankings(index.ids, True))
        return ranking


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """That long texts are cut need not be told at each measurement of the same texts."""
    logger = logging.getLogger(Encoder.__module__)
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


def _system_scores(queries: Embeddings, passages: Embeddings) -> dict[str, FloatArray]:
    """(queries, passages) for each head, and for their sum if there is more than one."""
    scores = score(queries, passages)
    found: dict[str, FloatArray | None] = {head: getattr(scores, head) for head in _LEARNED}
    found["hybrid"] = scores.hybrid
    return {system: values for system, values in found.items() if values is not None}


class _Best:
    """The best passages of each query among those seen so far; equal scores by lower number."""

    def __init__(self, queries: int) -> None:
        self._numbers: IntArray = np.zeros((queries, 0), np.int64)
        self._scores: FloatArray = np.zeros((queries, 0), np.float32)

    def add(self, scores: FloatArray, start: int) -> None:
        """Take (queries, passages) scores of the passages numbered from ``start``."""
        if not scores.shape[1]:
            return
        found, values = top_k(scores, _DEPTH)
        numbers = np.concatenate([self._numbers, found + start], axis=1)
        kept, self._scores = top_k(np.concatenate([self._scores, values], axis=1), _DEPTH)
        self._numbers = np.take_along_axis(numbers, kept, axis=1)

    def rankings(self, ids: Sequence[str], positive_only: bool) -> Iterator[dict[str, float]]:
        """Scores by passage id, one dict a query."""
        for numbers, scores in zip(self._numbers.tolist(), self._scores.tolist(), strict=True):
            yield {ids[n]: value for n, value in zip(numbers, scores, strict=True) if value > 0 or not positive_only}
