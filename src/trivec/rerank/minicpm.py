"""MiniCPM as what it is: a Llama with three scales, which fold into the weights.

Embeddings are multiplied by ``scale_emb``, and what attention and feed-forward add to the stream by ``scale_depth /
sqrt(layers)`` (Hu et al. 2024, arXiv 2404.06395). The third scale, that of the output layer, is not used by
rerankers with one logit a layer: their heads see normed states as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import LlamaConfig, LlamaModel

from trivec.encode.stock_models import load_stock
from trivec.errors import CorruptModelError
from trivec.rerank.llm_weights import stock_config


def load_minicpm(folder: Path, config: Mapping[str, Any], layers: int, dtype: torch.dtype) -> Any:  # noqa: ANN401
    """The first layers of a MiniCPM as a ``LlamaModel``.

    Raises:
        CorruptModelError: a scale is no number, or the folder is damaged.
    """
    scales = _scales(folder, config)
    llama = stock_config(LlamaConfig, folder, config, layers)
    model = load_stock(LlamaModel, folder, dtype, config=llama, attn_implementation="sdpa")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            weight.copy_(weight.float() * scales.of(name))
    return model


def unfold(tensors: dict[str, torch.Tensor], folder: Path, config: Mapping[str, Any]) -> None:
    """Make the weights of such a ``LlamaModel``, by name, those of a MiniCPM again.

    Raises:
        CorruptModelError: a scale is no number.
    """
    scales = _scales(folder, config)
    for name, tensor in tensors.items():
        tensors[name] = tensor / scales.of(name)


@dataclass(frozen=True)
class _Scales:
    """Of the embeddings, and of what a layer's two parts add."""

    embeddings: float
    parts: float

    def of(self, name: str) -> float:
        """What a weight is multiplied by."""
        if name.startswith("embed_tokens."):
            return self.embeddings
        return self.parts if ".self_attn.o_proj." in name or ".mlp.down_proj." in name else 1.0


def _scales(folder: Path, config: Mapping[str, Any]) -> _Scales:
    embeddings, depth, whole = (
        _number(folder, config, key) for key in ("scale_emb", "scale_depth", "num_hidden_layers")
    )
    return _Scales(embeddings, depth / math.sqrt(whole))


def _number(folder: Path, config: Mapping[str, Any], key: str) -> float:
    value = config.get(key, 1)
    if type(value) not in (int, float) or not value > 0:
        raise CorruptModelError(f"{folder} has {value!r} for {key}, where a number above 0 should be: fetch it again")
    return float(value)
