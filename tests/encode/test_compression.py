"""Fewer dimensions, tokens and weights."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from trivec.embeddings import Embeddings
from trivec.encode.compression import Compression, heaviest, pool_tokens, truncate
from trivec.errors import InputError
from trivec.fingerprint import Fingerprint
from trivec.ragged import Ragged


def test_truncated_vectors_have_unit_length() -> None:
    dense = np.asarray([[3, 4, 12], [0, 0, 5]], np.float32)
    np.testing.assert_allclose(truncate(dense, 2), [[0.6, 0.8], [0, 0]], rtol=1e-6)
    with pytest.raises(InputError, match="3 dimensions cannot keep 4"):
        truncate(dense, 4)


def test_alike_tokens_are_pooled_in_the_order_of_their_first() -> None:
    a, b = np.asarray([1, 0, 0], np.float32), np.asarray([0, 0, 1], np.float32)
    near_b = np.asarray([0, 0.6, 0.8], np.float32)
    multi = Ragged.from_rows([np.stack([b, a, near_b, a]), a[None], np.zeros((0, 3), np.float32)])
    pooled = pool_tokens(multi, 2)
    middle = (b + near_b) / np.linalg.norm(b + near_b)
    assert pooled.lengths.tolist() == [2, 1, 0]
    np.testing.assert_allclose(pooled[0], [middle, a], atol=1e-6)
    np.testing.assert_array_equal(pooled[1], [a])
    assert pool_tokens(multi, 1) is multi


@pytest.mark.parametrize("factor", [2, 3, 5])
def test_pooling_keeps_one_in_so_many(factor: int) -> None:
    rng = np.random.default_rng(0)
    multi = Ragged.from_rows([rng.standard_normal((length, 4)).astype(np.float32) for length in (1, 2, 9, 30)])
    pooled = pool_tokens(multi, factor)
    assert pooled.lengths.tolist() == [-(-length // factor) for length in (1, 2, 9, 30)]
    np.testing.assert_allclose(np.linalg.norm(pooled.values[1:], axis=1), 1, rtol=1e-5)


def test_the_heaviest_weights_are_kept() -> None:
    sparse = sp.csr_array(np.asarray([[0.1, 0.5, 0, 0.5, 0.9], [0, 0, 0.2, 0, 0], [0, 0, 0, 0, 0]], np.float32))
    expected = [[0, 0.5, 0, 0, 0.9], [0, 0, 0.2, 0, 0], [0, 0, 0, 0, 0]]
    np.testing.assert_array_equal(heaviest(sparse, 2).toarray(), np.asarray(expected, np.float32))
    heaviest(sparse, 2).check_format(full_check=True)


def test_queries_are_truncated_only_and_fingerprints_tell() -> None:
    rng = np.random.default_rng(1)
    fingerprint = Fingerprint("m", "w", {"dense": "6", "multi": "3", "sparse": "s"})
    vectors = Embeddings(
        rng.standard_normal((1, 6)).astype(np.float32),
        sp.csr_array(np.asarray([[1, 2, 3]], np.float32)),
        Ragged.from_rows([rng.standard_normal((6, 3)).astype(np.float32)]),
        fingerprint=fingerprint,
    )
    compression = Compression(dimensions=4, pool_tokens=3, sparse_weights=1)
    query, document = compression.queries(vectors), compression.documents(vectors)
    assert query.dense is not None and query.multi is not None and document.multi is not None
    assert query.dense.shape == (1, 4) and len(query.multi.values) == 6 and len(document.multi.values) == 2
    assert document.sparse is not None and document.sparse.nnz == 1
    np.testing.assert_array_equal(query.dense, document.dense)
    assert query.fingerprint == document.fingerprint
    assert query.fingerprint is not None and query.fingerprint.heads["multi"] == "3, pooled by 3"
    assert Compression.from_settings(compression.settings()) == compression
    assert Compression().settings() == {}


def test_nonsense_is_refused() -> None:
    with pytest.raises(InputError, match="pool_tokens must be at least 1, got 0"):
        Compression(pool_tokens=0)
