"""Tiny random language models in the layouts that published rerankers have.

    write_tiny_llm(folder, kind)     Llama, Gemma or Gemma 2, as transformers saves it: bge-reranker-v2-gemma's layout
    write_tiny_layerwise(folder)     MiniCPM with a head a layer: bge-reranker-v2-minicpm-layerwise
    write_tiny_lightweight(folder)   Gemma 2 with heads: bge-reranker-v2.5-gemma2-lightweight

Hidden width 32, weights as in `tiny_models`. Gemma's tokenizer puts no blank before a text and knows the line break;
Llama's and MiniCPM's puts one before every text, and spells the line break as a byte.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from safetensors.numpy import save_file

Kind = Literal["llama", "gemma", "gemma2"]

HIDDEN, INTERMEDIATE = 32, 64
HEADS, KEY_HEADS, HEAD_WIDTH = 4, 2, 8
LAYERS, START_LAYER = 6, 2
SCALE_EMB, SCALE_DEPTH, DIM_MODEL_BASE = 3, 1.4, 8
SOFTCAP, ATTENTION_SOFTCAP, WINDOW = 5.0, 3.0, 24

_ENGLISH = (
    "Yes No Given a query A and passage B determine whether the contains an answer to by providing prediction of "
    "either or Predict what where is capital city country river mountain book library science water night on was "
    "die der und Hauptstadt"
)
WORDS = tuple(_ENGLISH.split())
LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.,:;'?!-"
LLAMA_NAMES = {"unk_token": "<unk>", "bos_token": "<s>", "eos_token": "</s>"}
GEMMA_NAMES = {"pad_token": "<pad>", "eos_token": "<eos>", "bos_token": "<bos>", "unk_token": "<unk>"}


def write_tiny_llm(folder: Path, kind: Kind = "llama", seed: int = 0) -> Path:
    """A causal language model; Gemma's output layer is its embedding."""
    names = {"llama": "LlamaForCausalLM", "gemma": "GemmaForCausalLM", "gemma2": "Gemma2ForCausalLM"}
    vocabulary = write_tokenizer(folder, "llama" if kind == "llama" else "gemma")
    config = _config(kind, vocabulary) | {"architectures": [names[kind]]}
    shapes = _shapes(kind, vocabulary)
    if kind == "llama":
        shapes["lm_head.weight"] = (vocabulary, HIDDEN)
    _write(folder, config, shapes, seed)
    return folder


def write_tiny_layerwise(folder: Path, seed: int = 0) -> Path:
    """MiniCPM with heads from `START_LAYER` on."""
    vocabulary = write_tokenizer(folder, "llama")
    config = _config("llama", vocabulary) | {
        "architectures": ["LayerWiseMiniCPMForCausalLM"],
        "model_type": "minicpm",
        "auto_map": {"AutoModelForCausalLM": "modeling_minicpm_reranker.LayerWiseMiniCPMForCausalLM"},
        "start_layer": START_LAYER,
        "head_multi": True,
        "head_type": "simple",
        "scale_emb": SCALE_EMB,
        "scale_depth": SCALE_DEPTH,
        "dim_model_base": DIM_MODEL_BASE,
        "rope_scaling": None,
        "pretraining_tp": 1,
    }
    heads = {f"lm_head.{number}.linear_head.weight": (1, HIDDEN) for number in range(LAYERS - START_LAYER + 1)}
    _write(folder, config, _shapes("llama", vocabulary) | heads, seed)
    return folder


def write_tiny_lightweight(folder: Path, seed: int = 0) -> Path:
    """Gemma 2 with heads at every second layer from `START_LAYER` on."""
    vocabulary = write_tokenizer(folder, "gemma")
    config = _config("gemma2", vocabulary) | {
        "architectures": ["CostWiseGemmaForCausalLM"],
        "model_type": "cost_wise_gemma",
        "auto_map": {"AutoModelForCausalLM": "gemma_model.CostWiseGemmaForCausalLM"},
        "start_layer": START_LAYER,
        "layer_sep": 2,
        "layer_wise": True,
    }
    count = len(range(START_LAYER, LAYERS + 1, 2))
    heads = {f"lm_head.{number}.linear_head.weight": (1, HIDDEN) for number in range(count)}
    _write(folder, config, _shapes("gemma2", vocabulary) | heads, seed)
    return folder


def write_tokenizer(folder: Path, kind: Literal["llama", "gemma"]) -> int:
    """Write a byte-pair tokenizer, and give the size of its vocabulary."""
    folder.mkdir(parents=True, exist_ok=True)
    names = LLAMA_NAMES if kind == "llama" else GEMMA_NAMES
    pieces, merges = _pieces(kind)
    vocabulary = {piece: number for number, piece in enumerate([*names.values(), *pieces])}
    added = [(vocabulary[name], name, True) for name in names.values()]
    if kind == "gemma":
        added.append((vocabulary["\n"], "\n", False))
    content = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": number, "content": name, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": special}
            for number, name, special in added
        ],
        "normalizer": _normalizer(kind),
        "pre_tokenizer": None,
        "post_processor": _begin_template(names["bos_token"], vocabulary[names["bos_token"]]),
        "decoder": None,
        "model": {
            "type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
            "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False,
            "vocab": vocabulary, "merges": [list(pair) for pair in merges],
        },
    }  # fmt: skip
    _write_json(folder / "tokenizer.json", content)
    padding = {"pad_token": names.get("pad_token", names["unk_token"])}
    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 1000, "add_bos_token": True}
    _write_json(folder / "tokenizer_config.json", {**names, **padding, **settings})
    _write_json(folder / "special_tokens_map.json", {**names, **padding})
    return len(vocabulary)


