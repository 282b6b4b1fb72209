"""BM25 of many queries against a part of the passages, as a product of sparse matrices.

The score is that of `trivec.index.bm25`, as a share of the most that a query's terms could bring, so that it has the
scale of a cosine in a mix.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from trivec.embeddings import Embeddings
from trivec.index.bm25 import Bm25Index, saturated
from trivec.index.queries import term_counts
from trivec.types import FloatArray, Passage


def index_parts(parts: Sequence[Sequence[Passage]], terms: Sequence[sp.csr_array]) -> Bm25Index:
    """The index of all passages, from the counts of each part."""
    index = Bm25Index()
    for part, counts in zip(parts, terms, strict=True):
        index.add([passage.id for passage in part], counts)
    return index


class Bm25Scores:
    """Scores of q queries.

    Args:
        index: all passages, numbered in the order in which they were added.
        queries: with terms.
    """

    def __init__(self, index: Bm25Index, queries: Embeddings) -> None:
        assert queries.terms is not None
        self._norms = index.length_norms()
        weights = [index.weights(term_counts(query)) for query in queries]
        most = np.asarray([sum(own.values()) or 1.0 for own in weights], np.float32)
        rows = np.repeat(np.arange(len(weights)), [len(own) for own in weights])
        columns = np.asarray([term for own in weights for term in own], np.int64)
        values = np.asarray([value for own in weights for value in own.values()], np.float32) / most[rows]
        self._queries = sp.csr_array((values, (rows, columns)), shape=queries.terms.shape)

    def of(self, terms: sp.csr_array, first: int) -> FloatArray:
        """(q, n) shares.

        Args:
            terms: (n, V) counts of the passages numbered from ``first``.
            first: number of the first of them.
        """
        lengths = np.diff(terms.indptr)
        norms = np.repeat(self._norms[first : first + len(lengths)], lengths)
        weights = sp.csr_array((saturated(terms.data, norms), terms.indices, terms.indptr), shape=terms.shape)
        return np.asarray(sp.csr_array(self._queries @ weights.T).toarray(), np.float32)
