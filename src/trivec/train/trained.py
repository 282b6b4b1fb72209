"""A model under training as what is saved: tensors of a whole backbone, tensors of a delta, and a checkpoint."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

from trivec.encode.checkpoints.checkpoint import Checkpoint, DenseModule, MultiHead
from trivec.encode.delta import CLASSIFIER
from trivec.errors import InputError
from trivec.train.heads import numbers_of
from trivec.train.lora import lora_layers
from trivec.train.model import TrainableEncoder
from trivec.types import FloatArray


def backbone_tensors(model: TrainableEncoder) -> dict[str, FloatArray]:
    """The backbone's weights under their stock names, float32, low-rank updates merged into them."""
    merged = {f"{name}.weight": layer.merged() for name, layer in lora_layers(model.backbone)}
    state: dict[str, torch.Tensor] = model.backbone.state_dict()
    return {name: _array(merged.get(name, tensor)) for name, tensor in state.items() if not _is_lora(name)}


def delta_tensors(model: TrainableEncoder) -> tuple[dict[str, FloatArray], dict[str, str]]:
    """Tensors and metadata of the delta file that turns the checkpoint into the trained model.

    See `trivec.encode.delta` for the names.

    Raises:
        InputError: more was trained than a delta can carry.
    """
    layers = dict(lora_layers(model.backbone))
    if not (layers or model.encoder_frozen):
        raise InputError("a delta carries heads and low-rank updates alone: train with lora or freeze_encoder")
    if model.positions_extended:
        raise InputError(
            f"a delta cannot carry positions for {model.checkpoint.max_length} tokens: save the whole model"
        )
    tensors = head_tensors(model) | _classifier_tensors(model)
    for name, layer in layers.items():
        tensors[f"{name}.weight.lora_a"] = _array(layer.lora_a)
        tensors[f"{name}.weight.lora_b"] = _array(layer.lora_b)
    scale = next(iter(layers.values())).scale if layers else 1.0
    told = {"sparse_terms": model.checkpoint.sparse_terms, "pooling": model.checkpoint.pooling}
    return tensors, {"format": "pt", "scale": repr(scale), **told}


def _classifier_tensors(model: TrainableEncoder) -> dict[str, FloatArray]:
    """The layers behind pooling, where they were trained: those of a cross-encoder."""
    if not any(parameter.requires_grad for parameter in model.dense_layers.parameters()):
        return {}
    named = zip(CLASSIFIER, model.dense_layers, strict=True)
    return {f"{prefix}{name}": _array(tensor) for prefix, layer in named for name, tensor in layer.state_dict().items()}


def head_tensors(model: TrainableEncoder) -> dict[str, FloatArray]:
    """``sparse.weight`` (1, d), ``sparse.bias`` (1,), ``multi.weight`` (C, d), ``multi.bias`` (C,); those there are."""
    heads = {"sparse": model.sparse, "multi": model.multi}
    return {
        f"{name}.{part}": _array(tensor)
        for name, layer in heads.items()
        if layer is not None
        for part, tensor in layer.named_parameters()
    }


def trained_checkpoint(model: TrainableEncoder, folder: Path) -> Checkpoint:
    """The checkpoint as trained, for a ``folder`` with the new ``config.json``, weights and tokenizer.

    Heads that were not among the trained ones stay what they were.
    """
    checkpoint = model.checkpoint
    modules = zip(model.dense_layers, checkpoint.dense_modules, strict=True)
    return replace(
        checkpoint,
        folder=folder,
        sparse=checkpoint.sparse if model.sparse is None else numbers_of(model.sparse),
        multi=checkpoint.multi if model.multi is None else MultiHead(numbers_of(model.multi)),
        dense_modules=tuple(DenseModule(numbers_of(_linear(layer)), module.activation) for layer, module in modules),
    )


def _linear(layer: nn.Module) -> nn.Linear:
    assert isinstance(layer, nn.Linear)
    return layer


def _is_lora(name: str) -> bool:
    return name.endswith((".lora_a", ".lora_b"))


def _array(tensor: torch.Tensor) -> FloatArray:
    return tensor.detach().to("cpu", torch.float32).contiguous().numpy()