def _pieces(kind: str) -> tuple[list[str], list[tuple[str, str]]]:
    """Bytes, letters and words, and the merges that spell the words letter by letter."""
    begins = ("▁",) if kind == "llama" else ("▁", "")
    merges: list[tuple[str, str]] = []
    for begin in begins:
        for word in WORDS:
            piece = begin or word[0]
            for letter in word if begin else word[1:]:
                merges.append((piece, letter))
                piece += letter
    merges = list(dict.fromkeys(merges))
    pieces = [f"<0x{byte:02X}>" for byte in range(256)] + ["▁", *LETTERS, *("\n" if kind == "gemma" else "")]
    return list(dict.fromkeys([*pieces, *map("".join, merges)])), merges


def _normalizer(kind: str) -> dict[str, Any]:
    blanks = {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}
    if kind == "gemma":
        return blanks
    return {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, blanks]}


def _begin_template(name: str, number: int) -> dict[str, Any]:
    begin = {"SpecialToken": {"id": name, "type_id": 0}}
    one, two = ({"Sequence": {"id": place, "type_id": 0}} for place in "AB")
    return {
        "type": "TemplateProcessing",
        "single": [begin, one],
        "pair": [begin, one, begin, two],
        "special_tokens": {name: {"id": name, "ids": [number], "tokens": [name]}},
    }


def _config(kind: Kind, vocabulary: int) -> dict[str, Any]:
    config: dict[str, Any] = {
        "model_type": kind,
        "vocab_size": vocabulary,
        "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": KEY_HEADS,
        "head_dim": HEAD_WIDTH,
        "max_position_embeddings": 1024,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "attention_bias": False,
        "tie_word_embeddings": kind != "llama",
        "bos_token_id": 1 if kind == "llama" else 2,
        "eos_token_id": 2 if kind == "llama" else 1,
        "pad_token_id": 0,
        "initializer_range": 0.02,
        "torch_dtype": "float32",
        "use_cache": True,
    }
    if kind == "llama":
        return config | {"hidden_act": "silu"}
    config |= {"hidden_act": "gelu_pytorch_tanh", "hidden_activation": "gelu_pytorch_tanh"}
    if kind == "gemma":
        return config
    return config | {
        "query_pre_attn_scalar": HEAD_WIDTH,
        "sliding_window": WINDOW,
        "attn_logit_softcapping": ATTENTION_SOFTCAP,
        "final_logit_softcapping": SOFTCAP,
    }


def _shapes(kind: Kind, vocabulary: int) -> dict[str, tuple[int, ...]]:
    norms = ["input_layernorm", "post_attention_layernorm"]
    norms += ["pre_feedforward_layernorm", "post_feedforward_layernorm"] if kind == "gemma2" else []
    shapes: dict[str, tuple[int, ...]] = {
        "model.embed_tokens.weight": (vocabulary, HIDDEN),
        "model.norm.weight": (HIDDEN,),
    }
    for layer in range(LAYERS):
        prefix = f"model.layers.{layer}"
        shapes |= {
            f"{prefix}.self_attn.q_proj.weight": (HEADS * HEAD_WIDTH, HIDDEN),
            f"{prefix}.self_attn.k_proj.weight": (KEY_HEADS * HEAD_WIDTH, HIDDEN),
            f"{prefix}.self_attn.v_proj.weight": (KEY_HEADS * HEAD_WIDTH, HIDDEN),
            f"{prefix}.self_attn.o_proj.weight": (HIDDEN, HEADS * HEAD_WIDTH),
            f"{prefix}.mlp.gate_proj.weight": (INTERMEDIATE, HIDDEN),
            f"{prefix}.mlp.up_proj.weight": (INTERMEDIATE, HIDDEN),
            f"{prefix}.mlp.down_proj.weight": (HIDDEN, INTERMEDIATE),
            **{f"{prefix}.{norm}.weight": (HIDDEN,) for norm in norms},
        }
    return shapes


def _write(folder: Path, config: Mapping[str, Any], shapes: Mapping[str, tuple[int, ...]], seed: int) -> None:
    """Uniform values in the order of the names; norms near 1, which Gemma stores as what they differ from it."""
    random = np.random.RandomState(seed)
    is_gemma = "gemma" in config["model_type"]
    tensors = {}
    for name in sorted(shapes):
        is_norm = "norm" in name
        reach = 0.1 if is_norm else 1.0 if "embed" in name else 0.6 if "attn" in name else 0.3
        centre = 1.0 if is_norm and not is_gemma else 0.0
        values = random.random_sample(shapes[name]) * 2 - 1
        tensors[name] = (centre + reach * values).astype(np.float32)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    _write_json(folder / "config.json", config)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False), "utf-8")
