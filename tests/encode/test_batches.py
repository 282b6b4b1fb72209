from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trivec.encode.batches import plan_batches

lengths = st.lists(st.integers(0, 600), max_size=60)


@given(lengths, st.integers(1, 2000), st.integers(1, 20))
def test_every_text_is_in_one_batch_and_the_budget_is_kept(lengths: list[int], max_tokens: int, max_texts: int) -> None:
    batches = plan_batches(lengths, max_tokens, max_texts)
    assert sorted(row for batch in batches for row in batch.tolist()) == list(range(len(lengths)))
    for batch in batches:
        longest = max(lengths[row] for row in batch)
        assert 1 <= len(batch) <= max_texts
        assert len(batch) == 1 or len(batch) * longest <= max_tokens


@given(lengths, st.integers(1, 2000))
def test_batches_run_from_long_to_short(lengths: list[int], max_tokens: int) -> None:
    order = [lengths[row] for batch in plan_batches(lengths, max_tokens) for row in batch]
    assert order == sorted(lengths, reverse=True)


@given(lengths, st.integers(1, 2000))
def test_a_batch_ends_only_where_it_is_full_or_where_padding_would_begin(lengths: list[int], max_tokens: int) -> None:
    batches = plan_batches(lengths, max_tokens)
    for batch, following in itertools.pairwise(batches):
        longest = max(1, lengths[batch[0]])
        full = (len(batch) + 1) * longest > max_tokens or len(batch) == 256
        half_full = 2 * len(batch) * longest >= max_tokens
        assert full or (half_full and lengths[following[0]] != lengths[batch[0]])


@given(lengths, st.integers(1, 2000))
def test_only_the_half_that_fills_a_batch_may_be_padded(lengths: list[int], max_tokens: int) -> None:
    for batch in plan_batches(lengths, max_tokens):
        longest = max(1, lengths[batch[0]])
        beyond_half = [lengths[row] for row in batch[-(-max_tokens // (2 * longest)) :]]
        assert len({lengths[batch[0]], *beyond_half}) == 1 or len(beyond_half) == 0


def test_a_plan_by_hand() -> None:
    plan = plan_batches([3, 10, 5, 4, 5], max_tokens=10)
    assert [batch.tolist() for batch in plan] == [[1], [2, 4], [3, 0]]


def test_a_plan_that_avoids_padding() -> None:
    plan = plan_batches([7, 6, 6, 6, 2, 2, 1], max_tokens=12)
    assert [batch.tolist() for batch in plan] == [[0], [1, 2], [3], [4, 5, 6]]


def test_a_text_longer_than_the_budget_is_alone() -> None:
    assert [batch.tolist() for batch in plan_batches([4, 100, 4], 8)] == [[1], [0, 2]]


def test_no_texts_no_batches() -> None:
    assert plan_batches([], 100) == []


def test_the_plan_depends_on_lengths_alone() -> None:
    a, b = (plan_batches([5, 5, 7, 1] * 10, 20) for _ in range(2))
    assert all(np.array_equal(x, y) for x, y in zip(a, b, strict=True))
