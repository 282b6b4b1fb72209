"""Plans: the same everywhere, homogeneous, whole, new in each epoch, and taken up where they were left."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from trivec.errors import InputError
from trivec.train.buckets import BucketOptions, fit_batch_sizes
from trivec.train.plan import Plan, PlanOptions, make_plan

BUCKETS = BucketOptions((0, 50, 200), (8, 4, 2))


def toy(count: int, sources: int, seed: int = 0) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    rng = np.random.default_rng(seed)
    return rng.integers(1, 400, count), rng.integers(0, sources, count)


def batches(plan: Plan) -> list[np.ndarray[Any, Any]]:
    return [plan[position] for position in range(len(plan))]


@settings(max_examples=60, deadline=None)
@given(
    count=st.integers(60, 400),
    sources=st.integers(1, 4),
    world=st.integers(1, 3),
    rest=st.sampled_from(["up", "keep", "drop"]),
    epoch=st.integers(0, 3),
)
def test_a_plan_is_homogeneous_and_shared(count: int, sources: int, world: int, rest: Any, epoch: int) -> None:
    lengths, source = toy(count, sources)
    options = PlanOptions(BUCKETS, seed=5, world=world, rest=rest)
    plan = make_plan(lengths, source, options, epoch)
    again = make_plan(lengths, source, options, epoch)
    assert plan.digest == again.digest
    assert len(np.unique(plan.rows)) == len(plan.rows) == count - plan.left_out
    for position, batch in enumerate(batches(plan)):
        buckets = BUCKETS.buckets_of(lengths[batch])
        assert (source[batch] == plan.sources[position]).all()
        assert buckets.max() <= plan.buckets[position] if rest == "up" else (buckets == plan.buckets[position]).all()
        assert len(batch) <= BUCKETS.batch_sizes[plan.buckets[position]] * world
        slices = [plan.of_rank(position, rank) for rank in range(world)]
        assert len({len(part) for part in slices}) == 1 and len(slices[0]) >= 2
        np.testing.assert_array_equal(np.concatenate(slices), batch)
        if rest == "drop":
            assert len(batch) == BUCKETS.batch_sizes[plan.buckets[position]] * world


def test_the_same_seed_is_another_plan_in_each_epoch() -> None:
    lengths, source = toy(300, 2)
    options = PlanOptions(BUCKETS, seed=1)
    digests = {make_plan(lengths, source, options, epoch).digest for epoch in range(5)}
    other = make_plan(lengths, source, PlanOptions(BUCKETS, seed=2)).digest
    assert len(digests) == 5 and other not in digests


def test_less_is_padded_than_in_random_batches() -> None:
    lengths, source = toy(2000, 1, seed=4)

    def padded_share(groups: list[np.ndarray[Any, Any]]) -> float:
        padded = sum(len(group) * lengths[group].max() for group in groups)
        return 1 - sum(lengths[group].sum() for group in groups) / padded

    planned = padded_share(batches(make_plan(lengths, source, PlanOptions(BUCKETS))))
    random = padded_share(np.array_split(np.random.default_rng(0).permutation(2000), 500))
    assert planned < 0.8 * random


def test_the_rest_of_a_bucket() -> None:
    lengths = np.asarray([10] * 11 + [100] * 5 + [300])
    source = np.zeros(17, np.int64)

    def sizes(rest: Any, world: int = 1) -> list[tuple[int, int]]:
        plan = make_plan(lengths, source, PlanOptions(BUCKETS, rest=rest, world=world))
        return sorted((int(plan.buckets[i]), len(plan[i])) for i in range(len(plan)))

    assert sizes("keep") == [(0, 3), (0, 8), (1, 4)]
    assert sizes("drop") == [(0, 8), (1, 4)]
    assert sizes("up") == [(0, 8), (1, 4), (1, 4)]
    lengths[-1] = 10
    assert sizes("keep", world=2) == [(0, 12), (1, 4)]
    assert make_plan(lengths, source, PlanOptions(BUCKETS, world=2)).left_out == 1


def test_every_example_is_used_when_the_rest_goes_up() -> None:
    lengths, source = toy(211, 1)
    assert make_plan(lengths, source, PlanOptions(BUCKETS, rest="up")).left_out <= 1


def test_small_sources_are_merged_or_dropped() -> None:
    source = np.asarray([0] * 40 + [1] * 3 + [2] * 3 + [3] * 3)
    lengths = np.full(len(source), 10)
    one = PlanOptions(BucketOptions.fixed(9), merge_below=5)
    merged = make_plan(lengths, source, one)
    mixed = [set(source[batch]) for batch in batches(merged) if not (source[batch] == 0).all()]
    assert mixed == [{1, 2, 3}] and merged.left_out == 0
    kept_apart = make_plan(lengths, source, one, mixable=np.asarray([0, 1, 1, 2]))
    assert sorted(map(sorted, {frozenset(source[batch]) for batch in batches(kept_apart)})) == [[0], [1, 2], [3]]
    dropped = make_plan(lengths, source, PlanOptions(BucketOptions.fixed(9), drop_below=5))
    assert set(source[dropped.rows]) == {0} and dropped.left_out == 9


def test_what_cannot_be_planned_is_refused() -> None:
    with pytest.raises(InputError, match="fill no batch"):
        make_plan(np.asarray([5]), np.asarray([0]), PlanOptions(BUCKETS))
    with pytest.raises(InputError, match="give one of each"):
        make_plan(np.asarray([5, 6]), np.asarray([0]), PlanOptions(BUCKETS))
    with pytest.raises(InputError, match="unknown rest"):
        PlanOptions(rest="wrap")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="world 0"):
        PlanOptions(world=0)
    with pytest.raises(IndexError):
        make_plan(np.full(8, 5), np.zeros(8, np.int64), PlanOptions(BUCKETS))[1]


def test_buckets_begin_at_their_bounds() -> None:
    assert BUCKETS.buckets_of(np.asarray([1, 49, 50, 199, 200, 9999])).tolist() == [0, 0, 1, 1, 2, 2]


def test_the_papers_sizes() -> None:
    tuned = BucketOptions.paper()
    assert tuned.bounds == (0, 500, 1000, 2000, 3000, 4000, 5000, 6000, 7000)
    assert [24 * size for size in tuned.batch_sizes] == [1152, 768, 480, 432, 336, 336, 288, 240, 192]
    first = BucketOptions.paper("unsupervised")
    assert [96 * size for size in first.batch_sizes] == [
        67_200, 54_720, 37_248, 27_648, 21_504, 17_280, 15_072, 12_288, 9_984
    ]  # fmt: skip
    assert BucketOptions.paper(scale=0.05).batch_sizes == (2, 2, 1, 1, 1, 1, 1, 1, 1)


def test_a_budget_of_tokens() -> None:
    options = BucketOptions.token_budget(1000, longest=250, bounds=(0, 50, 200, 300), largest=16)
    assert options.bounds == (0, 50, 200) and options.batch_sizes == (16, 5, 4)
    assert BucketOptions.token_budget(10, longest=100).batch_sizes == (1,)


@pytest.mark.parametrize("error", [MemoryError, torch.OutOfMemoryError, None])
def test_batch_sizes_that_fit_into_memory(error: type[Exception] | None) -> None:
    tried: list[tuple[int, int]] = []

    def measure(size: int, length: int) -> float:
        tried.append((size, length))
        used = 3 * size * length + size * length**2 / 100
        if error is not None and used > 5000:
            raise error("too much")
        return used

    options = fit_batch_sizes(measure, 5000, longest=300, bounds=(0, 50, 200), largest=64)
    expected = [max(size for size in range(1, 65) if 3 * size * n + size * n**2 / 100 <= 5000) for n in (49, 199, 300)]
    assert list(options.batch_sizes) == expected
    assert len(tried) < 40
    with pytest.raises(InputError, match="one query of 300 tokens"):
        fit_batch_sizes(measure, 100, longest=300)


@pytest.mark.parametrize(
    ("bounds", "sizes"), [((1, 5), (1, 1)), ((0, 5, 5), (1, 1, 1)), ((), ()), ((0, 5), (1,)), ((0,), (0,))]
)
def test_bad_buckets_are_refused(bounds: tuple[int, ...], sizes: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="bucket"):
        BucketOptions(bounds, sizes)


def test_bad_presets_are_refused() -> None:
    with pytest.raises(InputError, match="unknown stage"):
        BucketOptions.paper("third")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="scale"):
        BucketOptions.paper(scale=0)
    with pytest.raises(InputError, match="budget of 0"):
        BucketOptions.token_budget(0, 5)
