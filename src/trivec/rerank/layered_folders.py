"""Folders of decoders with heads between their layers: which layers have one, and the stock model that runs them.

model_type "minicpm"           Llama with three scales, see `trivec.rerank.minicpm`; a head behind each layer
model_type "cost_wise_gemma"   Gemma 2; a head behind every ``layer_sep``-th layer
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from trivec.encode.checkpoints import plain
from trivec.encode.stock_models import load_stock
from trivec.errors import ModelError
from trivec.rerank.layered_types import GEMMA, MINICPM
from trivec.rerank.llm_weights import stock_config
from trivec.rerank.minicpm import load_minicpm

_PUBLISHED_STEP = 28
"""``layer_sep`` of a Gemma 2 that does not say it."""


def offered_layers(folder: Path, config: Mapping[str, Any]) -> list[int]:
    """Layers that have a head.

    Raises:
        CorruptModelError: the ``config.json`` does not say so in whole numbers.
        ModelError: the heads are of a kind that gives no single logit.
    """
    path = folder / plain.CONFIG_FILE
    if config.get("model_type") == GEMMA:
        if not config.get("layer_wise"):
            raise ModelError(f"{folder} has no heads between its layers (layer_wise is not true): take another model")
        step = plain.whole_number(path, config, "layer_sep", default=_PUBLISHED_STEP)
    else:
        if config.get("head_type", "simple") != "simple":
            raise ModelError(
                f"{folder} has heads of head_type {config['head_type']!r}: they give a logit for every token, take a "
                "model with head_type 'simple'"
            )
        step = 1
    last = plain.whole_number(path, config, "num_hidden_layers")
    first = plain.whole_number(path, config, "start_layer", most=last)
    return list(range(first, last + 1, step))


def load_layers(folder: Path, config: Mapping[str, Any], layers: int, dtype: torch.dtype) -> Any:  # noqa: ANN401
    """The first layers of a folder as a ``LlamaModel`` or a ``Gemma2Model``, on the CPU.

    Raises:
        CorruptModelError: the folder is damaged.
    """
    if config.get("model_type") == MINICPM:
        return load_minicpm(folder, config, layers, dtype)
    from transformers import Gemma2Config, Gemma2Model

    gemma = stock_config(Gemma2Config, folder, config, layers)
    # eager: torch's own attention cannot cap its logits
    return load_stock(Gemma2Model, folder, dtype, config=gemma, attn_implementation="eager")
