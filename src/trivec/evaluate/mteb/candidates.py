"""Scores of each query against its own candidates alone, as tasks of reranking have them."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from trivec.embeddings import Embeddings
from trivec.evaluate.bm25_scores import Bm25Scores, index_parts
from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.proposals import Proposed
from trivec.evaluate.set_vectors import SetEncoder
from trivec.scoring import score
from trivec.types import HEAD_OF_SIGNAL, FloatArray, IntArray, Passage, Signal


class CandidateScores:
    """All passages of each query's candidates, with their scores by every signal.

    Documents are encoded once, part by part, and BM25 counts its terms in all of them.

    Args:
        vectors: encodes the set.
        judged: the set.
        candidates: ids of the set's documents by query id.
        signals: to score by.
    """

    def __init__(
        self,
        vectors: SetEncoder,
        judged: JudgedSet,
        candidates: Mapping[str, Sequence[str]],
        signals: Sequence[Signal],
    ) -> None:
        parts = vectors.split(judged.documents)
        self.owners = [passage.document_id for part in parts for passage in part]
        self._signals = list(signals)
        self._heads = [HEAD_OF_SIGNAL[signal] for signal in signals if signal != "bm25"]
        self._numbers = _numbers(self.owners, [candidates.get(query.id, ()) for query in judged.queries])
        self._scores = [np.zeros((len(numbers), len(signals)), np.float32) for numbers in self._numbers]
        queries = vectors.encode_queries(judged.queries)
        first = 0
        shares = self._bm25(vectors, parts, queries)
        for part, encoded in zip(parts, vectors.encode_parts(parts), strict=True):
            self._add(queries, encoded, next(shares, None), first, first + len(part))
            first += len(part)

    def __iter__(self) -> Iterator[Proposed]:
        for numbers, scores in zip(self._numbers, self._scores, strict=True):
            own = {signal: scores[:, place] for place, signal in enumerate(self._signals)}
            lists = {signal: numbers[np.argsort(-values, kind="stable")] for signal, values in own.items()}
            yield Proposed(numbers, own, lists, dict.fromkeys(self._signals, -np.inf))

    def _bm25(
        self, vectors: SetEncoder, parts: Sequence[Sequence[Passage]], queries: Embeddings
    ) -> Iterator[FloatArray]:
        """Of one part after the other, (q, n) each; nothing if BM25 is not asked for."""
        if "bm25" not in self._signals:
            return
        terms = [vectors.encoder.count_terms(vectors.contents(part)) for part in parts]
        scores = Bm25Scores(index_parts(parts, terms), queries)
        starts = itertools.accumulate(map(len, parts), initial=0)
        yield from (scores.of(counts, first) for counts, first in zip(terms, starts, strict=False))

    def _add(self, queries: Embeddings, part: Embeddings, shares: FloatArray | None, first: int, last: int) -> None:
        """Take the scores of the passages from ``first`` to before ``last``."""
        part = part.with_heads(*self._heads)
        for query, (numbers, scores) in enumerate(zip(self._numbers, self._scores, strict=True)):
            places = slice(*np.searchsorted(numbers, [first, last]).tolist())
            rows = numbers[places] - first
            if not len(rows):
                continue
            found = score(queries[query], part.select(rows)) if self._heads else None
            for column, signal in enumerate(self._signals):
                if signal == "bm25" and shares is not None:
                    scores[places, column] = shares[query, rows]
                elif found is not None:
                    scores[places, column] = getattr(found, signal)[0]


def _numbers(owners: Sequence[str], candidates: Sequence[Sequence[str]]) -> list[IntArray]:
    """Ascending numbers of the passages of each query's candidates."""
    passages: dict[str, list[int]] = {}
    for number, owner in enumerate(owners):
        passages.setdefault(owner, []).append(number)
    return [
        np.asarray(sorted(number for name in set(own) for number in passages[name]), np.int64) for own in candidates
    ]
