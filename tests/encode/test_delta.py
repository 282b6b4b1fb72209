from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trivec.encode.delta import Delta
from trivec.errors import CorruptModelError
from trivec.tensorfile import write_tensors

DOWN = np.array([[1, 0, 2]], np.float32)
UP = np.array([[3], [-1]], np.float32)
WEIGHT = np.array([[0, 1, 0], [5, 0, 0]], np.float32)


def write(path: Path, tensors: dict[str, np.ndarray], **metadata: str) -> Delta:
    write_tensors(path / "delta.safetensors", tensors, metadata)
    return Delta(path / "delta.safetensors")


def test_merge_by_hand(tmp_path: Path) -> None:
    """W + scale * B A, with B A = [[3, 0, 6], [-1, 0, -2]]."""
    delta = write(tmp_path, {"w.weight.lora_a": DOWN, "w.weight.lora_b": UP}, scale="0.5")
    merged = dict(delta.merge([("w.weight", WEIGHT), ("w.bias", np.ones(2, np.float32))]))
    assert merged["w.weight"].tolist() == [[1.5, 1, 3], [4.5, 0, -1]]
    assert merged["w.weight"].dtype == np.float32
    assert merged["w.bias"].tolist() == [1, 1]
    assert list(merged) == ["w.weight", "w.bias"]


def test_the_scale_is_one_unless_said(tmp_path: Path) -> None:
    delta = write(tmp_path, {"w.lora_a": DOWN, "w.lora_b": UP})
    assert dict(delta.merge([("w", WEIGHT)]))["w"].tolist() == [[3, 1, 6], [4, 0, -2]]


def test_the_weights_given_are_left_as_they_are(tmp_path: Path) -> None:
    weight = WEIGHT.copy()
    list(write(tmp_path, {"w.lora_a": DOWN, "w.lora_b": UP}).merge([("w", weight)]))
    np.testing.assert_array_equal(weight, WEIGHT)


def test_ranks_above_one(tmp_path: Path) -> None:
    random = np.random.RandomState(0)
    down, up = random.standard_normal((4, 3)), random.standard_normal((2, 4))
    delta = write(tmp_path, {"w.lora_a": down.astype(np.float16), "w.lora_b": up.astype(np.float32)})
    np.testing.assert_allclose(dict(delta.merge([("w", WEIGHT)]))["w"], WEIGHT + up @ down, atol=1e-2)


def test_heads_are_set_apart(tmp_path: Path) -> None:
    heads = {
        "sparse.weight": np.ones((1, 3), np.float32),
        "sparse.bias": np.zeros(1, np.float32),
        "multi.weight": np.ones((2, 3), np.float32),
        "multi.bias": np.zeros(2, np.float32),
    }
    delta = write(tmp_path, {**heads, "w.lora_a": DOWN, "w.lora_b": UP})
    assert delta.heads.keys() == heads.keys()
    assert dict(delta.merge([("w", WEIGHT)])).keys() == {"w"}


def test_heads_alone_change_no_weight(tmp_path: Path) -> None:
    delta = write(tmp_path, {"multi.weight": np.ones((2, 3), np.float32)})
    assert dict(delta.merge([("w", WEIGHT)]))["w"] is WEIGHT


@pytest.mark.parametrize("half", ["lora_a", "lora_b"])
def test_half_a_pair_is_refused(tmp_path: Path, half: str) -> None:
    with pytest.raises(CorruptModelError, match=r"half a low-rank pair for \['w'\]"):
        write(tmp_path, {f"w.{half}": DOWN})


def test_a_weight_that_the_backbone_lacks_is_refused(tmp_path: Path) -> None:
    delta = write(tmp_path, {"other.lora_a": DOWN, "other.lora_b": UP})
    with pytest.raises(CorruptModelError, match=r"updates weights that the backbone lacks: \['other'\]"):
        list(delta.merge([("w", WEIGHT)]))


@pytest.mark.parametrize(
    ("down", "up"),
    [(DOWN, np.ones((2, 2), np.float32)), (DOWN[:, :2], UP), (DOWN, UP[:1]), (DOWN[:, :1], UP[:1])],
    ids=["ranks differ", "too narrow", "too low", "one by one"],
)
def test_an_update_of_another_shape_is_refused(tmp_path: Path, down: np.ndarray, up: np.ndarray) -> None:
    """A row or a number must not be spread over the whole weight."""
    delta = write(tmp_path, {"w.lora_a": down, "w.lora_b": up})
    with pytest.raises(CorruptModelError, match="w"):
        list(delta.merge([("w", WEIGHT)]))


def test_a_tensor_that_nothing_uses_is_refused(tmp_path: Path) -> None:
    """Such as a low-rank pair under the names of another package: training must not vanish silently."""
    with pytest.raises(CorruptModelError, match="lora_A"):
        write(tmp_path, {"w.lora_A.weight": DOWN, "w.lora_B.weight": UP})


def test_a_scale_that_is_no_number_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CorruptModelError, match="scale"):
        write(tmp_path, {"w.lora_a": DOWN, "w.lora_b": UP}, scale="large")


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    write(tmp_path, {"w.lora_a": DOWN, "w.lora_b": UP})
    path = tmp_path / "delta.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(CorruptModelError, match="not a whole safetensors file"):
        Delta(path)
