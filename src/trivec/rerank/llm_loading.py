"""Folders of rerankers that are language models: which kind one holds, and how it is loaded.

decoders with heads (`trivec.rerank.layered_types`)   one logit a layer, `trivec.rerank.layerwise`; where tokens are
                                                      merged, `trivec.rerank.lightweight`
any other causal model                                the logit of "Yes", `trivec.rerank.yes_token`
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trivec.encode.checkpoints import plain
from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import InputError, ModelError, require
from trivec.rerank.layered_types import LAYERED, MINICPM
from trivec.rerank.llm_options import LlmOptions
from trivec.rerank.prompt_scorer import PromptScorer, RowReader
from trivec.rerank.prompts import PromptTokens, begin_token, published_prompt

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
    prompt = options.prompt or str(config.get("reranker_prompt") or published_prompt(kind))
    tokens = PromptTokens(tokenizer, prompt, length, query_length, begin_token(folder, tokenizer))
    load = _layered if kind in LAYERED else _yes_token
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


def _layered(source: _Source, options: LlmOptions) -> RowReader:
    from trivec.rerank.layer_heads import LayerHeads, choose_layers, read_heads
    from trivec.rerank.layered_folders import load_layers, offered_layers
    from trivec.rerank.layerwise import Layerwise
    from trivec.rerank.lightweight import Lightweight

    folder, config = source.folder, source.config
    offered = offered_layers(folder, config)
    layers = choose_layers(options.cutoff_layers, offered, str(folder))
    whole = plain.whole_number(folder / plain.CONFIG_FILE, config, "num_hidden_layers")
    if any(layer >= whole for layer in options.compress_layers):
        raise InputError(
            f"compress_layers is {list(options.compress_layers)}, and {folder} has {whole} layers: choose layers from "
            f"1 to {whole - 1}"
        )
    model = load_layers(folder, config, layers[-1], source.dtype).to(source.device)
    weights = read_heads(folder, layers, offered, model.config.hidden_size, not config.get("head_multi", True))
    heads = LayerHeads(layers, weights.to(source.device), getattr(model.config, "final_logit_softcapping", None))
    if config["model_type"] == MINICPM and options.compress_ratio == 1:
        return Layerwise(model, heads)  # Gemma's windows forget what rows have in common
    return Lightweight(model, heads, options.compress_layers, options.compress_ratio)


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
