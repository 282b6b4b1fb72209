"""sentence-transformers folders: ``modules.json`` names pooling, dense layers and normalisation; prompts beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from trivec.encode.checkpoints import plain
from trivec.encode.checkpoints.checkpoint import Activation, Checkpoint, DenseModule, Pooling
from trivec.encode.checkpoints.weights import WEIGHTS_FILE, read_linear, read_weights
from trivec.errors import CorruptModelError, ModelError
from trivec.tensorfile import write_json, write_tensors

_POOLING_KEYS: dict[str, Pooling] = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_lasttoken": "last",
}
_POOLING_NAMES: dict[str, Pooling] = {"cls": "cls", "mean": "mean", "max": "max", "lasttoken": "last"}
_ACTIVATIONS: dict[str, Activation] = {"Identity": "identity", "Tanh": "tanh"}
_QUERY_NAMES, _DOCUMENT_NAMES = ("query",), ("document", "passage", "corpus")


def matches(folder: Path) -> bool:
    """Whether the folder has this layout."""
    return (folder / "modules.json").is_file()


def read(folder: Path) -> Checkpoint:
    """Read pooling, dense layers, normalisation, prompts and length; the backbone may lie in a sub-folder.

    Raises:
        ModelError: the folder uses a module that is not known here.
        CorruptModelError: a file is missing or damaged.
    """
    modules = _modules(folder)
    backbone = folder / modules[0]["path"]
    checkpoint = replace(plain.read(backbone), layout="sentence-transformers", name=folder.name, normalize=False)
    pooling: Pooling | None = None
    dense_modules: list[DenseModule] = []
    for module in modules[1:]:
        kind = module["type"].rsplit(".", 1)[-1]
        if kind == "Pooling":
            pooling = _read_pooling(folder / module["path"])
        elif kind == "Dense":
            dense_modules.append(_read_dense(folder / module["path"], checkpoint, dense_modules))
        elif kind == "Normalize":
            checkpoint = replace(checkpoint, normalize=True)
        elif kind != "Dropout":  # which does nothing after training
            raise ModelError(f"{folder} uses the module {module['type']}, which is not known: export it without it")
    if pooling is None:
        raise ModelError(f"{folder / 'modules.json'} names no pooling module: add one")
    query_prompt, document_prompt = _read_prompts(folder)
    max_length, lowercase = _read_transformer(backbone, checkpoint.max_length)
    return replace(
        checkpoint,
        pooling=pooling,
        dense_modules=tuple(dense_modules),
        query_prompt=query_prompt,
        document_prompt=document_prompt,
        max_length=max_length,
        lowercase=lowercase,
    )


def _modules(folder: Path) -> list[dict[str, Any]]:
    """The entries of ``modules.json`` in their order, a Transformer first."""
    path = folder / "modules.json"
    modules = plain.parse_json(path)
    if not isinstance(modules, list) or not modules or not all(map(_is_module, modules)):
        raise plain.unexpected(path, "cannot be read (it is no list of modules with idx, path and type)")
    modules.sort(key=lambda module: int(module["idx"]))
    if modules[0]["type"].rsplit(".", 1)[-1] != "Transformer":
        raise ModelError(f"{path} begins with {modules[0]['type']}, not with a Transformer: it is no text encoder")
    return modules


def _is_module(entry: object) -> bool:
    return isinstance(entry, dict) and [type(entry.get(key)) for key in ("idx", "path", "type")] == [int, str, str]


def _read_pooling(folder: Path) -> Pooling:
    config = plain.read_json(folder / "config.json")
    if config.get("include_prompt") is False:
        raise ModelError(
            f"{folder / 'config.json'} leaves prompts out of the pooling: only models that pool them too are known"
        )
    named = config.get("pooling_mode") or []
    names = [named] if isinstance(named, str) else named
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise plain.unexpected(folder / "config.json", f"has {named!r} for pooling_mode, where a name should be")
    modes: list[str] = [*names, *(key for key, on in config.items() if key.startswith("pooling_mode_") and on is True)]
    known: dict[str, str] = {**_POOLING_NAMES, **_POOLING_KEYS}
    asked = {known.get(mode, mode) for mode in modes}
    chosen = [pooling for pooling in _POOLING_NAMES.values() if asked == {pooling}]
    if not chosen:
        raise ModelError(
            f"{folder / 'config.json'} asks for pooling {sorted(asked)}: one of cls, mean, max, lasttoken is known"
        )
    return chosen[0]


def _read_dense(folder: Path, backbone: Checkpoint, before: Sequence[DenseModule]) -> DenseModule:
    config = plain.read_json(folder / "config.json")
    activation = str(config.get("activation_function", "torch.nn.modules.activation.Tanh")).rsplit(".", 1)[-1]
    if activation not in _ACTIVATIONS:
        raise ModelError(f"{folder} uses the activation {activation}: only {', '.join(_ACTIVATIONS)} are known")
    weights = read_weights(folder)
    linear = read_linear(weights, "linear.")
    if linear is None:
        raise CorruptModelError(f"{folder} holds {sorted(weights)} and no linear.weight: fetch the model again")
    width, source = (before[-1].linear.width, "a layer") if before else (backbone.hidden_size, "a backbone")
    linear.check(f"the dense layer in {folder}", width, source=source)
    return DenseModule(linear, _ACTIVATIONS[activation])


def _read_prompts(folder: Path) -> tuple[str, str]:
    path = folder / "config_sentence_transformers.json"
    config = plain.read_json(path) if path.is_file() else {}
    if config.get("truncate_dim"):
        raise ModelError(f"{path} truncates to {config['truncate_dim']} dimensions, which is not supported: remove it")
    prompts = config.get("prompts") or {}
    if not isinstance(prompts, dict) or not all(isinstance(prompt, str) for prompt in prompts.values()):
        raise plain.unexpected(path, f"has {prompts!r} for prompts, where an object of texts should be")
    query = next((prompts[name] for name in _QUERY_NAMES if prompts.get(name)), "")
    document = next((prompts[name] for name in _DOCUMENT_NAMES if prompts.get(name)), "")
    return query, document


def _read_transformer(backbone: Path, limit: int) -> tuple[int, bool]:
    """Length and lower-casing by ``sentence_bert_config.json``, under any of its historical names."""
    for name in ("sentence_bert_config.json", "sentence_roberta_config.json", "sentence_xlm-roberta_config.json"):
        path = backbone / name
        if path.is_file():
            config = plain.read_json(path)
            if config.get("max_seq_length") is not None:
                limit = min(limit, plain.whole_number(path, config, "max_seq_length"))
            return limit, bool(config.get("do_lower_case"))
    return limit, False


def write(checkpoint: Checkpoint, folder: Path) -> None:
    """Write everything but the backbone itself: modules, pooling, dense layers, prompts, length."""
    types = ["Transformer", "Pooling", *["Dense"] * len(checkpoint.dense_modules)]
    types += ["Normalize"] if checkpoint.normalize else []
    paths = ["", *(f"{index}_{kind}" for index, kind in enumerate(types) if index)]
    write_json(
        folder / "modules.json",
        [
            {"idx": index, "name": str(index), "path": path, "type": f"sentence_transformers.models.{kind}"}
            for index, (kind, path) in enumerate(zip(types, paths, strict=True))
        ],
    )
    keys = {key: checkpoint.pooling == mode for key, mode in _POOLING_KEYS.items()}
    write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": checkpoint.hidden_size, **keys})
    for index, module in enumerate(checkpoint.dense_modules, start=2):
        _write_dense(module, folder / f"{index}_Dense")
    if checkpoint.normalize:
        (folder / paths[-1]).mkdir(exist_ok=True)
    write_json(
        folder / "sentence_bert_config.json",
        {"max_seq_length": checkpoint.max_length, "do_lower_case": checkpoint.lowercase},
    )
    prompts = {"query": checkpoint.query_prompt, "document": checkpoint.document_prompt}
    write_json(
        folder / "config_sentence_transformers.json",
        {"prompts": prompts, "default_prompt_name": None, "similarity_fn_name": "cosine"},
    )


def _write_dense(module: DenseModule, folder: Path) -> None:
    names = {"identity": "torch.nn.modules.linear.Identity", "tanh": "torch.nn.modules.activation.Tanh"}
    linear = module.linear
    write_json(
        folder / "config.json",
        {
            "in_features": int(linear.weight.shape[1]),
            "out_features": linear.width,
            "bias": linear.bias is not None,
            "activation_function": names[module.activation],
        },
    )
    tensors = {"linear.weight": linear.weight} | ({} if linear.bias is None else {"linear.bias": linear.bias})
    write_tensors(folder / WEIGHTS_FILE, tensors, {"format": "pt"})
