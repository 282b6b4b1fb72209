"""One pass over the passages of a set: every signal's scores of every query, of which the best stay."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from trivec.embeddings import Embeddings
from trivec.evaluate.all_scores import AllScores, collector
from trivec.evaluate.bm25_scores import Bm25Scores, index_parts
from trivec.evaluate.costs import Cost
from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.proposals import Proposals
from trivec.evaluate.set_vectors import SetEncoder
from trivec.index.native.token_maxsim import maxsim_of_all
from trivec.scoring import dense_scores, sparse_scores
from trivec.types import FloatArray, Head, Passage, Signal


def _maxsim_scores(queries: Embeddings, passages: Embeddings) -> FloatArray:
    assert queries.multi is not None and passages.multi is not None
    return maxsim_of_all(queries.multi, passages.multi)


_SCORERS: Mapping[Signal, Callable[[Embeddings, Embeddings], FloatArray]] = {
    "dense": dense_scores,
    "sparse": sparse_scores,
    "multi": _maxsim_scores,
}


@dataclass(frozen=True, eq=False)
class Pass:
    """What a pass found: proposals, the passages that they number, and what it took."""

    proposals: AllScores | Proposals
    passages: Sequence[Passage]
    cost: Cost

    @cached_property
    def owners(self) -> Sequence[str]:
        """Document id of every passage."""
        return [passage.document_id for passage in self.passages]


def propose(vectors: SetEncoder, judged: JudgedSet, signals: Sequence[Signal], depth: int) -> Pass:
    """Score all passages by all signals.

    Args:
        vectors: encodes the set.
        judged: the set.
        signals: to score by.
        depth: passages that each signal lists for a query.
    """
    clock = _Clock()
    parts = vectors.split(judged.documents)
    terms = [vectors.encoder.count_terms(vectors.contents(part)) for part in parts] if "bm25" in signals else []
    kept = [vectors.is_kept(part) for part in parts]
    clock.take("scoring")
    queries = vectors.encode_queries(judged.queries)
    clock.take("queries")
    bm25 = Bm25Scores(index_parts(parts, terms), queries) if terms else None
    proposals = collector(len(queries), sum(map(len, parts)), signals, depth)
    first, size = 0, dict[Head, int]()
    clock.take("scoring")
    for number, part in enumerate(vectors.encode_parts(parts)):
        clock.take("reading" if kept[number] else "encoding")
        scores = {signal: scorer(queries, part) for signal, scorer in _SCORERS.items() if signal in signals}
        if bm25 is not None:
            scores["bm25"] = bm25.of(terms[number], first)
        proposals.add(scores)
        first += len(parts[number])
        for head, count in _bytes_by_head(part).items():
            size[head] = size.get(head, 0) + count
        clock.take("scoring")
    passages = [passage for passages in parts for passage in passages]
    encoded = sum(len(part) for part, was in zip(parts, kept, strict=True) if not was) if vectors.heads else 0
    taken = clock.taken
    cost = Cost(taken["queries"], taken["encoding"], taken["reading"], taken["scoring"], len(passages), encoded, size)
    return Pass(proposals, passages, cost)


class _Clock:
    """Adds up times by what they were taken for."""

    def __init__(self) -> None:
        self.taken = dict.fromkeys(("queries", "encoding", "reading", "scoring"), 0.0)
        self._last = time.perf_counter()

    def take(self, what: str) -> None:
        """All since the last call was for this."""
        now = time.perf_counter()
        self.taken[what] += now - self._last
        self._last = now


def _bytes_by_head(vectors: Embeddings) -> dict[Head, int]:
    found: dict[Head, int] = {}
    if vectors.dense is not None:
        found["dense"] = int(vectors.dense.nbytes)
    if vectors.sparse is not None:
        found["sparse"] = 8 * int(vectors.sparse.nnz)
    if vectors.multi is not None:
        found["multi"] = int(vectors.multi.values.nbytes)
    return found
