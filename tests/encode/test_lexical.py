from __future__ import annotations

from collections import Counter

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trivec.encode.lexical import count_terms, max_weights

VOCABULARY = 7
tokens = st.tuples(st.integers(0, VOCABULARY - 1), st.sampled_from([0.0, 0.25, 0.5, 1.0, 3.0]))
texts = st.lists(st.lists(tokens, max_size=8), max_size=5)
ignored = st.frozensets(st.integers(0, VOCABULARY - 1), max_size=3)


def arrays(texts: list[list[tuple[int, float]]]) -> tuple[list[np.ndarray], list[np.ndarray]]:
    ids = [np.asarray([number for number, _ in text], np.int64) for text in texts]
    return ids, [np.asarray([weight for _, weight in text], np.float32) for text in texts]


def naive(texts: list[list[tuple[int, float]]], ignored: frozenset[int]) -> np.ndarray:
    """Through an array of (texts, tokens, vocabulary), as M3's published code does it."""
    longest = max((len(text) for text in texts), default=0)
    weights_BLV = np.zeros((len(texts), longest, VOCABULARY), np.float32)
    for row, text in enumerate(texts):
        for position, (number, weight) in enumerate(text):
            weights_BLV[row, position, number] = weight
    result = weights_BLV.max(axis=1, initial=0)
    result[:, sorted(ignored)] = 0
    return result


@given(texts, ignored)
def test_max_weights_is_the_naive_maximum(texts: list[list[tuple[int, float]]], ignored: frozenset[int]) -> None:
    ids, weights = arrays(texts)
    result = max_weights(ids, weights, VOCABULARY, ignored)
    assert result.shape == (len(texts), VOCABULARY)
    assert result.dtype == np.float32
    np.testing.assert_array_equal(result.toarray(), naive(texts, ignored))


@given(texts, ignored)
def test_rows_are_canonical_and_hold_no_zeros(texts: list[list[tuple[int, float]]], ignored: frozenset[int]) -> None:
    result = max_weights(*arrays(texts), VOCABULARY, ignored)
    assert (result.data > 0).all()
    assert result.has_canonical_format
    assert not set(result.indices) & ignored


def test_a_token_that_occurs_twice_has_its_largest_weight() -> None:
    ids, weights = arrays([[(4, 0.5), (2, 1.0), (4, 3.0), (4, 0.25)], [(4, 0.25)]])
    assert max_weights(ids, weights, VOCABULARY, ()).toarray().tolist() == [
        [0, 0, 1, 0, 3, 0, 0],
        [0, 0, 0, 0, 0.25, 0, 0],
    ]


def test_the_first_and_the_last_id_stay_in_their_rows() -> None:
    ids, weights = arrays([[(0, 1.0), (6, 0.5)], [], [(6, 3.0), (0, 0.25)]])
    assert max_weights(ids, weights, VOCABULARY, {3}).toarray()[:, [0, 6]].tolist() == [[1, 0.5], [0, 0], [0.25, 3]]


@given(texts)
def test_count_terms_counts(texts: list[list[tuple[int, float]]]) -> None:
    ids, _ = arrays(texts)
    result = count_terms(ids, VOCABULARY)
    expected = [[Counter(row.tolist())[number] for number in range(VOCABULARY)] for row in ids]
    np.testing.assert_array_equal(result.toarray(), np.asarray(expected, np.float32).reshape(len(ids), VOCABULARY))
    assert result.dtype == np.float32
    assert result.has_canonical_format


def test_no_texts() -> None:
    assert max_weights([], [], VOCABULARY, ()).shape == (0, VOCABULARY)
    assert count_terms([], VOCABULARY).shape == (0, VOCABULARY)
