"""The best of scored rows, with ties, and what is known of the others."""

from __future__ import annotations

import numpy as np
import pytest

from trivec.index.native.found import Known, best_of


def test_the_best_by_hand() -> None:
    known = Known(np.array([0.5, 2.0, 0.5, -1.0, 0.0], np.float32), np.array([3, 4, 8, 9, 11]))
    found = best_of(known, 2)
    assert found.rows.tolist() == [4, 3, 8]  # row 8 equals the last of the best two
    assert found.scores.tolist() == [2.0, 0.5, 0.5]
    assert found.known is known
    assert known.of(np.array([11, 3])).tolist() == [0.0, 0.5]
    assert best_of(known, 9, least=0).rows.tolist() == [4, 3, 8]
    assert best_of(Known(known.scores), 1).rows.tolist() == [1]
    assert Known(known.scores).of(np.array([3])).tolist() == [-1.0]


@pytest.mark.parametrize("least", [-np.inf, 0.0])
def test_as_sorting_says(least: float) -> None:
    random = np.random.default_rng(0)
    for n in (1, 2, 50):
        scores = random.integers(-2, 3, n).astype(np.float32)
        for k in (1, 2, 10, 60):
            order = [row for row in np.argsort(-scores, kind="stable").tolist() if scores[row] > least]
            expected = order[:k] + [row for row in order[k:] if scores[row] == scores[order[k - 1]]]
            found = best_of(Known(scores), k, least)
            assert found.rows.tolist() == expected
            assert found.scores.tolist() == scores[expected].tolist()
