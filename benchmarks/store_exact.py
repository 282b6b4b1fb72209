"""The exact answers that stores are compared with: every score in float32, nothing left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import scipy.sparse as sp

from trivec import scoring
from trivec.embeddings import Embeddings
from trivec.index import Bm25Index, Filter, Ranking, parse_filter
from trivec.index.queries import term_counts
from trivec.index.ranking import rank, rank_positive
from trivec.ragged import Ragged
from trivec.search.retrieval import retrieve
from trivec.types import FloatArray, IntArray, Passage, Signal

from store_corpus import Corpus
from store_worker import HYBRID, SELECTIVITIES, SIGNALS


class ExactStore:
    """As much of a store as `retrieve` asks for, over arrays. Token vectors are kept as float16 to fit memory."""

    signals: tuple[Signal, ...] = ("dense", "sparse", "bm25", "multi")

    def __init__(self, corpus: Corpus) -> None:
        dense, sparse, tokens, lengths = [], [], [], []
        self._bm25 = Bm25Index()
        self.passages: dict[str, Passage] = {}
        for passages, vectors in corpus.batches():
            assert vectors.dense is not None and vectors.sparse is not None and vectors.multi is not None
            assert vectors.terms is not None
            self.passages.update((passage.id, passage) for passage in passages)
            dense.append(vectors.dense)
            sparse.append(vectors.sparse)
            tokens.append(vectors.multi.values.astype(np.float16))
            lengths.append(vectors.multi.lengths)
            self._bm25.add([passage.id for passage in passages], vectors.terms)
        self.ids = list(self.passages)
        self._rows = {name: row for row, name in enumerate(self.ids)}
        self.dense = np.concatenate(dense)
        self.sparse = sp.csc_array(sp.vstack(sparse, format="csr"))
        self._tokens = np.concatenate(tokens)
        self._offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))])
        self._filtered: dict[str, tuple[IntArray, list[str]]] = {}
        self._cached: tuple[int, dict[Signal, FloatArray]] | None = None

    def search(self, signal: Signal, query: Embeddings, k: int, where: Filter | None = None) -> Ranking:
        """The best k of those that pass the filter."""
        scores = self._all_scores(signal, query)
        ids = self.ids
        if where is not None:
            rows, ids = self._passing(where)
            scores = scores[rows]
        return rank(ids, scores, k) if signal == "dense" else rank_positive(ids, scores, k)

    def score(self, signal: Signal, query: Embeddings, ids: list[str]) -> FloatArray:
        """Scores of passages."""
        rows = np.asarray([self._rows[name] for name in ids], np.int64)
        if signal != "multi":
            return self._all_scores(signal, query)[rows]
        tokens = [self._tokens[self._offsets[row] : self._offsets[row + 1]].astype(np.float32) for row in rows]
        return np.asarray(scoring.maxsim_scores(query, Embeddings(multi=Ragged.from_rows(tokens)))[0])

    def fetch(self, ids: list[str]) -> list[Passage | None]:
        """Passages by id."""
        return [self.passages.get(name) for name in ids]

    def term_weights(self, query: Embeddings) -> dict[int, float]:
        """Of BM25."""
        return self._bm25.weights(term_counts(query))

    def _passing(self, where: Filter) -> tuple[IntArray, list[str]]:
        if str(where) not in self._filtered:
            rows = [row for row, name in enumerate(self.ids) if where.matches(self.passages[name])]
            self._filtered[str(where)] = (np.asarray(rows, np.int64), [self.ids[row] for row in rows])
        return self._filtered[str(where)]

    def _all_scores(self, signal: Signal, query: Embeddings) -> FloatArray:
        if self._cached is None or self._cached[0] != id(query):
            assert query.dense is not None and query.sparse is not None
            by_signal: dict[Signal, FloatArray] = {
                "dense": self.dense @ query.dense[0],
                "sparse": np.asarray((self.sparse @ query.sparse.T.tocsc()).todense(), np.float32).reshape(-1),
                "bm25": self._bm25.score(term_counts(query)),
            }
            self._cached = (id(query), by_signal)
        return self._cached[1][signal]


def write_exact(store: ExactStore, queries: list[Embeddings], path: Path) -> None:
    """Ids of the exact best 100 by each signal, and of dense and hybrid search at each selectivity."""
    found: dict[str, list[list[str]]] = {signal: [] for signal in SIGNALS}
    wheres = {"all": None} | {
        f"{share:.1%}": parse_filter(f"bucket < {round(1000 * share)}") for share in SELECTIVITIES
    }
    for query in queries:
        for signal in SIGNALS:
            found[signal].append(store.search(signal, query, 100).ids)
        for name, where in wheres.items():
            found.setdefault(f"dense {name}", []).append(store.search("dense", query, 100, where).ids)
            hits = retrieve(store, query, 100, where, HYBRID)  # type: ignore[arg-type]
            found.setdefault(f"hybrid {name}", []).append([hit.passage.id for hit in hits])
    padded = {name: [row + [""] * (100 - len(row)) for row in rows] for name, rows in found.items()}
    np.savez_compressed(path, **{name: np.asarray(rows) for name, rows in padded.items()})
