"""The model folder of a trained language model: the stock one, or the published one of models with heads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import nn

from trivec.encode.checkpoints import plain
from trivec.encode.checkpoints.export import copy_kept_files
from trivec.encode.checkpoints.weights import WEIGHTS_FILE
from trivec.errors import ModelError
from trivec.rerank.layered_types import MINICPM
from trivec.rerank.llm_weights import read_named
from trivec.rerank.minicpm import unfold
from trivec.rerank.prompts import published_prompt
from trivec.tensorfile import write_json
from trivec.train.layered_model import LayeredModel
from trivec.train.model import TrainableEncoder
from trivec.train.saving import replaced
from trivec.train.trained import backbone_tensors

_DTYPES = {"float16": torch.float16, "bfloat16": torch.bfloat16}


def save_decoder(encoder: TrainableEncoder, folder: Path, prompt: str) -> Path:
    """Write a trained language model as the folder ``model`` below a folder; an earlier one is replaced.

    Low-rank updates are merged into the weights, which are written in the precision of those that it began with.

    Args:
        encoder: the model.
        folder: of the run.
        prompt: what it was asked; kept with the model if it is not the published one.
    """
    checkpoint = encoder.checkpoint
    config = dict(checkpoint.config)
    if prompt != published_prompt(str(config["model_type"])):
        config["reranker_prompt"] = prompt
    dtype = _DTYPES.get(str(config.get("dtype") or config.get("torch_dtype")), torch.float32)
    tensors = _layered(encoder) if isinstance(encoder, LayeredModel) else _whole(encoder)
    with replaced(folder / "model") as written:
        written.mkdir()
        write_json(written / plain.CONFIG_FILE, config)
        save_file(
            {name: tensor.to(dtype).contiguous() for name, tensor in tensors.items()},
            written / WEIGHTS_FILE,
            {"format": "pt"},
        )
        copy_kept_files(checkpoint.folder, written)
    return folder / "model"


def _trained(encoder: TrainableEncoder) -> dict[str, torch.Tensor]:
    return {name: torch.from_numpy(array) for name, array in backbone_tensors(encoder).items()}


def _whole(encoder: TrainableEncoder) -> dict[str, torch.Tensor]:
    """All of the folder's tensors, those of the backbone as they are now."""
    stored, trained = read_named(encoder.checkpoint.folder, ""), _trained(encoder)
    first = next(iter(trained))
    prefix = next((name.removesuffix(first) for name in stored if name.endswith(first)), None)
    if prefix is None or any(prefix + name not in stored for name in trained):
        raise ModelError(f"{encoder.checkpoint.name} calls its weights otherwise than transformers does: take another")
    return stored | {prefix + name: tensor for name, tensor in trained.items()}


def _layered(encoder: LayeredModel) -> dict[str, torch.Tensor]:
    config: Any = encoder.checkpoint.config
    tensors = _trained(encoder)
    if config["model_type"] == MINICPM:
        unfold(tensors, encoder.checkpoint.folder, config)
    (head,) = encoder.dense_layers
    assert isinstance(head, nn.Linear)
    rows = head.weight.detach().cpu()
    heads = {f"lm_head.{number}.linear_head.weight": row[None] for number, row in enumerate(rows)}
    return {f"model.{name}": tensor for name, tensor in tensors.items()} | heads
