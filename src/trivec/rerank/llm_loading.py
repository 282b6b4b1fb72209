"""Folders of rerankers that are language models: which kind one holds, and how it is loaded.

model_type "minicpm"          one logit a layer, `trivec.rerank.layerwise`
model_type "cost_wise_gemma"  the same on Gemma 2, merging tokens: `trivec.rerank.lightweight`
any other causal model        the logit of "Yes", `trivec.rerank.yes_token`
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trivec.encode.checkpoints import plain
from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import InputError, ModelError, require
from trivec.rerank.llm_options import LlmOptions
from trivec.rerank.prompt_scorer import PromptScorer, RowReader
from trivec.rerank.prompts import PREDICT, YES_OR_NO, PromptTokens, begin_token

_MAX_LENGTH = 512


def matches(folder: Path) -> bool:
    """Whether a folder holds a causal language model."""
    path = folder / plain.CONFIG_FILE
    names = plain.read_json(path).get("architectures") if path.is_file() else None
    return isinstance(names, list) and any(str(name).endswith("ForCausalLM") for name in names)


def read(
    folder: Path,
    name: str,
    options: LlmOptions,
    device: str | None = None,
    dtype: str | None = None,
    max_length: int | None = None,
    query_length: int | None = None,
    batch_tokens: int | None = None,
) -> PromptScorer:
    """Load a language model that scores pairs. Arguments as those of `trivec.load_reranker`.

    Args:
        folder: of the model.
        name: what it is called.
        options: prompt, depth and width.
        device: None takes a GPU when there is one.
        dtype: None is float32 on CPU and bfloat16 elsewhere.
        max_length: tokens of a row, the prompt included; None is 512, or as many as the model has room for.
        query_length: tokens of a query at most.
        batch_tokens: padded tokens a batch.

    Raises:
        InputError: a length is out of range, or an option does not fit the model.
        ModelError: it is no model of these kinds.
    """
    require("torch", "torch", f"running {name}")
    config = plain.read_json(folder / plain.CONFIG_FILE)
    limit = plain.position_limit(folder / plain.CONFIG_FILE, config)
    length = min(_MAX_LENGTH, limit) if max_length is None else max_length
    if not 1 <= length <= limit:
        raise InputError(f"max_length must lie between 1 and {limit} for {name}, got {max_length}")
    tokenizer = TextTokenizer.from_file(folder / "tokenizer.json")
    kind = str(config.get("model_type"))
    prompt = options.prompt or (PREDICT if kind == "cost_wise_gemma" else YES_OR_NO)
    tokens = PromptTokens(tokenizer, prompt, length, query_length, begin_token(folder, tokenizer))
    load = _LAYERED.get(kind, _yes_token)
    source = _Source(folder, config, tokenizer, *_place(device, dtype))
    return PromptScorer(name, load(source, options), tokens, batch_tokens)


@dataclass(frozen=True)
class _Source:
    """A folder, what it says, and where its model goes: a ``torch.device`` and a ``torch.dtype``."""

    folder: Path
    config: Mapping[str, Any]
    tokenizer: TextTokenizer
    device: Any
    dtype: Any


def _yes_token(source: _Source, options: LlmOptions) -> RowReader:
    import transformers
    from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES

    from trivec.encode.stock_models import load_stock
    from trivec.rerank.yes_token import YesToken, yes_id

    folder, kind = source.folder, source.config.get("model_type")
    _refuse(options, ("cutoff_layers", "compress_layers", "compress_ratio"), f"{folder}, a {kind!r} without heads")
    if kind not in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES:
        raise ModelError(
            f"{folder} is a {kind!r}, which transformers {transformers.__version__} does not know as a causal language "
            "model, and code in model folders is not run: take another model, or a newer transformers"
        )
    yes = yes_id(source.tokenizer, str(folder))
    return YesToken(load_stock(transformers.AutoModelForCausalLM, folder, source.dtype).to(source.device), yes)


def _layerwise(source: _Source, options: LlmOptions) -> RowReader:
    from trivec.rerank.layer_heads import LayerHeads, choose_layers, read_heads
    from trivec.rerank.layerwise import Layerwise
    from trivec.rerank.minicpm import load_minicpm

    folder, config = source.folder, source.config
    _refuse(options, ("compress_layers", "compress_ratio"), f"{folder}, which merges no tokens")
    if config.get("head_type", "simple") != "simple":
        raise ModelError(
            f"{folder} has heads of head_type {config['head_type']!r}: they give a logit for every token, take a model "
            "with head_type 'simple'"
        )
    offered = _offered(folder, config, steps=1)
    layers = choose_layers(options.cutoff_layers, offered, str(folder))
    model = load_minicpm(folder, config, layers[-1], source.dtype).to(source.device)
    shared = not config.get("head_multi", True)
    weights = read_heads(folder, layers, offered, model.config.hidden_size, shared).to(source.device)
    return Layerwise(model, LayerHeads(layers, weights))


def _lightweight(source: _Source, options: LlmOptions) -> RowReader:
    from transformers import Gemma2Config, Gemma2Model

    from trivec.encode.stock_models import load_stock
    from trivec.rerank.layer_heads import LayerHeads, choose_layers, read_heads
    from trivec.rerank.lightweight import Lightweight
    from trivec.rerank.llm_weights import stock_config

    folder, config = source.folder, source.config
    path = folder / plain.CONFIG_FILE
    if not config.get("layer_wise"):
        raise ModelError(f"{folder} has no heads between its layers (layer_wise is not true): take another model")
    offered = _offered(folder, config, plain.whole_number(path, config, "layer_sep", default=28))
    layers = choose_layers(options.cutoff_layers, offered, str(folder))
    whole = plain.whole_number(path, config, "num_hidden_layers")
    if any(layer >= whole for layer in options.compress_layers):
        raise InputError(
            f"compress_layers is {list(options.compress_layers)}, and {folder} has {whole} layers: choose layers from "
            f"1 to {whole - 1}"
        )
    gemma = stock_config(Gemma2Config, folder, config, layers[-1])
    # eager: torch's own attention cannot cap its logits
    model = load_stock(Gemma2Model, folder, source.dtype, config=gemma, attn_implementation="eager").to(source.device)
    weights = read_heads(folder, layers, offered, gemma.hidden_size, shared=False).to(source.device)
    heads = LayerHeads(layers, weights, gemma.final_logit_softcapping)
    return Lightweight(model, heads, options.compress_layers, options.compress_ratio)


_LAYERED: Mapping[str, Callable[[_Source, LlmOptions], RowReader]] = {
    "minicpm": _layerwise,
    "cost_wise_gemma": _lightweight,
}


def _offered(folder: Path, config: Mapping[str, Any], steps: int) -> list[int]:
    """Layers that have a head."""
    path = folder / plain.CONFIG_FILE
    last = plain.whole_number(path, config, "num_hidden_layers")
    first = plain.whole_number(path, config, "start_layer", most=last)
    return list(range(first, last + 1, steps))


def _refuse(options: LlmOptions, names: Sequence[str], source: str) -> None:
    """Options that a model of this kind has no use for."""
    for name in names:
        if name in options.given:
            raise InputError(f"{name} is {getattr(options, name)}, which means nothing to {source}: leave it out")


def _place(device: str | None, dtype: str | None) -> tuple[Any, Any]:
    """Device and dtype in torch's words.

    Raises:
        InputError: there is no such device or dtype.
    """
    import torch

    from trivec.encode.torch_runtime import DTYPES, usable_device

    place = usable_device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    chosen = dtype or ("float32" if place.type == "cpu" else "bfloat16")
    if chosen not in DTYPES:
        raise InputError(f"unknown dtype {chosen!r}: use one of {', '.join(DTYPES)}")
    return place, DTYPES[chosen]
