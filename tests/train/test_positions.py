"""Longer tables of positions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoModel

from trivec.encode.checkpoints import Checkpoint, read_checkpoint
from trivec.errors import InputError
from trivec.train.model import TrainableEncoder
from trivec.train.positions import extend_positions

import tiny_models


@pytest.fixture(scope="module", params=["bert", "m3"])
def checkpoint(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    write = tiny_models.write_tiny_bert if request.param == "bert" else tiny_models.write_tiny_m3
    return read_checkpoint(write(tmp_path_factory.mktemp("positions") / request.param))


def load(checkpoint: Checkpoint) -> Any:
    return AutoModel.from_pretrained(str(checkpoint.folder), dtype=torch.float32)


def table(backbone: Any) -> np.ndarray[Any, Any]:
    return backbone.embeddings.position_embeddings.weight.detach().numpy()


def first_of(checkpoint: Checkpoint) -> int:
    return 0 if checkpoint.config["model_type"] == "bert" else 2


def test_tiling_repeats_the_learnt_rows(checkpoint: Checkpoint) -> None:
    backbone, first = load(checkpoint), first_of(checkpoint)
    old = table(backbone).copy()
    assert extend_positions(backbone, checkpoint, 1200, "tile")
    new = table(backbone)
    assert new.shape == (first + 1200, 32)
    np.testing.assert_array_equal(new[: first + 512], old)
    np.testing.assert_array_equal(new[first + 512 : first + 1024], old[first:])
    np.testing.assert_array_equal(new[first + 1024 :], old[first : first + 176])


def test_interpolation_stretches_the_learnt_rows(checkpoint: Checkpoint) -> None:
    backbone, first = load(checkpoint), first_of(checkpoint)
    old = table(backbone).copy()
    assert extend_positions(backbone, checkpoint, 1023, "interpolate")
    new = table(backbone)
    np.testing.assert_array_equal(new[:first], old[:first])
    np.testing.assert_allclose(new[first::2], old[first:], atol=1e-6)
    np.testing.assert_allclose(new[first + 1 :: 2], (old[first:-1] + old[first + 1 :]) / 2, atol=1e-6)


def test_the_model_then_takes_long_texts_and_says_so(checkpoint: Checkpoint) -> None:
    ids = torch.full((2, 2048), 7)
    mask = torch.ones_like(ids)
    mask[1, 2000:] = 0
    dense = []
    for packed in (True, False):
        model = TrainableEncoder.from_checkpoint(checkpoint, ("dense",), max_length=2048).eval()
        model._is_packed = None if packed else False
        dense.append(model(ids, mask).dense)
    torch.testing.assert_close(dense[0], dense[1], atol=1e-5, rtol=0)
    rows = first_of(checkpoint) + 2048
    assert model.config.max_position_embeddings == rows
    assert model.checkpoint.max_length == 2048 and model.checkpoint.config["max_position_embeddings"] == rows
    assert model.backbone.embeddings.position_embeddings.weight.requires_grad
    assert model.positions_extended


def test_short_texts_are_as_before_after_tiling(checkpoint: Checkpoint) -> None:
    ids, mask = torch.full((1, 300), 9), torch.ones(1, 300).long()
    before = TrainableEncoder.from_checkpoint(checkpoint, ("dense",)).eval()(ids, mask).dense
    after = TrainableEncoder.from_checkpoint(checkpoint, ("dense",), max_length=2000).eval()(ids, mask).dense
    assert torch.equal(before, after)


def test_a_saved_backbone_loads_as_stock(checkpoint: Checkpoint, tmp_path: Path) -> None:
    backbone = load(checkpoint)
    extend_positions(backbone, checkpoint, 800)
    backbone.save_pretrained(tmp_path)
    np.testing.assert_array_equal(table(AutoModel.from_pretrained(tmp_path)), table(backbone))


def test_a_long_enough_table_stays(checkpoint: Checkpoint) -> None:
    backbone = load(checkpoint)
    assert not extend_positions(backbone, checkpoint, 512)
    assert backbone.config.max_position_embeddings == first_of(checkpoint) + 512
    assert not TrainableEncoder.from_checkpoint(checkpoint, ("dense",), max_length=400).positions_extended


def test_what_cannot_be_extended_is_refused(checkpoint: Checkpoint) -> None:
    with pytest.raises(InputError, match="no table of positions"):
        extend_positions(torch.nn.Linear(1, 1), checkpoint, 1024)
    with pytest.raises(InputError, match="unknown extension 'rope'"):
        extend_positions(load(checkpoint), checkpoint, 1024, "rope")  # type: ignore[arg-type]
