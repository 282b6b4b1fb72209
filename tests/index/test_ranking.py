"""The order of results."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec.errors import InputError
from trivec.index.ranking import best_rows, rank, rank_positive

names = st.lists(st.text("ab#é", max_size=3), unique=True, max_size=30)


@given(names, st.data(), st.integers(1, 40))
def test_best_first_and_ties_by_name(ids: list[str], data: st.DataObject, k: int) -> None:
    values = data.draw(st.lists(st.sampled_from([-1.0, -0.0, 0.0, 0.5, 2.0]), min_size=len(ids), max_size=len(ids)))
    scores = np.asarray(values, np.float32)
    expected = sorted(range(len(ids)), key=lambda row: (-scores[row], ids[row]))
    assert best_rows(ids.__getitem__, scores, k).tolist() == expected[:k]
    assert rank(ids, scores, k).ids == [ids[row] for row in expected[:k]]
    assert rank_positive(ids, scores, k).ids == [ids[row] for row in expected if scores[row] > 0][:k]


def test_no_results_cannot_be_asked_for() -> None:
    with pytest.raises(InputError, match="k must be at least 1, got 0"):
        rank(["a"], np.zeros(1, np.float32), 0)
