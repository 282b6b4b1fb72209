from __future__ import annotations

import numpy as np
import pytest

from trivec.encode.training_free import orthonormal_rows, training_free_head
from trivec.errors import InputError


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (3, 4), (128, 384), (384, 384)])
@pytest.mark.parametrize("seed", [0, 7])
def test_rows_are_orthonormal(rows: int, columns: int, seed: int) -> None:
    projection = orthonormal_rows(rows, columns, seed)
    assert projection.shape == (rows, columns)
    assert projection.dtype == np.float32
    np.testing.assert_allclose(projection @ projection.T, np.eye(rows), atol=1e-5)


def test_the_values_are_the_same_on_every_machine() -> None:
    """Vectors in a library stay comparable only while these numbers stay."""
    small = [[0.579969, 0.131560, 0.321780, 0.736740], [0.597027, -0.560797, 0.288466, -0.495835]]
    np.testing.assert_allclose(orthonormal_rows(2, 4, 0), small, atol=1e-5)
    projection = orthonormal_rows(128, 384, 0)
    np.testing.assert_allclose(projection[0, :4], [0.091269, 0.020703, 0.050638, 0.115940], atol=1e-5)
    np.testing.assert_allclose(projection[-1, :4], [0.004383, -0.016620, -0.070751, -0.105631], atol=1e-5)


def test_the_first_row_is_the_first_gaussian_row_at_unit_length() -> None:
    gaussian = np.random.RandomState(5).standard_normal(9)
    np.testing.assert_allclose(orthonormal_rows(3, 9, 5)[0], gaussian / np.linalg.norm(gaussian), atol=1e-6)


def test_seeds_differ() -> None:
    assert np.abs(orthonormal_rows(4, 8, 0) - orthonormal_rows(4, 8, 1)).max() > 0.1


def test_dot_products_are_kept_in_expectation() -> None:
    """Over many seeds, the projected dot product times d / c comes close to the dot product."""
    a, b = np.random.RandomState(1).standard_normal((2, 24))
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    estimates = [24 / 12 * (w @ a) @ (w @ b) for w in (orthonormal_rows(12, 24, seed) for seed in range(400))]
    assert np.mean(estimates) == pytest.approx(a @ b, abs=0.03)


def test_a_head_of_the_full_width_uses_the_raw_states() -> None:
    for head in (training_free_head(32, None), training_free_head(32, 32)):
        assert head.linear is None
        assert head.origin == "training-free, raw states"


def test_a_narrower_head_projects() -> None:
    head = training_free_head(32, 8, seed=3)
    assert head.linear is not None
    assert head.linear.bias is None
    np.testing.assert_array_equal(head.linear.weight, orthonormal_rows(8, 32, 3))
    assert head.origin == "training-free, orthogonal projection, seed 3"


@pytest.mark.parametrize("width", [0, -4, 33])
def test_a_width_out_of_range_is_refused(width: int) -> None:
    with pytest.raises(InputError, match=f"width {width} is not between 1 and the model's 32"):
        training_free_head(32, width)
