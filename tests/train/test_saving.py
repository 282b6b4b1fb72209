"""A saved model gives the vectors that the model in training gave, wherever it is loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import trivec
from trivec.encode.checkpoints import read_checkpoint
from trivec.encode.checkpoints.checkpoint import Pooling
from trivec.encode.delta import Delta
from trivec.tensorfile import memory_map
from trivec.train.building import find_model
from trivec.train.live_encoder import LiveRuntime, live_encoder
from trivec.train.lora import LoraOptions
from trivec.train.model import TrainableEncoder
from trivec.train.objectives import M3
from trivec.train.options import TrainOptions
from trivec.train.saving import save_model
from trivec.train.split_batch import SplitOptions
from trivec.train.step_loss import StepLoss

TEXTS = ["the capital of the country", "water", "Wo ist der Fluss?", ""]
HEADS = ("dense", "sparse", "multi")


def trained(folder: Path, **options: Any) -> TrainableEncoder:
    """A model whose trained weights were moved a little."""
    encoder = TrainableEncoder.from_checkpoint(read_checkpoint(folder), **options)
    drawn = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in encoder.parameters():
            if parameter.requires_grad:
                parameter += 0.05 * torch.randn(parameter.shape, generator=drawn)
    return encoder


def live_vectors(encoder: TrainableEncoder) -> trivec.Embeddings:
    loss = StepLoss(encoder, M3(), SplitOptions())
    live = live_encoder(encoder, LiveRuntime(loss, torch.device("cpu")))
    vectors = live.encode_queries(TEXTS, encoder.heads)
    assert encoder.training
    return vectors


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_it_loads_as_an_encoder(
    runtime: str, tiny: Callable[[str], Path], tmp_path: Path, same_vectors: Callable[..., None]
) -> None:
    encoder = trained(tiny("m3"))
    folder = save_model(encoder, tmp_path, "mine")
    loaded = trivec.load(folder, runtime)
    assert (loaded.name, folder.name, loaded.checkpoint.layout) == ("mine", "model", "trivec")
    assert (folder / "model.onnx").is_file()
    same_vectors(loaded.encode_queries(TEXTS, HEADS), live_vectors(encoder))
    assert loaded.checkpoint.settings["weights"] == {"dense": 1.0, "sparse": 0.3, "multi": 1.0}


@pytest.mark.parametrize("name", ["m3", "st-mean"])
def test_it_loads_in_sentence_transformers_with_the_right_pooling(
    name: str, tiny: Callable[[str], Path], tmp_path: Path
) -> None:
    from sentence_transformers import SentenceTransformer

    encoder = trained(tiny(name), heads=("dense",))
    folder = save_model(encoder, tmp_path, "mine", ("trivec", "sentence-transformers"))
    expected = live_vectors(encoder).dense
    for place in (folder, tmp_path / "sentence-transformers"):
        model = SentenceTransformer(str(place), device="cpu")
        found = model.encode(TEXTS, prompt=encoder.checkpoint.query_prompt)
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5)


def test_the_heads_are_there_for_flagembedding(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    encoder = trained(tiny("m3"))
    folder = save_model(encoder, tmp_path, "mine", ("trivec", "bge-m3"))
    assert encoder.sparse is not None and encoder.multi is not None
    for place in (folder, tmp_path / "bge-m3"):
        for file, layer in (("sparse_linear.pt", encoder.sparse), ("colbert_linear.pt", encoder.multi)):
            state = torch.load(place / file, weights_only=True)
            assert torch.equal(state["weight"], layer.weight) and torch.equal(state["bias"], layer.bias)


def test_the_bge_m3_layout_loads_too(
    tiny: Callable[[str], Path], tmp_path: Path, same_vectors: Callable[..., None]
) -> None:
    encoder = trained(tiny("m3"))
    save_model(encoder, tmp_path, "mine", ("trivec", "bge-m3"))
    same_vectors(trivec.load(tmp_path / "bge-m3").encode_queries(TEXTS, HEADS), live_vectors(encoder))


def test_a_delta_holds_low_rank_updates_and_heads(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    encoder = trained(tiny("m3"), lora=LoraOptions(rank=2))
    folder = save_model(encoder, tmp_path, "mine")
    delta = Delta(tmp_path / "delta.safetensors")
    base = {name: np.asarray(value) for name, value in memory_map(tiny("m3") / "model.safetensors").items()}
    merged = dict(delta.merge(base.items()))
    for name, weight in memory_map(folder / "model.safetensors").items():
        np.testing.assert_allclose(merged[name], weight, rtol=0, atol=1e-6)
    heads = memory_map(folder / "heads.safetensors")
    assert set(delta.heads) == set(heads)
    assert all(np.array_equal(delta.heads[name], heads[name]) for name in heads)


@pytest.mark.parametrize("pooling", ["cls", "mean", "max", "last"])
def test_another_pooling_is_saved(
    pooling: Pooling, tiny: Callable[[str], Path], tmp_path: Path, same_vectors: Callable[..., None]
) -> None:
    checkpoint = find_model(TrainOptions(model=str(tiny("m3")), pooling=pooling))
    encoder = TrainableEncoder.from_checkpoint(checkpoint, freeze_encoder=True)
    loaded = trivec.load(save_model(encoder, tmp_path, "mine"))
    assert loaded.checkpoint.pooling == Delta(tmp_path / "delta.safetensors").pooling == pooling
    same_vectors(loaded.encode_queries(TEXTS, HEADS), live_vectors(encoder))


def test_whole_weights_have_no_delta(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    save_model(trained(tiny("m3")), tmp_path, "mine")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_saving_again_replaces(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    save_model(trained(tiny("m3")), tmp_path, "first")
    assert trivec.load(save_model(trained(tiny("m3")), tmp_path, "second")).name == "second"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]


def test_extended_positions_are_saved(
    tiny: Callable[[str], Path], tmp_path: Path, same_vectors: Callable[..., None]
) -> None:
    encoder = trained(tiny("m3"), max_length=600)
    loaded = trivec.load(save_model(encoder, tmp_path, "mine"))
    assert loaded.max_length == 600
    text = "water night river " * 150
    loss = StepLoss(encoder, M3(), SplitOptions())
    live = live_encoder(encoder, LiveRuntime(loss, torch.device("cpu")))
    same_vectors(loaded.encode_documents([text], HEADS), live.encode_documents([text], HEADS))
