"""Token ids to rows over the vocabulary: learned token weights, and plain counts.

M3-Embedding (Chen et al. 2024, 2402.03216) section 3: the weight of a term is the largest weight among its
occurrences; special tokens have none. No (texts, tokens, vocabulary) array is ever built.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from trivec.encode.sparse_terms import TokenTerms
from trivec.encode.tokenizer import TextTokenizer
from trivec.types import FloatArray, IntArray


def sparse_rows(
    terms: Sequence[TokenTerms | None], weights: Sequence[FloatArray], tokenizer: TextTokenizer
) -> sp.csr_array:
    """Learned sparse vectors, (texts, vocabulary).

    Args:
        terms: what each text's tokens weigh for; they must have been asked for.
        weights: of each text's tokens behind the prompt.
        tokenizer: which gave the terms.
    """
    asked = [own for own in terms if own is not None]
    ids = [own.ids for own in asked]
    values = [row[own.places] for own, row in zip(asked, weights, strict=True)]
    return max_weights(ids, values, tokenizer.vocabulary_size, tokenizer.weightless_ids)


def max_weights(
    ids: Sequence[NDArray[np.int64]],
    weights: Sequence[FloatArray],
    vocabulary_size: int,
    ignored: Collection[int],
) -> sp.csr_array:
    """w(t) = max over i with x_i = t of w_i, as a CSR of shape (texts, vocabulary_size) without zeros.

    Args:
        ids: token ids of each text.
        weights: one weight >= 0 for each of them.
        vocabulary_size: columns of the result.
        ignored: ids that never appear in it, such as CLS and EOS.
    """
    keys, values = _keys(ids, vocabulary_size), np.concatenate([*weights, np.zeros(0, np.float32)])
    kept = (values > 0) & ~np.isin(keys % vocabulary_size, list(ignored))
    keys, values = keys[kept], values[kept]
    order = np.argsort(keys, kind="stable")
    unique, starts = np.unique(keys[order], return_index=True)
    largest = np.maximum.reduceat(values[order], starts) if len(starts) else values
    return _csr(unique, largest, len(ids), vocabulary_size)


def count_terms(ids: Sequence[NDArray[np.int64]], vocabulary_size: int, ignored: Collection[int] = ()) -> sp.csr_array:
    """How often each id occurs in each text, as a CSR float32 of shape (texts, vocabulary_size).

    ``ignored`` ids are not counted: two unknown letters are not the same term.
    """
    keys = _keys(ids, vocabulary_size)
    unique, counts = np.unique(keys[~np.isin(keys % vocabulary_size, list(ignored))], return_counts=True)
    return _csr(unique, counts.astype(np.float32), len(ids), vocabulary_size)


def _keys(ids: Sequence[NDArray[np.int64]], vocabulary_size: int) -> IntArray:
    """Row * vocabulary_size + id for every token of every text."""
    rows = np.repeat(np.arange(len(ids), dtype=np.int64), [len(row) for row in ids])
    keys: IntArray = rows * vocabulary_size + np.concatenate([*ids, np.zeros(0, np.int64)])
    return keys


def _csr(keys: IntArray, values: FloatArray, rows: int, vocabulary_size: int) -> sp.csr_array:
    offsets = np.searchsorted(keys, np.arange(rows + 1, dtype=np.int64) * vocabulary_size)
    parts = (values.astype(np.float32), (keys % vocabulary_size).astype(np.int32), offsets.astype(np.int32))
    return sp.csr_array(parts, shape=(rows, vocabulary_size))
