"""A store in memory that scores everything it holds: exact, simple, and the oracle of the other stores' tests."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from trivec import scoring
from trivec.embeddings import Embeddings
from trivec.errors import InputError
from trivec.index.bm25 import Bm25Index, Bm25Options
from trivec.index.filters import Filter
from trivec.index.proposals import Proposals, propose_by_search
from trivec.index.queries import term_counts
from trivec.index.ranking import Ranking, check_k, rank, rank_positive
from trivec.index.schema import VectorSchema, check_upsert
from trivec.index.store import Capabilities, StoreStats
from trivec.types import FloatArray, Passage, Signal

_SCORERS = {
    "dense": scoring.dense_scores,
    "sparse": scoring.sparse_scores,
    "multi": scoring.maxsim_scores,
}


class MemoryStore:
    """Passages and vectors in Python dictionaries. Follows the protocol `trivec.index.store.Store`."""

    capabilities = Capabilities(name="memory", durable=False, exact_dense=True, concurrent_readers=True, atomic=True)

    def __init__(self, bm25: Bm25Options | None = None) -> None:
        self._passages: dict[str, Passage] = {}
        self._rows: dict[str, Embeddings] = {}
        self._schema: VectorSchema | None = None
        self._bm25 = Bm25Index(bm25 or Bm25Options())

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Signals that the stored vectors allow; none before the first upsert."""
        return self._schema.signals if self._schema else ()

    def upsert(self, passages: Sequence[Passage], vectors: Embeddings, remove: Sequence[str] = ()) -> None:
        """Add passages, or replace those with the same id; remove others."""
        check_upsert(passages, vectors)
        if passages:
            self._add(passages, vectors)
        added = {passage.id for passage in passages}
        self.delete([name for name in remove if name not in added])

    def _add(self, passages: Sequence[Passage], vectors: Embeddings) -> None:
        schema = self._schema or VectorSchema.of(vectors)
        schema.check_documents(vectors)
        self._schema = schema
        last = {passage.id: row for row, passage in enumerate(passages)}
        for name, row in last.items():
            self._passages[name] = passages[row]
            self._rows[name] = vectors[row]
        if vectors.terms is not None:
            self._bm25.add(list(last), vectors.terms[list(last.values())])

    def delete(self, ids: Sequence[str]) -> None:
        """Remove passages. Unknown ids are ignored."""
        for name in ids:
            self._passages.pop(name, None)
            self._rows.pop(name, None)
        self._bm25.remove(ids)

    def select(self, where: Filter | None = None) -> Iterator[Passage]:
        """All passages that pass a filter, ordered by id."""
        for name in sorted(self._passages):
            if where is None or where.matches(self._passages[name]):
                yield self._passages[name]

    def count(self, where: Filter | None = None) -> int:
        """How many passages pass a filter."""
        return sum(1 for _ in self.select(where))

    def fetch(self, ids: Sequence[str]) -> list[Passage | None]:
        """Passages by id, in the order asked; None for an unknown id."""
        return [self._passages.get(name) for name in ids]

    def vectors(self, ids: Sequence[str]) -> Embeddings:
        """Stored vectors of known passages, in the order asked."""
        unknown = [name for name in ids if name not in self._rows]
        if unknown:
            raise InputError(f"the store has no passage {unknown[0]!r}: ask for ids that `select` gives")
        if not ids:
            return next(iter(self._rows.values()), Embeddings())[:0]
        return Embeddings.concatenate([self._rows[name] for name in ids])

    def search(self, signal: Signal, query: Embeddings, k: int, where: Filter | None = None) -> Ranking:
        """The best k passages by one signal."""
        check_k(k)
        ids = [passage.id for passage in self.select(where)]
        scores = self.score(signal, query, ids)
        return rank_positive(ids, scores, k) if signal in ("sparse", "bm25") else rank(ids, scores, k)

    def score(self, signal: Signal, query: Embeddings, ids: Sequence[str]) -> FloatArray:
        """Exact scores of passages by one signal; 0 for an unknown id."""
        scores = np.zeros(len(ids), np.float32)
        if self._schema is None:
            return scores
        self._schema.check_query(signal, query)
        places = [place for place, name in enumerate(ids) if name in self._rows]
        known = [ids[place] for place in places]
        if signal == "bm25":
            scores[places] = self._bm25.score_passages(term_counts(query), known)
        elif known:
            scores[places] = _SCORERS[signal](query, self.vectors(known))[0]
        return scores

    def propose(
        self, signals: Sequence[Signal], query: Embeddings, k: int, where: Filter | None = None, complete: bool = True
    ) -> Proposals:
        """The best k passages by each of several signals, together."""
        return propose_by_search(self, signals, query, k, where, complete)

    def term_weights(self, query: Embeddings) -> dict[int, float]:
        """The weight of each query term in BM25."""
        return self._bm25.weights(term_counts(query))

    def optimize(self) -> None:
        """Nothing to build."""

    def flush(self) -> None:
        """Nothing to write."""

    def snapshot(self, target: Path) -> None:
        """Refused: nothing of this store is on disk.

        Raises:
            InputError: always.
        """
        raise InputError(f"a store in memory cannot be copied to {target}: use an EmbeddedStore")

    def stats(self) -> StoreStats:
        """How much is stored."""
        documents = sum(passage.number == 0 for passage in self._passages.values())
        return StoreStats(documents, len(self._passages), 0)

    def close(self) -> None:
        """Nothing to release."""
