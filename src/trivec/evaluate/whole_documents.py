"""BM25 over whole documents, as published baselines have it, beside the systems that rank by passages.

``bm25-documents`` counts the subwords of the lower-cased text, ``bm25-words`` its words, as
`trivec.evaluate.counted_words` has them; title and text are one field. The formula is that of `trivec.index.bm25` with
k1 = 0.9 and b = 0.4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
import scipy.sparse as sp

from trivec.encode.encoder import Encoder
from trivec.evaluate.counted_words import words
from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.measures import Ranking
from trivec.evaluate.ranking import best_documents
from trivec.evaluate.systems import BM25_DOCUMENTS, Baseline
from trivec.index.bm25 import Bm25Index
from trivec.index.queries import row_weights

_BATCH = 1000


class Terms(Protocol):
    """Counts what a text is made of."""

    def of(self, texts: Sequence[str]) -> sp.csr_array:
        """(n, V) counts; V may grow from call to call."""


class Subwords:
    """Terms of an encoder's tokenizer."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder

    def of(self, texts: Sequence[str]) -> sp.csr_array:
        """(n, V) counts."""
        return self._encoder.count_terms(texts)


class Words:
    """Terms numbered as they are seen.

    Args:
        words_of: the words of a text.
    """

    def __init__(self, words_of: Callable[[str], Iterable[str]] = words) -> None:
        self._words_of = words_of
        self._numbers: dict[str, int] = {}

    def of(self, texts: Sequence[str]) -> sp.csr_array:
        """(n, V) counts, where V is the number of words seen so far."""
        rows = [
            Counter(self._numbers.setdefault(word, len(self._numbers)) for word in self._words_of(text))
            for text in texts
        ]
        indices = np.asarray([number for row in rows for number in row], np.int64)
        counts = np.asarray([count for row in rows for count in row.values()], np.float32)
        starts = np.cumsum([0, *map(len, rows)], dtype=np.int64)
        return sp.csr_array((counts, indices, starts), shape=(len(texts), len(self._numbers)))


def rank_documents(
    baseline: Baseline, encoder: Encoder, judged: JudgedSet, depth: int, without_self: bool
) -> dict[str, Ranking]:
    """The best documents of every query, of those that share a term with it.

    Args:
        baseline: by which terms.
        encoder: its tokenizer gives the subwords.
        judged: the set.
        depth: documents at most.
        without_self: leave out a document whose id is that of the query.
    """
    terms: Terms = Subwords(encoder) if baseline.name == BM25_DOCUMENTS else Words()
    names = [document.id for document in judged.documents]
    index = index_documents(judged, terms)
    rankings: dict[str, Ranking] = {}
    for query, counts in zip(judged.queries, query_terms(judged, terms), strict=True):
        scores = index.score(counts)
        found = np.flatnonzero(scores)
        rankings[query.id] = best_documents(found, scores[found], names, depth, query.id if without_self else None)
    return rankings


def index_documents(judged: JudgedSet, terms: Terms) -> Bm25Index:
    """An index of a set's documents, numbered as they are there."""
    texts, names = judged.texts, [document.id for document in judged.documents]
    index = Bm25Index()
    for first in range(0, len(names), _BATCH):
        batch = names[first : first + _BATCH]
        index.add(batch, terms.of([texts[name] for name in batch]))
    return index


def query_terms(judged: JudgedSet, terms: Terms) -> Iterable[Mapping[int, float]]:
    """How often each query of a set has each term. To be asked when all documents are indexed."""
    counts = terms.of([query.text for query in judged.queries])
    return (dict(zip(*row_weights(counts, row), strict=True)) for row in range(counts.shape[0]))
