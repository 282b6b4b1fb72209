from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from trivec import scoring
from trivec.embeddings import Embeddings
from trivec.errors import InputError, MissingHeadError
from trivec.ragged import Ragged
from trivec.scoring import M3_WEIGHTS, maxsim, score, score_pairs, search, top_k

BY = ["dense", "sparse", "multi", "hybrid"]
seeds = st.integers(0, 2**32 - 2)


def embeddings(dense: object, sparse: object, multi: list[object]) -> Embeddings:
    """Embeddings from nested lists; ``multi`` holds one list of vectors a text, two wide."""
    return Embeddings(
        dense=np.asarray(dense, np.float32),
        sparse=sp.csr_array(np.asarray(sparse, np.float32)),
        multi=Ragged.from_rows([np.asarray(rows, np.float32).reshape(-1, 2) for rows in multi], 2),
    )


QUERIES = embeddings([[1, 0], [0.6, 0.8]], [[2, 1, 0], [0, 0, 0]], [[[1, 0], [0, 1]], [[-1, 0]]])
DOCUMENTS = embeddings([[0.8, 0.6], [-1, 0]], [[0.5, 0, 3], [0, 4, 0]], [[[0.6, 0.8], [1, 0]], [[0.6, 0.8]]])

DENSE = [[0.8, -1.0], [0.96, -0.6]]
SPARSE = [[1.0, 4.0], [0.0, 0.0]]
MULTI = [[0.9, 0.7], [-0.6, -0.6]]
HYBRID = [[2.0, 0.9], [0.36, -1.2]]
"""1 x dense + 0.3 x sparse + 1 x multi."""


def whole_numbers(seed: int, texts: int, empty: bool = True) -> Embeddings:
    """Vectors of small whole numbers, whose scores are exact in float32 and often equal."""
    random = np.random.RandomState(seed)
    lengths = random.randint(0 if empty else 1, 4, texts)
    return Embeddings(
        dense=random.randint(-2, 3, (texts, 3)).astype(np.float32),
        sparse=sp.csr_array(np.maximum(0, random.randint(-2, 3, (texts, 5))).astype(np.float32)),
        multi=Ragged.from_rows([random.randint(-2, 3, (length, 3)).astype(np.float32) for length in lengths], 3),
    )


def units(seed: int, texts: int) -> Embeddings:
    """Vectors of unit length, sparse weights from 0 to 1, one to five vectors a text."""
    random = np.random.RandomState(seed)

    def unit_rows(rows: int) -> np.ndarray:
        values = random.standard_normal((rows, 8))
        return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)

    weights = random.random_sample((texts, 6)) * (random.random_sample((texts, 6)) < 0.5)
    return Embeddings(
        dense=unit_rows(texts),
        sparse=sp.csr_array(weights.astype(np.float32)),
        multi=Ragged.from_rows([unit_rows(length) for length in random.randint(1, 6, texts)], 8),
    )


def naive_maxsim(query: np.ndarray, document: np.ndarray) -> float:
    """1/N sum_i max_j <E_q[i], E_p[j]>, one product after the other."""
    if not len(query) or not len(document):
        return 0.0
    return float(np.mean([max(float(a @ b) for b in document) for a in query]))


def brute_force(queries: Embeddings, documents: Embeddings, by: str) -> np.ndarray:
    """All scores by loops over pairs."""
    dense = queries.dense @ documents.dense.T
    sparse = queries.sparse.toarray() @ documents.sparse.toarray().T
    multi = np.array([[naive_maxsim(q, d) for d in documents.multi] for q in queries.multi], np.float32)
    multi = multi.reshape(dense.shape)
    mixed = dense + np.float32(0.3) * sparse + multi
    return {"dense": dense, "sparse": sparse, "multi": multi, "hybrid": mixed}[by]


def part(scores: scoring.Scores, name: str) -> np.ndarray:
    return getattr(scores, name)


def test_all_pairs_against_numbers_worked_by_hand() -> None:
    scores = score(QUERIES, DOCUMENTS)
    np.testing.assert_allclose(scores.dense, DENSE, atol=1e-6)
    np.testing.assert_allclose(scores.sparse, SPARSE, atol=1e-6)
    np.testing.assert_allclose(scores.multi, MULTI, atol=1e-6)
    np.testing.assert_allclose(scores.hybrid, HYBRID, atol=1e-6)


