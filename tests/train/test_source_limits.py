"""A bound on what one source gives to an epoch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trivec.errors import InputError
from trivec.train.buckets import BucketOptions
from trivec.train.option_groups import BatchFields
from trivec.train.plan import PlanOptions, make_plan
from trivec.train.source_limits import drawn_rows

BUCKETS = BucketOptions((0, 8, 16), (8, 4, 2))


@settings(max_examples=60, deadline=None)
@given(
    sizes=st.lists(st.integers(1, 120), min_size=1, max_size=4),
    most=st.integers(0, 80),
    seed=st.integers(0, 5),
)
def test_every_source_gives_its_share_in_proportion(sizes: list[int], most: int, seed: int) -> None:
    sources = np.repeat(np.arange(len(sizes)), sizes)
    buckets = np.random.default_rng(seed).integers(0, 3, len(sources))
    rows = drawn_rows(sources, buckets, most, np.random.default_rng(seed))
    assert (np.diff(rows) > 0).all()
    for source, size in enumerate(sizes):
        own = rows[sources[rows] == source]
        assert len(own) == (min(size, most) if most else size)
        for bucket in range(3):
            there = int(((sources == source) & (buckets == bucket)).sum())
            assert abs(int((buckets[own] == bucket).sum()) - there * len(own) / size) < 1


def test_epochs_draw_others_and_have_equally_many_batches() -> None:
    rng = np.random.default_rng(1)
    lengths, sources = rng.integers(1, 33, 500), np.repeat([0, 1], [450, 50])
    plans = [make_plan(lengths, sources, PlanOptions(BUCKETS, source_limit=100), epoch) for epoch in range(6)]
    assert len({len(plan) for plan in plans}) == 1
    assert len({tuple(sorted(plan.rows)) for plan in plans}) == 6
    for plan in plans:
        assert 90 < (sources[plan.rows] == 0).sum() <= 100
        assert len(np.unique(plan.rows)) == len(plan.rows) == 150 - plan.left_out
        for position in range(len(plan)):
            assert (sources[plan[position]] == plan.sources[position]).all()


def test_a_negative_limit_is_refused() -> None:
    with pytest.raises(InputError, match="source_limit must be at least 0, got -1"):
        BatchFields(source_limit=-1)
