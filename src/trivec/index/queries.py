"""One row of a sparse head as plain numbers."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp

from trivec.embeddings import Embeddings
from trivec.types import FloatArray


def row_weights(matrix: sp.csr_array, row: int) -> tuple[list[int], list[float]]:
    """Columns in ascending order and values of one row, without zeros."""
    start, stop = int(matrix.indptr[row]), int(matrix.indptr[row + 1])
    columns, places = np.unique(matrix.indices[start:stop], return_inverse=True)
    values: FloatArray = np.zeros(len(columns), np.float32)
    np.add.at(values, places, matrix.data[start:stop])
    kept = values != 0
    return columns[kept].tolist(), values[kept].tolist()


def term_counts(query: Embeddings) -> dict[int, float]:
    """How often each term stands in a query, the input of BM25.

    Raises:
        MissingHeadError: the query has no terms.
    """
    query.require("terms")
    assert query.terms is not None
    return dict(zip(*row_weights(query.terms, 0), strict=True))
