"""Tiny random checkpoints in the layouts that published models have.

    write_tiny_m3(folder)        bge-m3: XLM-RoBERTa, Unigram tokenizer, the sparse and the multi-vector head
    write_tiny_bert(folder)      BERT with WordPiece, as a plain folder or as sentence-transformers saves it
    write_tiny_roberta(folder)   RoBERTa with byte-level BPE, a plain folder
    write_tiny_reranker(folder)  bge-reranker: XLM-RoBERTa with a classification head of one output; or BERT with one

The folders load in transformers, sentence-transformers and FlagEmbedding. Two layers, hidden width 32. The
weights are uniform draws of `np.random.RandomState`, the same on every machine, and wide enough that
similarities come out with both signs and most, not all, lexical weights are above zero. The vocabularies
spell most scripts letter by letter, so that text in any of them becomes more than unknown tokens.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save_file

from tiny_vocabularies import (
    BERT_NAMES,
    MAX_LENGTH,
    XLMR_NAMES,
    byte_level_tokenizer,
    byte_level_vocabulary,
    unigram_tokenizer,
    unigram_vocabulary,
    wordpiece_tokenizer,
    wordpiece_vocabulary,
    write_json,
    write_tokenizer,
)

Tensors = dict[str, NDArray[Any]]
Shapes = Mapping[str, tuple[int, ...]]
Dtype = Literal["float32", "float16", "bfloat16"]
WeightsFile = Literal["safetensors", "bin"]
Pooling = Literal["cls", "mean", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"]

HIDDEN = 32
LAYERS = 2
ATTENTION_HEADS = 4
INTERMEDIATE = 64
POOLINGS: dict[Pooling, str] = {
    "cls": "pooling_mode_cls_token",
    "mean": "pooling_mode_mean_tokens",
    "max": "pooling_mode_max_tokens",
    "mean_sqrt_len_tokens": "pooling_mode_mean_sqrt_len_tokens",
    "weightedmean": "pooling_mode_weightedmean_tokens",
    "lasttoken": "pooling_mode_lasttoken",
}


def write_tiny_m3(
    folder: Path,
    heads: Literal["pt", "safetensors"] | None = "pt",
    multi_width: int = HIDDEN,
    dtype: Dtype = "float32",
    weights: WeightsFile = "safetensors",
    seed: int = 0,
) -> Path:
    """A checkpoint laid out as bge-m3: encoder, tokenizer, heads, and the files of sentence-transformers.

    Args:
        folder: created if it is not there.
        heads: files of the heads. "pt": `sparse_linear.pt` and `colbert_linear.pt`, as published;
            "safetensors": one `heads.safetensors`; None: no heads.
        multi_width: c, width of the multi-vectors.
        dtype: of the tensors in all files.
        weights: `model.safetensors` or `pytorch_model.bin`.
        seed: of the weights.
    """
    vocabulary = unigram_vocabulary()
    tokenizer = unigram_tokenizer(vocabulary)
    config = _config("xlm-roberta", len(vocabulary), pad=1, positions=MAX_LENGTH + 2, token_types=1, dtype=dtype)
    _write_encoder(folder, config, dtype, weights, seed)
    write_tokenizer(folder, tokenizer, XLMR_NAMES, "XLMRobertaTokenizer")
    _write_sentence_transformers(folder, "cls", HIDDEN, normalize=True)
    if heads is not None:
        _write_heads(folder, heads, multi_width, dtype, seed + 1)
    return folder


def write_tiny_bert(
    folder: Path,
    layout: Literal["plain", "sentence-transformers"] = "plain",
    pooling: Pooling = "cls",
    dense_module: bool = False,
    normalize: bool = True,
    prompts: Mapping[str, str] | None = None,
    release: Literal["classic", "current"] = "classic",
    dtype: Dtype = "float32",
    weights: WeightsFile = "safetensors",
    seed: int = 0,
) -> Path:
    """A BERT checkpoint with a lower-casing WordPiece tokenizer.

    Args:
        folder: created if it is not there.
        layout: "plain" is what transformers saves; ``pooling`` to ``release`` are for the other.
        pooling: of the token states.
        dense_module: add a layer ``tanh(W x + b)`` to width 16 after the pooling.
        normalize: end with unit length.
        prompts: by name, such as ``{"query": "query: ", "document": "passage: "}``.
        release: how the files spell all this: "classic" as in most published folders, or "current".
        dtype: of the tensors.
        weights: `model.safetensors` or `pytorch_model.bin`.
        seed: of the weights.
    """
    vocabulary = wordpiece_vocabulary()
    config = _config("bert", len(vocabulary), pad=0, positions=MAX_LENGTH, token_types=2, dtype=dtype)
    _write_encoder(folder, config, dtype, weights, seed)
    write_tokenizer(folder, wordpiece_tokenizer(vocabulary), BERT_NAMES, "BertTokenizer", do_lower_case=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    if layout == "sentence-transformers":
        dense_width = HIDDEN // 2 if dense_module else None
        _write_sentence_transformers(folder, pooling, HIDDEN, normalize, dense_width, prompts, release, seed + 1)
    return folder


def write_tiny_roberta(
    folder: Path, dtype: Dtype = "float32", weights: WeightsFile = "safetensors", seed: int = 0
) -> Path:
    """A RoBERTa checkpoint with a byte-level BPE tokenizer, as transformers saves it."""
    vocabulary, merges = byte_level_vocabulary()
    config = _config("roberta", len(vocabulary), pad=1, positions=MAX_LENGTH + 2, token_types=1, dtype=dtype)
    _write_encoder(folder, config, dtype, weights, seed)
    write_tokenizer(folder, byte_level_tokenizer(vocabulary, merges), XLMR_NAMES, "RobertaTokenizer")
    write_json(folder / "vocab.json", {piece: number for number, piece in enumerate(vocabulary)})
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *map(" ".join, merges)]) + "\n", encoding="utf-8")
    return folder


def write_tiny_reranker(
    folder: Path, kind: Literal["xlm-roberta", "bert"] = "xlm-roberta", outputs: int = 1, seed: int = 0
) -> Path:
    """A cross-encoder as transformers saves it: bge-reranker's layout, or BERT's with its pooler.

    Args:
        folder: created if it is not there.
        kind: the architecture.
        outputs: of the head.
        seed: of the weights.
    """
    if kind == "bert":
        write_tiny_bert(folder, seed=seed)
        prefix, name = "bert.", "BertForSequenceClassification"
        head = _linear("classifier", HIDDEN, outputs)
    else:
        write_tiny_m3(folder, heads=None, seed=seed)
        prefix, name = "roberta.", "XLMRobertaForSequenceClassification"
        head = _linear("classifier.dense", HIDDEN, HIDDEN) | _linear("classifier.out_proj", HIDDEN, outputs)
    for path in ("modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"):
        (folder / path).unlink(missing_ok=True)
    shutil.rmtree(folder / "1_Pooling", ignore_errors=True)
    weights = folder / "model.safetensors"
    backbone = {f"{prefix}{key}": tensor for key, tensor in _read_tensors(weights).items()}
    backbone = {key: tensor for key, tensor in backbone.items() if kind == "bert" or "pooler" not in key}
    _write_tensors(weights, backbone | _draw(head, seed + 1), "float32")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    labels = {str(number): f"LABEL_{number}" for number in range(outputs)}
    config |= {"architectures": [name], "id2label": labels, "label2id": {name: int(n) for n, name in labels.items()}}
    write_json(folder / "config.json", config)
    return folder


def write_tiny_reranker_delta(path: Path, base: Path, seed: int = 0) -> Path:
    """Of an encoder, a delta that makes a reranker of it: an update of one weight, and a head."""
    random = np.random.RandomState(seed)
    width = json.loads((base / "config.json").read_text("utf-8"))["hidden_size"]
    name = "encoder.layer.0.attention.self.query.weight"
    tensors = {
        f"{name}.lora_a": random.normal(size=(2, width)),
        f"{name}.lora_b": random.normal(size=(width, 2)),
        "inner.weight": random.normal(size=(width, width)),
        "inner.bias": random.normal(size=width),
        "last.weight": random.normal(size=(1, width)),
        "last.bias": random.normal(size=1),
    }
    halves = {key: value.astype(np.float16) for key, value in tensors.items()}
    save_file(halves, path, metadata={"format": "pt", "scale": "0.5"})
    return path


def checkpoint_digest(folder: Path) -> str:
    """Sixteen hexadecimal digits over every tensor and every JSON file of a folder."""
    digest = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.suffix == ".json":
            digest.update(json.dumps(json.loads(path.read_text("utf-8")), sort_keys=True).encode())
        elif path.suffix in (".safetensors", ".bin", ".pt"):
            for name, tensor in sorted(_read_tensors(path).items()):
                digest.update(f"{name} {tensor.dtype} {tensor.shape}".encode() + tensor.tobytes())
    return digest.hexdigest()[:16]


def _config(
    model_type: str, vocabulary: int, pad: int, positions: int, token_types: int, dtype: Dtype
) -> dict[str, Any]:
    architecture = {"xlm-roberta": "XLMRobertaModel", "bert": "BertModel", "roberta": "RobertaModel"}[model_type]
    config = {
        "architectures": [architecture],
        "attention_probs_dropout_prob": 0.1,
        "classifier_dropout": None,
        "hidden_act": "gelu",
        "hidden_dropout_prob": 0.1,
        "hidden_size": HIDDEN,
        "initializer_range": 0.02,
        "intermediate_size": INTERMEDIATE,
        "layer_norm_eps": 1e-12 if model_type == "bert" else 1e-5,
        "max_position_embeddings": positions,
        "model_type": model_type,
        "num_attention_heads": ATTENTION_HEADS,
        "num_hidden_layers": LAYERS,
        "pad_token_id": pad,
        "position_embedding_type": "absolute",
        "torch_dtype": dtype,
        "type_vocab_size": token_types,
        "use_cache": True,
        "vocab_size": vocabulary,
    }
    if model_type != "bert":
        config |= {"bos_token_id": 0, "eos_token_id": 2}
    return config


def _encoder_shapes(config: Mapping[str, Any]) -> Shapes:
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (config["vocab_size"], HIDDEN),
        "embeddings.position_embeddings.weight": (config["max_position_embeddings"], HIDDEN),
        "embeddings.token_type_embeddings.weight": (config["type_vocab_size"], HIDDEN),
        **_layer_norm("embeddings.LayerNorm"),
        **_linear("pooler.dense", HIDDEN, HIDDEN),
    }
    for layer in range(LAYERS):
        prefix = f"encoder.layer.{layer}"
        for part in ("query", "key", "value"):
            shapes |= _linear(f"{prefix}.attention.self.{part}", HIDDEN, HIDDEN)
        shapes |= _linear(f"{prefix}.attention.output.dense", HIDDEN, HIDDEN)
        shapes |= _layer_norm(f"{prefix}.attention.output.LayerNorm")
        shapes |= _linear(f"{prefix}.intermediate.dense", HIDDEN, INTERMEDIATE)
        shapes |= _linear(f"{prefix}.output.dense", INTERMEDIATE, HIDDEN)
        shapes |= _layer_norm(f"{prefix}.output.LayerNorm")
    return shapes


def _linear(name: str, width_in: int, width_out: int) -> Shapes:
    return {f"{name}.weight": (width_out, width_in), f"{name}.bias": (width_out,)}


def _layer_norm(name: str) -> Shapes:
    return {f"{name}.weight": (HIDDEN,), f"{name}.bias": (HIDDEN,)}


def _draw(shapes: Shapes, seed: int) -> Tensors:
    """Uniform values in the order of the names.

    Attention is wide and the feed-forward output narrow, so that texts differ: gelu has a positive mean,
    which would otherwise turn all states towards one direction.
    """
    random = np.random.RandomState(seed)
    tensors: Tensors = {}
    for name in sorted(shapes):
        values = random.random_sample(shapes[name]) * 2 - 1
        tensors[name] = (_centre(name) + _reach(name) * values).astype(np.float32)
    return tensors


def _centre(name: str) -> float:
    return 1.0 if name.endswith("LayerNorm.weight") else 0.0


def _reach(name: str) -> float:
    if "LayerNorm" in name or name.endswith("bias"):
        return 0.1
    if "word_embeddings" in name:
        return 1.0
    if "attention" in name:
        return 0.7
    if "position_embeddings" in name or "token_type_embeddings" in name:
        return 0.3
    return 0.1 if ".output.dense" in name or name == "sparse.weight" else 0.5


def _write_encoder(folder: Path, config: Mapping[str, Any], dtype: Dtype, weights: WeightsFile, seed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", config)
    name = "model.safetensors" if weights == "safetensors" else "pytorch_model.bin"
    _write_tensors(folder / name, _draw(_encoder_shapes(config), seed), dtype)


def _write_heads(folder: Path, files: Literal["pt", "safetensors"], width: int, dtype: Dtype, seed: int) -> None:
    sparse = _draw(_linear("sparse", HIDDEN, 1), seed)
    multi = _draw(_linear("multi", HIDDEN, width), seed)
    if files == "safetensors":
        _write_tensors(folder / "heads.safetensors", sparse | multi, dtype)
        return
    for name, tensors in (("sparse_linear.pt", sparse), ("colbert_linear.pt", multi)):
        _write_tensors(folder / name, {key.split(".")[1]: tensor for key, tensor in tensors.items()}, dtype)


def _write_tensors(path: Path, tensors: Tensors, dtype: Dtype) -> None:
    if path.suffix == ".safetensors" and dtype != "bfloat16":
        arrays = {name: tensor.astype(dtype) for name, tensor in tensors.items()}
        save_file(arrays, path, metadata={"format": "pt"})
        return
    import torch
    from safetensors.torch import save_file as save_torch_file

    converted = {name: torch.from_numpy(tensor).to(getattr(torch, dtype)) for name, tensor in tensors.items()}
    if path.suffix == ".safetensors":
        save_torch_file(converted, path, metadata={"format": "pt"})
    else:
        torch.save(converted, path)


def _read_tensors(path: Path) -> Tensors:
    """Tensors of a file; bfloat16 ones as float32, which holds them exactly."""
    import torch
    from safetensors.torch import load_file

    if path.suffix == ".safetensors":
        tensors = load_file(path)
    else:
        tensors = torch.load(path, map_location="cpu", weights_only=True)
    return {name: (t.float() if t.dtype == torch.bfloat16 else t).numpy() for name, t in tensors.items()}


def _write_sentence_transformers(
    folder: Path,
    pooling: Pooling,
    width: int,
    normalize: bool,
    dense_width: int | None = None,
    prompts: Mapping[str, str] | None = None,
    release: Literal["classic", "current"] = "classic",
    seed: int = 0,
) -> None:
    modules = ["Transformer", "Pooling"]
    modules += ["Dense"] if dense_width is not None else []
    modules += ["Normalize"] if normalize else []
    write_json(folder / "modules.json", [_module(number, name, release) for number, name in enumerate(modules)])
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": MAX_LENGTH, "do_lower_case": False})
    write_json(
        folder / "config_sentence_transformers.json",
        {"prompts": dict(prompts or {}), "default_prompt_name": None, "similarity_fn_name": "cosine"},
    )
    write_json(folder / "1_Pooling" / "config.json", _pooling_config(pooling, width, release))
    if dense_width is not None:
        _write_dense_module(folder / "2_Dense", width, dense_width, seed)


def _module(number: int, name: str, release: Literal["classic", "current"]) -> dict[str, Any]:
    path = "" if number == 0 else f"{number}_{name}"
    if release == "classic":
        kind = f"sentence_transformers.models.{name}"
    else:
        base = "base" if name in ("Transformer", "Dense") else "sentence_transformer"
        kind = f"sentence_transformers.{base}.modules.{name.lower()}.{name}"
    return {"idx": number, "name": str(number), "path": path, "type": kind}


def _pooling_config(pooling: Pooling, width: int, release: Literal["classic", "current"]) -> dict[str, Any]:
    if release == "current":
        return {"embedding_dimension": width, "pooling_mode": pooling, "include_prompt": True}
    flags = {flag: mode == pooling for mode, flag in POOLINGS.items()}
    return {"word_embedding_dimension": width, **flags, "include_prompt": True}


def _write_dense_module(folder: Path, width_in: int, width_out: int, seed: int) -> None:
    tensors = _draw(_linear("linear", width_in, width_out), seed)
    config = {
        "in_features": width_in,
        "out_features": width_out,
        "bias": True,
        "activation_function": "torch.nn.modules.activation.Tanh",
    }
    write_json(folder / "config.json", config)
    _write_tensors(folder / "model.safetensors", tensors, "float32")