def test_pairs_against_numbers_worked_by_hand() -> None:
    scores = score_pairs(QUERIES, DOCUMENTS)
    np.testing.assert_allclose(scores.dense, [0.8, -0.6], atol=1e-6)
    np.testing.assert_allclose(scores.sparse, [1, 0], atol=1e-6)
    np.testing.assert_allclose(scores.multi, [0.9, -0.6], atol=1e-6)
    np.testing.assert_allclose(scores.hybrid, [2, -1.2], atol=1e-6)


def test_scores_are_float32() -> None:
    for scores in (score(QUERIES, DOCUMENTS), score_pairs(QUERIES, DOCUMENTS)):
        assert {part(scores, name).dtype for name in BY} == {np.dtype(np.float32)}


def test_the_default_weights_are_those_of_the_paper() -> None:
    assert M3_WEIGHTS == {"dense": 1.0, "sparse": 0.3, "multi": 1.0}


@pytest.mark.parametrize("scorer", [score, score_pairs])
def test_the_average_is_the_sum_divided_by_the_weights(scorer: Callable[..., scoring.Scores]) -> None:
    weights = {"dense": 0.4, "sparse": 0.2, "multi": 0.4}
    total = scorer(QUERIES, DOCUMENTS, weights)
    average = scorer(QUERIES, DOCUMENTS, weights, average=True)
    np.testing.assert_allclose(average.hybrid, total.hybrid, atol=1e-6)
    doubled = scorer(QUERIES, DOCUMENTS, {name: 2 * weight for name, weight in weights.items()}, average=True)
    np.testing.assert_allclose(doubled.hybrid, total.hybrid, atol=1e-6)
    ones = scorer(QUERIES, DOCUMENTS, {"dense": 1, "sparse": 1, "multi": 1}, average=True)
    np.testing.assert_allclose(ones.hybrid, (ones.dense + ones.sparse + ones.multi) / 3, atol=1e-6)


def test_only_weights_that_are_used_divide_the_average() -> None:
    queries = QUERIES.with_heads("dense", "sparse")
    scores = score(queries, DOCUMENTS, {"dense": 1, "sparse": 0, "multi": 5}, average=True)
    np.testing.assert_allclose(scores.hybrid, DENSE, atol=1e-6)


def test_a_head_on_one_side_only_takes_no_part() -> None:
    scores = score(QUERIES, DOCUMENTS.with_heads("dense", "sparse"))
    assert scores.multi is None
    np.testing.assert_allclose(scores.hybrid, np.asarray(DENSE) + 0.3 * np.asarray(SPARSE), atol=1e-6)


def test_a_head_without_weight_is_scored_but_not_mixed() -> None:
    scores = score(QUERIES, DOCUMENTS, {"multi": 2.0})
    np.testing.assert_allclose(scores.dense, DENSE, atol=1e-6)
    np.testing.assert_allclose(scores.hybrid, 2 * np.asarray(MULTI), atol=1e-6)


def test_an_unknown_head_in_the_weights_is_refused() -> None:
    with pytest.raises(InputError, match="unknown head in weights: bm25; the heads are dense, sparse, multi"):
        score(QUERIES, DOCUMENTS, {"dense": 1, "bm25": 1})


def test_nothing_to_mix_is_refused() -> None:
    with pytest.raises(InputError, match="nothing to mix"):
        score(QUERIES.with_heads("dense"), DOCUMENTS.with_heads("multi"))
    with pytest.raises(InputError, match="nothing to mix"):
        score(QUERIES, DOCUMENTS, {"dense": 0.0})


def test_pairs_of_different_numbers_are_refused() -> None:
    with pytest.raises(InputError, match="2 queries and 1 documents"):
        score_pairs(QUERIES, DOCUMENTS[:1])


@pytest.mark.parametrize("by", ["dense", "sparse", "multi"])
@pytest.mark.parametrize("bare", ["queries", "documents"])
def test_a_missing_head_is_named(by: str, bare: str) -> None:
    sides = {"queries": QUERIES, "documents": DOCUMENTS}
    sides[bare] = sides[bare].with_heads(*({"dense", "sparse", "multi"} - {by}))
    with pytest.raises(MissingHeadError, match=f"no '{by}' vectors"):
        search(**sides, k=1, by=by)


