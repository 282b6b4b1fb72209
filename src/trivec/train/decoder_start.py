"""What a reranker that is a language model begins as: an encoder whose dense vector is the logits of a pair.

without heads             the logit of "Yes", which is a row of the output layer, at the last token
``start_layer``           a logit behind each layer from there on; each head begins as that row
a folder with heads       its own heads
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trivec.encode.checkpoints import plain
from trivec.encode.checkpoints.checkpoint import Checkpoint, DenseModule, Linear
from trivec.encode.checkpoints.export import backbone_tensors
from trivec.encode.loading import resolve
from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import CorruptModelError, InputError, ModelError
from trivec.rerank import llm_loading
from trivec.rerank.layer_heads import read_heads
from trivec.rerank.layered_folders import offered_layers
from trivec.rerank.layered_types import GEMMA, MINICPM, has_heads
from trivec.rerank.yes_token import yes_id
from trivec.train.reranker_options import DecoderFields
from trivec.types import FloatArray

logger = logging.getLogger(__name__)

_OUTPUTS = ("lm_head", "embed_out", "output")
"""What models call their output layer; one that is not stored is the word embeddings."""
_EMBEDDINGS = ("model.embed_tokens.weight", "transformer.wte.weight")


def is_decoder(model: str) -> bool:
    """Whether a name or a folder is of a causal language model.

    Raises:
        UnknownModelError: it is nowhere.
    """
    return llm_loading.matches(resolve(model)[0])


def find_decoder(model: str, fields: DecoderFields) -> Checkpoint:
    """The reranker to start from.

    Args:
        model: a name or a folder, of a causal language model, with heads between its layers or without.
        fields: which heads it shall get.

    Raises:
        UnknownModelError: it is nowhere.
        ModelError: it has no token for "Yes", or cannot have heads between its layers.
        InputError: the fields do not fit it.
    """
    folder, _ = resolve(model)
    checkpoint = replace(plain.read(folder), name=folder.name if Path(model).expanduser().is_dir() else model)
    if has_heads(checkpoint.config):
        if fields.start_layer is not None:
            raise InputError(f"{folder} has heads already, from layer {checkpoint.config['start_layer']} on: leave "
                             "start_layer out")  # fmt: skip
        return _with_heads(checkpoint, _own_heads(checkpoint))
    row, bias = _yes_row(checkpoint)
    if fields.start_layer is None:
        _refuse_merging(fields)
        return _as_encoder(checkpoint, _yes_modules(checkpoint.config, row, bias))
    config = _layered_config(checkpoint, fields.start_layer)
    count = len(offered_layers(folder, config))
    logger.info("%s gets %d heads, each beginning as the output layer's row for Yes", checkpoint.name, count)
    return _with_heads(replace(checkpoint, config=config), np.repeat(row[None], count, axis=0))


def _as_encoder(checkpoint: Checkpoint, modules: tuple[DenseModule, ...]) -> Checkpoint:
    return replace(
        checkpoint, layout="decoder", pooling="last", normalize=False, dense_modules=modules, sparse=None, multi=None,
        query_prompt="", document_prompt="", lowercase=False, settings={}, separator=None,
    )  # fmt: skip


def _with_heads(checkpoint: Checkpoint, weights: FloatArray) -> Checkpoint:
    return _as_encoder(checkpoint, (DenseModule(Linear(weights)),))


def _own_heads(checkpoint: Checkpoint) -> FloatArray:
    folder, config = checkpoint.folder, checkpoint.config
    offered = offered_layers(folder, config)
    shared = not config.get("head_multi", True)
    return np.asarray(read_heads(folder, offered, offered, checkpoint.hidden_size, shared).numpy(), np.float32)


def _yes_row(checkpoint: Checkpoint) -> tuple[FloatArray, FloatArray | None]:
    """What the output layer multiplies the last state by for "Yes", (D,), and adds, (1,)."""
    folder = checkpoint.folder
    yes = yes_id(TextTokenizer.of(checkpoint), str(folder))
    tensors = backbone_tensors(folder)
    weight = next((f"{name}.weight" for name in _OUTPUTS if f"{name}.weight" in tensors), None)
    weight = weight or next((name for name in _EMBEDDINGS if name in tensors), None)
    if weight is None:
        raise CorruptModelError(f"{folder} has neither an output layer nor word embeddings that are known here: take "
                                "another model")  # fmt: skip
    bias = tensors.get(weight.replace(".weight", ".bias"))
    row = np.asarray(tensors[weight][yes], np.float32)
    return row, None if bias is None else np.asarray(bias[yes : yes + 1], np.float32)


def _yes_modules(config: Mapping[str, Any], row: FloatArray, bias: FloatArray | None) -> tuple[DenseModule, ...]:
    """What the model makes of its last state, with what some do to logits: Gemma 2 caps them softly."""
    unknown = [name for name in ("logit_scale", "logits_scaling") if config.get(name) not in (None, 1, 1.0)]
    if unknown:
        raise ModelError(f"the model multiplies its logits ({unknown[0]} is {config[unknown[0]]}), which training does "
                         "not know: take another model")  # fmt: skip
    cap = config.get("final_logit_softcapping")
    if cap is None:
        return (DenseModule(Linear(row[None], bias)),)
    inner = Linear(row[None] / np.float32(cap), None if bias is None else bias / np.float32(cap))
    return DenseModule(inner, "tanh"), DenseModule(Linear(np.asarray([[cap]], np.float32)))


def _layered_config(checkpoint: Checkpoint, start_layer: int) -> dict[str, Any]:
    """The ``config.json`` of the published folder that can hold the model with heads.

    Raises:
        ModelError: none can.
        InputError: the model has fewer layers.
    """
    config, kind = dict(checkpoint.config), checkpoint.config.get("model_type")
    layers = plain.whole_number(checkpoint.folder / plain.CONFIG_FILE, config, "num_hidden_layers")
    if start_layer > layers:
        raise InputError(
            f"start_layer is {start_layer}, and {checkpoint.name} has {layers} layers: choose 1 to {layers}"
        )
    heads: dict[str, Any] = {"start_layer": start_layer}
    if kind == "gemma2":
        return config | heads | {
            "architectures": ["CostWiseGemmaForCausalLM"], "model_type": GEMMA, "layer_wise": True, "layer_sep": 1,
        }  # fmt: skip
    heads |= {"architectures": ["LayerWiseMiniCPMForCausalLM"], "head_multi": True, "head_type": "simple"}
    if kind == "llama":  # a MiniCPM whose scales are 1
        scales = {"scale_emb": 1, "scale_depth": math.sqrt(layers), "dim_model_base": checkpoint.hidden_size}
        return config | heads | scales | {"model_type": MINICPM}
    if kind == MINICPM:
        return config | heads
    raise ModelError(
        f"{checkpoint.name} is a {kind!r}: heads between layers are for llama, minicpm and gemma2; leave start_layer "
        "out"
    )


def _refuse_merging(fields: DecoderFields) -> None:
    if fields.compress_layers:
        raise InputError(
            f"compress_layers is {list(fields.compress_layers)}, and tokens are merged in models with heads between "
            "their layers: give start_layer too"
        )
