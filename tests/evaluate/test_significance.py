"""Tests of significance against all permutations, and on data where the answer is known."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from trivec.errors import InputError
from trivec.evaluate.significance import bootstrap_interval, difference, holm, randomisation_p


def test_the_p_value_is_near_that_of_all_sign_changes() -> None:
    differences = np.array([0.3, -0.1, 0.2, 0.25, 0.05, -0.02, 0.4, 0.1])
    seen = abs(differences.sum()) - 1e-12
    signs = itertools.product([-1, 1], repeat=len(differences))
    exact = np.mean([abs(np.dot(row, differences)) >= seen for row in signs])
    assert randomisation_p(differences) == pytest.approx(exact, abs=0.01)


def test_queries_without_a_difference_change_nothing() -> None:
    differences = np.array([0.3, -0.1, 0.2])
    with_zeros = np.concatenate([differences, np.zeros(50)])
    assert randomisation_p(with_zeros) == randomisation_p(differences)
    assert randomisation_p(np.zeros(4)) == 1.0


def test_a_clear_difference_is_one() -> None:
    rng = np.random.default_rng(1)
    first = rng.random(300)
    found = difference(first, first + 0.05 + 0.1 * rng.standard_normal(300))
    assert found.p < 0.001
    assert found.interval[0] > 0.03
    assert found.interval[0] < found.mean < found.interval[1]
    opposite = difference(first, first - 0.05)
    assert (opposite.mean, opposite.interval[1]) == (pytest.approx(-0.05), pytest.approx(-0.05))


def test_chance_is_found_as_often_as_the_level_says() -> None:
    rng = np.random.default_rng(2)
    rejected = [randomisation_p(rng.standard_normal(30), seed, samples=400) <= 0.05 for seed in range(400)]
    assert 0.02 < np.mean(rejected) < 0.09


def test_the_interval_is_that_of_the_mean() -> None:
    values = np.random.default_rng(3).standard_normal(400)
    error = 1.96 * values.std() / 20
    assert bootstrap_interval(values) == pytest.approx((values.mean() - error, values.mean() + error), abs=0.01)
    assert bootstrap_interval(values) == bootstrap_interval(values)
    assert bootstrap_interval(np.array([0.5])) == (0.5, 0.5)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    assert holm([]) == []


def test_other_queries_are_refused() -> None:
    with pytest.raises(InputError, match="2 and 3 values"):
        difference(np.zeros(2), np.zeros(3))
    with pytest.raises(InputError, match="0 and 0 values"):
        difference(np.zeros(0), np.zeros(0))
