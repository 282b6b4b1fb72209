"""Simple goes first, and no query takes part in choosing its own way."""

from __future__ import annotations

import numpy as np

from trivec.evaluate.choosing import FOLDS, chosen_by_others, folds_of, simplest
from trivec.evaluate.judged_sets import JudgedQuery


def test_the_simplest_of_the_good_ways_is_chosen() -> None:
    rng = np.random.default_rng(0)
    base = rng.random(200)
    noise = 0.1 * rng.standard_normal(200)
    assert simplest(np.stack([base, base + noise - noise.mean() - 0.001, base - 0.2]), [2, 1, 1]) == 1
    assert simplest(np.stack([base, base - 0.05, base - 0.2]), [2, 1, 1]) == 0


def test_of_equally_simple_ways_the_better_is_chosen() -> None:
    assert simplest(np.array([[0.5, 0.7], [0.6, 0.7], [0.4, 0.9]]), [1, 1, 1]) == 2


def test_a_query_does_not_choose_for_itself() -> None:
    rng = np.random.default_rng(1)
    values, folds = rng.random((4, 100)), np.arange(100) % FOLDS
    chosen = chosen_by_others(values, [0, 1, 1, 1], folds)
    for fold in range(FOLDS):
        other = values.copy()
        other[:, folds == fold] = rng.random((4, 20))
        again = chosen_by_others(other, [0, 1, 1, 1], folds)
        assert (again[folds == fold] == chosen[folds == fold]).all()
        assert set(chosen[folds == fold].tolist()) == {simplest(values[:, folds != fold], [0, 1, 1, 1])}


def test_folds_are_the_same_each_time_and_of_like_size() -> None:
    queries = [JudgedQuery(f"q{number}", "x") for number in range(500)]
    folds = folds_of(queries, 0)
    assert (folds == folds_of(queries[::-1], 0)[::-1]).all()
    assert (folds != folds_of(queries, 1)).any()
    assert np.bincount(folds).min() > 70