def test_maxsim_is_negative_when_all_similarities_are() -> None:
    query = Ragged.from_rows([np.array([[1, 0], [0, 1]], np.float32)])
    documents = Ragged.from_rows(
        [np.array([[-1, 0]], np.float32), np.array([[-0.6, -0.8], [-0.8, -0.6], [-1, 0]], np.float32)]
    )
    # first document: (-1 + 0) / 2; second: (-0.6 + 0) / 2
    np.testing.assert_allclose(maxsim(query, documents), [[-0.5, -0.3]], atol=1e-6)


@given(seeds)
def test_a_pair_scores_the_same_alone_and_among_longer_texts(seed: int) -> None:
    """Nothing may depend on what else is in the batch, also when every similarity is below zero."""
    queries, documents = units(seed, 3), units(seed + 1, 4)
    documents = replace(documents, multi=Ragged(-np.abs(documents.multi.values), documents.multi.offsets))
    queries = replace(queries, multi=Ragged(np.abs(queries.multi.values), queries.multi.offsets))
    together = score(queries, documents)
    assert (together.multi < 0).all()
    for row in range(3):
        for column in range(4):
            alone = score(queries[row], documents[column])
            for name in BY:
                np.testing.assert_allclose(part(alone, name)[0, 0], part(together, name)[row, column], atol=1e-6)


@given(seeds, st.integers(0, 5))
def test_pairs_are_the_diagonal_of_all_pairs(seed: int, texts: int) -> None:
    queries, documents = units(seed, texts), units(seed + 1, texts)
    pairs, matrix = score_pairs(queries, documents), score(queries, documents)
    for name in BY:
        assert part(pairs, name).shape == (texts,)
        np.testing.assert_allclose(part(pairs, name), np.diagonal(part(matrix, name)), atol=1e-6)


@given(seeds, st.integers(0, 6), st.integers(0, 6), st.integers(1, 60))
def test_maxsim_in_blocks_is_maxsim(seed: int, queries: int, documents: int, block: int) -> None:
    """Block boundaries before, inside and behind a document, and documents without vectors at either side."""
    left, right = whole_numbers(seed, queries).multi, whole_numbers(seed + 1, documents).multi
    expected = np.array([[naive_maxsim(q, d) for d in right] for q in left], np.float32).reshape(queries, documents)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(scoring, "_BLOCK", block)
        np.testing.assert_array_equal(maxsim(left, right), expected)
        patch.setattr(scoring, "_BLOCK", block * 4096)
        np.testing.assert_array_equal(maxsim(left, right), expected)


def test_blocks_are_as_large_as_the_budget_allows() -> None:
    blocks = scoring._row_blocks(np.array([2, 3, 0, 9, 1, 1]), 5)
    assert [block.tolist() for block in blocks] == [[0, 1, 2], [3], [4, 5]]
    assert scoring._row_blocks(np.zeros(0, np.int64), 5) == []


def test_texts_without_vectors_score_zero() -> None:
    empty = embeddings([[0, 0]], [[0, 0, 0]], [[]])
    both = Embeddings.concatenate([empty, QUERIES, empty])
    scores = score(both, Embeddings.concatenate([empty, DOCUMENTS, empty]))
    for name, expected in {"dense": DENSE, "sparse": SPARSE, "multi": MULTI, "hybrid": HYBRID}.items():
        np.testing.assert_allclose(part(scores, name), np.pad(expected, 1), atol=1e-6)
    assert part(score_pairs(empty, empty), "multi").tolist() == [0]
    assert score(empty, empty).multi.tolist() == [[0]]


def test_no_texts_have_no_scores() -> None:
    assert score(QUERIES[:0], DOCUMENTS).hybrid.shape == (0, 2)
    assert score(QUERIES, DOCUMENTS[:0]).hybrid.shape == (2, 0)
    assert score_pairs(QUERIES[:0], DOCUMENTS[:0]).hybrid.shape == (0,)


