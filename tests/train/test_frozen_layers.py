"""Frozen layers stay as they are, and what they gave is remembered without making a difference."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import Tensor

from trivec.encode.checkpoints import Checkpoint, read_checkpoint
from trivec.errors import InputError
from trivec.train.lora import LoraOptions, lora_layers
from trivec.train.model import TrainableEncoder
from trivec.train.remembered_states import StateFile

import tiny_models

LAYERS = 2
IDS = torch.tensor([[0, 5, 6, 7, 8, 2], [0, 9, 2, 1, 1, 1], [0, 5, 6, 7, 8, 2], [0, 10, 11, 2, 1, 1]])


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    folder = tmp_path_factory.mktemp("models") / "m3"
    tiny_models.write_tiny_m3(folder)
    return read_checkpoint(folder)


def make(checkpoint: Checkpoint, **options: object) -> TrainableEncoder:
    return TrainableEncoder.from_checkpoint(checkpoint, multi_width=16, **options)  # type: ignore[arg-type]


def outputs(model: TrainableEncoder, ids: Tensor = IDS) -> list[Tensor]:
    torch.manual_seed(0)
    vectors = model(ids, (ids != 1).long())
    return [vectors.dense, vectors.weights, vectors.multi]


def gradients(model: TrainableEncoder) -> dict[str, Tensor]:
    model.zero_grad()
    sum(output.square().sum() for output in [outputs(model)[1], outputs(model)[2][..., :3]]).backward()  # type: ignore[union-attr]
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def test_what_lies_below_is_frozen(checkpoint: Checkpoint) -> None:
    model = make(checkpoint, freeze_layers=1)
    trained = {name for name, p in model.backbone.named_parameters() if p.requires_grad}
    assert trained and all(".layer.1." in f".{name}" or "pooler" in name for name in trained)
    assert not model.backbone.embeddings.dropout.training
    assert not any(module.training for layer in model.backbone.encoder.layer[:1] for module in layer.modules())
    assert all(module.training for module in model.backbone.encoder.layer[1].modules())
    assert not any(module.training for module in model.eval().modules())


def test_low_rank_updates_leave_frozen_layers_alone(checkpoint: Checkpoint) -> None:
    model = make(checkpoint, freeze_layers=1, lora=LoraOptions(2))
    names = [name for name, _ in lora_layers(model.backbone)]
    assert names and not any(".layer.0." in f".{name}" for name in names)
    assert {name.split(".")[2] for name in names} == {"1"}


@pytest.mark.parametrize("options", [{"freeze_layers": 1}, {"freeze_layers": LAYERS}, {"freeze_encoder": True}])
def test_remembered_states_give_the_same_vectors_and_gradients(
    checkpoint: Checkpoint, tmp_path: Path, options: dict[str, object]
) -> None:
    plain = make(checkpoint, dropout=0.0, **options)
    remembering = make(checkpoint, dropout=0.0, remember=tmp_path / "states", **options)
    for _ in range(2):  # new texts, then remembered ones
        for own, expected in zip(outputs(remembering), outputs(plain), strict=True):
            torch.testing.assert_close(own, expected, atol=2e-3, rtol=2e-3)
    found, wanted = gradients(remembering), gradients(plain)
    assert found.keys() == wanted.keys()
    for name in wanted:
        torch.testing.assert_close(found[name], wanted[name], atol=1e-2, rtol=1e-2)
    assert remembering.state_dict().keys() == plain.state_dict().keys()


def test_remembering_changes_no_bit(checkpoint: Checkpoint, tmp_path: Path) -> None:
    first = outputs(make(checkpoint, freeze_layers=1, remember=tmp_path, dropout=0.0))
    again = make(checkpoint, freeze_layers=1, remember=tmp_path, dropout=0.0)
    for layer in again.backbone.encoder.layer[:1]:
        layer.attention = None  # what is remembered is not computed again
    for own, expected in zip(outputs(again), first, strict=True):
        assert torch.equal(own, expected)
    with pytest.raises((AttributeError, TypeError)):
        outputs(again, torch.tensor([[0, 12, 13, 2]]))


def test_a_torn_file_is_read_as_far_as_it_is_whole(tmp_path: Path) -> None:
    states = [torch.full((3, 4), 1.0).half(), torch.full((2, 4), 2.0).half()]
    StateFile(tmp_path, 4).put([b"a" * 16, b"b" * 16], states)
    with (tmp_path / "states.index").open("ab") as file:
        file.write(b"half a record")
    with (tmp_path / "states.bin").open("ab") as file:
        file.write(b"odd")
    file_again = StateFile(tmp_path, 4)
    file_again.put([b"c" * 16], states[:1])
    last = StateFile(tmp_path, 4)
    assert len(last) == 3
    assert torch.equal(last.get(b"b" * 16), states[1])
    assert torch.equal(last.get(b"c" * 16), states[0])
    os.truncate(tmp_path / "states.bin", 3 * 8)
    assert len(StateFile(tmp_path, 4)) == 1
    with pytest.raises(InputError, match="changed while it was in use"):
        last.get(b"c" * 16)


def test_two_processes_may_add_to_one_file(tmp_path: Path) -> None:
    one, other = StateFile(tmp_path, 4), StateFile(tmp_path, 4)
    one.put([b"a" * 16], [torch.ones(3, 4).half()])
    other.put([b"b" * 16], [torch.zeros(2, 4).half()])
    both = StateFile(tmp_path, 4)
    assert torch.equal(both.get(b"a" * 16), torch.ones(3, 4).half())
    assert torch.equal(both.get(b"b" * 16), torch.zeros(2, 4).half())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"freeze_layers": LAYERS + 1}, "the backbone has 2 layers"),
        ({"freeze_layers": -1}, "give 0 to 2"),
        ({"remember": Path("states")}, "nothing to keep"),
    ],
)
def test_bad_numbers_are_refused(checkpoint: Checkpoint, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make(checkpoint, **options)


def test_remembering_needs_packed_texts(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trivec.train.model.pack_attention", lambda *_: False)
    with pytest.raises(InputError, match="on CPUs alone"):
        outputs(make(checkpoint, freeze_layers=1, remember=tmp_path))
