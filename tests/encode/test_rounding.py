"""Rounded weights keep within 16 bits, stay near, and make up for each other's errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec.encode.rounding import PAIR_TOP, TOP, Compensation, round_weight, weight_steps
from trivec.types import FloatArray


def moments(width: int, seed: int, alike: float = 0.0) -> FloatArray:
    """Those of inputs that share a part."""
    random = np.random.default_rng(seed)
    rows = random.normal(size=(200, width)) + alike * random.normal(size=(200, 1))
    return np.asarray(rows.T @ rows, np.float32)


@given(st.integers(1, 70), st.integers(1, 5), st.floats(0, 5), st.integers(0, 2**32 - 1))
def test_no_two_neighbours_overflow(width: int, outputs: int, alike: float, seed: int) -> None:
    weight = np.random.default_rng(seed).standard_t(2, size=(outputs, width)).astype(np.float32)
    levels, steps = round_weight(weight, Compensation.of(moments(width, seed, alike)))
    assert levels.shape == weight.shape
    assert np.abs(levels.astype(int)).max() <= TOP
    pairs = np.pad(levels.astype(int), ((0, 0), (0, width % 2))).reshape(outputs, -1, 2)
    assert np.maximum(pairs, 0).sum(axis=2).max() <= PAIR_TOP
    assert np.minimum(pairs, 0).sum(axis=2).min() >= -PAIR_TOP
    np.testing.assert_array_equal(steps, weight_steps(weight))


def test_steps_by_hand() -> None:
    weight = np.array([[127, 0, 1, 1], [64, 64, 0, -90], [100, -100, 0, 0], [60, 68, 3, 0], [128, 128, 0, 0]])
    np.testing.assert_allclose(weight_steps(weight.astype(np.float32)), [1, 1, 100 / 127, 1, 2])


def test_inputs_that_have_nothing_in_common_are_rounded_to_the_nearest() -> None:
    weight = np.random.default_rng(3).normal(size=(7, 33)).astype(np.float32)
    levels, steps = round_weight(weight, Compensation.of(np.eye(33, dtype=np.float32)))
    np.testing.assert_array_equal(levels, np.rint(weight / steps[:, None]))


def test_inputs_that_go_together_make_up_for_each_others_errors() -> None:
    weight = np.random.default_rng(4).normal(size=(50, 130)).astype(np.float32)
    together = moments(130, 5, alike=2.0)
    errors = []
    for assumed in (together, np.eye(130, dtype=np.float32)):
        levels, steps = round_weight(weight, Compensation.of(assumed))
        left = weight - levels * steps[:, None]
        errors.append(float(np.einsum("nk,kl,nl->", left, together, left)))
    assert errors[0] < 0.7 * errors[1]


def test_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    weight = np.random.default_rng(6).normal(size=(5, 150)).astype(np.float32)
    compensation = Compensation.of(moments(150, 7, alike=1.0))
    levels = round_weight(weight, compensation)[0]
    monkeypatch.setattr("trivec.encode.rounding._BLOCK", 1000)
    assert np.abs(round_weight(weight, compensation)[0].astype(int) - levels).max() <= 1


def test_a_weight_of_zeros_stays_zero() -> None:
    levels, steps = round_weight(np.zeros((3, 4), np.float32), Compensation.of(np.zeros((4, 4), np.float32)))
    assert not levels.any() and np.isfinite(steps).all()