@given(seeds)
def test_dense_and_sparse_are_symmetric_and_multi_is_one_with_itself(seed: int) -> None:
    a, b = units(seed, 3), units(seed + 1, 4)
    forth, back = score(a, b), score(b, a)
    np.testing.assert_allclose(forth.dense, back.dense.T, atol=1e-6)
    np.testing.assert_allclose(forth.sparse, back.sparse.T, atol=1e-6)
    own = score(a, a)
    np.testing.assert_allclose(np.diagonal(own.dense), 1, atol=1e-6)
    np.testing.assert_allclose(np.diagonal(own.multi), 1, atol=1e-6)
    assert (np.abs(forth.dense) <= 1 + 1e-6).all()
    assert (np.abs(forth.multi) <= 1 + 1e-6).all()
    assert (forth.sparse >= 0).all()


def test_multi_is_not_symmetric() -> None:
    # forth (1 + 0.8) / 2, back (0.8 + 1) / 2 for the first document; the second: (0.6 + 0.8) / 2 and 0.8
    forth, back = score(QUERIES, DOCUMENTS).multi, score(DOCUMENTS, QUERIES).multi
    np.testing.assert_allclose(forth[0, 1], 0.7, atol=1e-6)
    np.testing.assert_allclose(back[1, 0], 0.8, atol=1e-6)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9), st.integers(1, 12))
def test_top_k_is_the_start_of_a_full_sort_with_ties_by_column(values: list[int], k: int) -> None:
    expected = sorted(range(len(values)), key=lambda column: (-values[column], column))[:k]
    columns, scores = top_k(np.asarray(values, np.float32), k)
    assert columns.tolist() == expected
    assert scores.tolist() == [values[column] for column in expected]


def test_top_k_works_on_each_row() -> None:
    columns, scores = top_k(np.array([[1, 3, 2], [5, 5, -np.inf]], np.float32), 2)
    assert columns.tolist() == [[1, 2], [0, 1]]
    assert scores.tolist() == [[3, 2], [5, 5]]


def test_top_k_of_nothing() -> None:
    columns, scores = top_k(np.zeros((2, 0), np.float32), 3)
    assert columns.shape == scores.shape == (2, 0)
    columns, scores = top_k(np.zeros((0, 4), np.float32), 3)
    assert columns.shape == scores.shape == (0, 3)


@pytest.mark.parametrize("k", [0, -1])
def test_top_k_refuses_less_than_one(k: int) -> None:
    with pytest.raises(InputError, match=f"k must be at least 1, got {k}"):
        top_k(np.zeros(3, np.float32), k)


@pytest.mark.parametrize("by", ["dense", "sparse", "multi"])
@settings(max_examples=40)
@given(
    seed=seeds, queries=st.integers(0, 3), documents=st.integers(0, 9), k=st.integers(1, 10), block=st.integers(1, 9)
)
def test_search_is_brute_force(by: str, seed: int, queries: int, documents: int, k: int, block: int) -> None:
    """Whole numbers make ties: the order must be that of document numbers, in every block size."""
    left, right = whole_numbers(seed, queries), whole_numbers(seed + 1, documents)
    numbers, scores = search(left, right, k, by, block=block)
    columns, values = top_k(brute_force(left, right, by), k)
    np.testing.assert_array_equal(numbers, columns)
    np.testing.assert_array_equal(scores, values)


@settings(max_examples=40)
@given(seed=seeds, documents=st.integers(1, 9), k=st.integers(1, 10), block=st.integers(1, 9))
def test_hybrid_search_is_brute_force(seed: int, documents: int, k: int, block: int) -> None:
    left, right = units(seed, 2), units(seed + 1, documents)
    expected = brute_force(left, right, "hybrid")
    numbers, scores = search(left, right, k, block=block)
    assert numbers.shape == (2, min(k, documents))
    np.testing.assert_allclose(scores, np.take_along_axis(expected, numbers, 1), atol=1e-5)
    np.testing.assert_allclose(scores, top_k(expected, k)[1], atol=1e-5)


def test_search_uses_the_weights_given() -> None:
    numbers, scores = search(QUERIES, DOCUMENTS, 1, weights={"sparse": 1.0})
    assert numbers.tolist() == [[1], [0]]
    assert scores.tolist() == [[4], [0]]


def test_search_by_an_unknown_signal_is_refused() -> None:
    with pytest.raises(InputError, match="cannot search by 'bm25': choose one of dense, sparse, multi, hybrid"):
        search(QUERIES, DOCUMENTS, 1, by="bm25")


def test_search_refuses_less_than_one() -> None:
    with pytest.raises(InputError, match="k must be at least 1"):
        search(QUERIES, DOCUMENTS, 0)
