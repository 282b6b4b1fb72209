"""Calibration: against direct calculation, and against what the data was drawn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from trivec.errors import CorruptModelError, InputError
from trivec.rerank.calibration import (
    Calibration,
    brier_scores,
    calibration_error,
    fit,
    log_losses,
    read_calibration,
)
from trivec.types import FloatArray


def drawn(slope: float, intercept: float, count: int = 20_000) -> tuple[FloatArray, FloatArray]:
    """Logits, and labels that are right as often as the line says."""
    random = np.random.RandomState(0)
    logits = 4 * random.standard_normal(count) - 2
    return logits, random.random_sample(count) < expit(slope * logits + intercept)


def test_platt_finds_the_line_that_labels_were_drawn_by() -> None:
    found = fit(*drawn(0.7, 1.5))
    assert found.at[0] == pytest.approx(0.7, abs=0.03)
    assert found.values[0] == pytest.approx(1.5, abs=0.06)


def test_platt_is_the_minimum_of_its_loss() -> None:
    logits, labels = drawn(0.5, -1.0, 300)
    found = fit(logits, labels)
    positives, negatives = labels.sum(), (~labels).sum()
    targets = np.where(labels, (positives + 1) / (positives + 2), 1 / (negatives + 2))

    def loss(slope: float, intercept: float) -> float:
        told = expit(slope * logits + intercept)
        return float(-(targets * np.log(told) + (1 - targets) * np.log(1 - told)).mean())

    best = loss(found.at[0], found.values[0])
    for step in (1e-3, -1e-3):
        assert best < loss(found.at[0] + step, found.values[0])
        assert best < loss(found.at[0], found.values[0] + step)


def test_a_perfect_order_has_a_finite_slope() -> None:
    logits = np.arange(-20.0, 20.0)
    found = fit(logits, logits >= 0)
    assert 0 < found.at[0] < 100


def test_isotonic_by_hand() -> None:
    logits = np.repeat([1.0, 2.0, 3.0, 4.0], 200)
    labels = np.concatenate([np.arange(200) < right for right in (20, 100, 60, 180)])
    found = fit(logits, labels, "isotonic")
    # 2 and 3 are in the wrong order: they share (100 + 60) / 400, in their middle
    assert found.at == (1.0, 2.5, 4.0)
    assert found.values == pytest.approx((0.1, 0.4, 0.9))
    np.testing.assert_allclose(found(np.array([-9, 1, 1.75, 2.5, 3.25, 99])), [0.1, 0.1, 0.25, 0.4, 0.65, 0.9])


@pytest.mark.parametrize("method", ["platt", "isotonic"])
def test_probabilities_rise_and_mean_what_they_say(method: str) -> None:
    logits, labels = drawn(0.3, 2.0)
    found = fit(logits[::2], labels[::2], method)  # type: ignore[arg-type]
    held_out, truth = logits[1::2], labels[1::2]
    told = found(held_out)
    assert (np.diff(found(np.sort(held_out))) >= 0).all()
    assert ((told >= 0) & (told <= 1)).all()
    assert calibration_error(told, truth) < 0.02 < 0.1 < calibration_error(expit(held_out).astype(np.float32), truth)


def test_calibration_error_by_hand() -> None:
    told = np.repeat([0.2, 0.8], 50).astype(np.float32)
    truth = [True] * 20 + [False] * 30 + [True] * 50
    # tenths of ten pairs, sorted: the first two of 0.2 are all right, three are all wrong; those of 0.8 are right
    assert calibration_error(told, truth) == pytest.approx((2 * 0.8 + 3 * 0.2 + 5 * 0.2) / 10)


@given(
    seed=st.integers(0, 99), scale=st.floats(0.01, 100), shift=st.floats(-50, 50), digits=st.integers(0, 6),
    method=st.sampled_from(["platt", "isotonic"]),
)  # fmt: skip
def test_probabilities_never_fall(seed: int, scale: float, shift: float, digits: int, method: str) -> None:
    random = np.random.default_rng(seed)
    margins = random.standard_normal(1200).round(digits)  # with few digits, many pairs share a logit
    labels = random.random(1200) < expit(margins)
    logits = scale * margins + shift
    found = fit(logits, labels, method)  # type: ignore[arg-type]
    told = found(np.linspace(logits.min() - scale, logits.max() + scale, 99))
    assert (np.diff(told) >= 0).all()
    assert told.min() >= 0 and told.max() <= 1 and told[-1] > told[0]


def test_log_loss_and_brier_score_by_hand() -> None:
    told, truth = np.array([0.8, 0.25, 0.0, 1.0], np.float32), [True, False, True, True]
    np.testing.assert_allclose(log_losses(told, truth), [-np.log(0.8), -np.log(0.75), -np.log(1e-6), 1e-6], rtol=1e-5)
    np.testing.assert_allclose(brier_scores(told, truth), [0.04, 0.0625, 1, 0], rtol=1e-6)


@pytest.mark.parametrize(
    ("scores", "labels", "method", "message"),
    [
        (np.arange(39.0), [True] * 20 + [False] * 19, "platt", "needs 20 right and as many wrong pairs"),
        (np.arange(300.0), [True] * 199 + [False] * 101, "isotonic", "and has 199 and 101"),
        (-np.arange(60.0), [False] * 30 + [True] * 30, "platt", "higher scores are no better"),
        (-np.arange(500.0), [False] * 250 + [True] * 250, "isotonic", "higher scores are no better"),
    ],
)
def test_what_cannot_be_fitted(scores: FloatArray, labels: list[bool], method: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        fit(scores, labels, method)  # type: ignore[arg-type]


def test_a_file_of_one(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    for one in (Calibration("platt", (0.5,), (-1.0,)), Calibration("isotonic", (0.0, 1.0), (0.1, 0.9))):
        for evidence in (None, {"queries": 40}):
            one.write(path, evidence)
            assert read_calibration(path) == one
    for content in ('{"method": "magic", "at": [1], "values": [1]}', "[]", '{"method": "platt"}',
                    '{"method": "isotonic", "at": [2, 1], "values": [0, 1]}'):  # fmt: skip
        path.write_text(content)
        with pytest.raises(CorruptModelError, match="holds no calibration"):
            read_calibration(path)
