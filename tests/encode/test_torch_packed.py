"""Texts laid end to end give what padded texts give; several devices give what one gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

import trivec
from trivec.encode import pipeline
from trivec.encode.checkpoints import Checkpoint
from trivec.encode.pipeline import pad
from trivec.encode.torch_packed import pack_attention
from trivec.encode.torch_runtime import TorchRuntime
from trivec.errors import InputError

Load = Callable[..., trivec.Encoder]
Same = Callable[..., None]

LENGTHS = [[5, 5, 5], [9, 4, 1, 7], [6], [1, 1], [200, 3]]


def padded_runtime(checkpoint: Checkpoint) -> TorchRuntime:
    """The same model by transformers' own attention and mask."""
    runtime = TorchRuntime(checkpoint, "cpu")
    (replica,) = runtime._replicas
    replica._is_packed = False
    replica._model.set_attn_implementation("eager")
    return runtime


@pytest.mark.parametrize("name", ["m3", "st-mean", "roberta"])
@pytest.mark.parametrize("lengths", LENGTHS, ids=str)
def test_packed_is_padded(load_tiny: Load, name: str, lengths: list[int]) -> None:
    encoder = load_tiny(name, "torch")
    heads = [head for head in encoder.heads if head != "terms"]
    assert encoder.runtime._replicas[0]._is_packed
    chooser = np.random.default_rng(0)
    rows = [chooser.integers(5, 60, length) for length in lengths]
    ids, mask = pad(rows, encoder.pad_id)
    packed = encoder.runtime.forward(ids, mask, heads, states=True)
    padded = padded_runtime(encoder.checkpoint).forward(ids, mask, heads, states=True)
    np.testing.assert_allclose(packed.dense, padded.dense, atol=1e-5)
    for part in ("token_weights", "token_vectors", "token_states"):
        ours, theirs = getattr(packed, part), getattr(padded, part)
        assert (ours is None) == (theirs is None)
        if ours is not None:
            np.testing.assert_allclose(ours[mask == 1], theirs[mask == 1], atol=1e-5)


def test_half_precision_on_cpu_is_packed_too(load_tiny: Load) -> None:
    runtime = TorchRuntime(load_tiny("m3", "torch").checkpoint, "cpu", "bfloat16")
    ids, mask = pad([np.array([0, 7, 8, 2]), np.array([0, 9, 2])], 1)
    lengths = np.linalg.norm(runtime.forward(ids, mask, ["dense"]).dense, axis=1)
    np.testing.assert_allclose(lengths, 1, atol=1e-3)


def test_a_gpu_without_half_precision_keeps_padded_batches(load_tiny: Load) -> None:
    encoder = load_tiny("m3", "torch")
    model = encoder.runtime._replicas[0]._model
    assert model.dtype == torch.float32
    assert not pack_attention(model, encoder.checkpoint, torch.device("cuda"))


def test_a_backbone_of_another_kind_keeps_padded_batches(load_tiny: Load) -> None:
    encoder = load_tiny("m3", "torch")
    other = dict(encoder.checkpoint.config) | {"model_type": "deberta"}
    checkpoint = replace(encoder.checkpoint, config=other)
    assert not pack_attention(encoder.runtime._replicas[0]._model, checkpoint, torch.device("cpu"))


def test_several_devices_share_the_batches(
    load_tiny: Load, monkeypatch: pytest.MonkeyPatch, same_vectors: Same
) -> None:
    monkeypatch.setattr(pipeline, "BULK_TOKENS", 1)
    encoder = load_tiny("m3", "torch")
    runtime = TorchRuntime(encoder.checkpoint, "cpu, cpu,cpu")
    assert runtime.name == "torch on cpu, cpu, cpu"
    assert len(runtime.lanes()) == 3
    shared = trivec.Encoder(encoder.checkpoint, runtime, encoder.tokenizer, encoder.fingerprint)
    texts = [" ".join(["the city by the river"] * (1 + row % 5)) for row in range(40)]
    same_vectors(encoder.encode(texts), shared.encode(texts, batch_tokens=50))


def test_a_device_that_is_not_there_is_named_among_several(load_tiny: Load) -> None:
    with pytest.raises(InputError, match="'abacus'"):
        TorchRuntime(load_tiny("m3").checkpoint, "cpu,abacus")
