"""MiniCPM as what it is: a Llama with three scales, which fold into the weights.

Embeddings are multiplied by ``scale_emb``, and what attention and feed-forward add to the stream by ``scale_depth /
sqrt(layers)`` (Hu et al. 2024, arXiv 2404.06395). The third scale, that of the output layer, is not used by
rerankers with one logit a layer: their heads see normed states as they are.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
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
    embeddings, depth, whole = (
        _number(folder, config, key) for key in ("scale_emb", "scale_depth", "num_hidden_layers")
    )
    llama = stock_config(LlamaConfig, folder, config, layers)
    model = load_stock(LlamaModel, folder, dtype, config=llama, attn_implementation="sdpa")
    _scale(model.embed_tokens, embeddings)
    for layer in model.layers:
        _scale(layer.self_attn.o_proj, depth / math.sqrt(whole))
        _scale(layer.mlp.down_proj, depth / math.sqrt(whole))
    return model


@torch.no_grad()
def _scale(module: torch.nn.Module, factor: float) -> None:
    """Multiply all of a module's weights, and round them once."""
    for weight in module.parameters(recurse=False):
        weight.copy_(weight.float() * factor)


def _number(folder: Path, config: Mapping[str, Any], key: str) -> float:
    value = config.get(key, 1)
    if type(value) not in (int, float) or not value > 0:
        raise CorruptModelError(f"{folder} has {value!r} for {key}, where a number above 0 should be: fetch it again")
    return float(value)
