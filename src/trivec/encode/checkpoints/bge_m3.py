"""The bge-m3 layout: an XLM-RoBERTa folder with ``sparse_linear.pt`` and ``colbert_linear.pt`` beside it.

Each ``.pt`` is a state dict {weight, bias}, read weights-only; the width of the multi-vectors is that of the file.
``heads.safetensors`` is the same without pickle or torch: ``sparse.weight`` (1, d), ``sparse.bias`` (1,),
``multi.weight`` (c, d), ``multi.bias`` (c,). A folder may hold one head and not the other: the missing one stays
missing, and is never filled with random numbers.
"""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trivec.encode.checkpoints import plain, sentence_transformers
from trivec.encode.checkpoints.checkpoint import Checkpoint, Linear, MultiHead
from trivec.errors import CorruptModelError, require
from trivec.tensorfile import memory_map, replacing, write_tensors

HEADS_FILE = "heads.safetensors"
SPARSE_FILE, MULTI_FILE = "sparse_linear.pt", "colbert_linear.pt"


def matches(folder: Path) -> bool:
    """Whether the folder has this layout."""
    return any((folder / name).is_file() for name in (HEADS_FILE, SPARSE_FILE, MULTI_FILE))


def read(folder: Path) -> Checkpoint:
    """Read the heads; pooling is CLS with normalisation, there are no prompts."""
    checkpoint = plain.read(folder)
    if sentence_transformers.matches(folder):
        checkpoint = sentence_transformers.read(folder)
    sparse, multi = read_heads(folder, checkpoint.hidden_size)
    return replace(
        checkpoint,
        layout="bge-m3",
        normalize=True,
        sparse=sparse,
        multi=None if multi is None else MultiHead(multi),
    )


def read_heads(folder: Path, hidden_size: int) -> tuple[Linear | None, Linear | None]:
    """The lexical and the multi-vector head, each None if its file is not there.

    Raises:
        CorruptModelError: a head does not fit the backbone.
    """
    if (folder / HEADS_FILE).is_file():
        sparse, multi = heads_from_tensors(memory_map(folder / HEADS_FILE))
    else:
        sparse, multi = _from_pickle(folder / SPARSE_FILE), _from_pickle(folder / MULTI_FILE)
    for linear, rows, name in ((sparse, 1, "sparse"), (multi, None, "multi-vector")):
        if linear is None:
            continue
        if linear.weight.shape[1] != hidden_size or (rows is not None and linear.width != rows):
            raise CorruptModelError(
                f"the {name} head in {folder} has shape {linear.weight.shape}, which does not fit a backbone of width "
                f"{hidden_size}: the files belong to different models"
            )
    return sparse, multi


def heads_from_tensors(tensors: Mapping[str, Any]) -> tuple[Linear | None, Linear | None]:
    """The lexical and the multi-vector head out of the tensors of a ``heads.safetensors``."""
    return _from_tensors(tensors, "sparse."), _from_tensors(tensors, "multi.")


def _from_tensors(tensors: Mapping[str, Any], prefix: str) -> Linear | None:
    if f"{prefix}weight" not in tensors:
        return None
    bias = tensors.get(f"{prefix}bias")
    weight = np.asarray(tensors[f"{prefix}weight"], np.float32)
    return Linear(weight, None if bias is None else np.asarray(bias, np.float32))


def _from_pickle(path: Path) -> Linear | None:
    if not path.is_file():
        return None
    torch = require("torch", "torch", f"reading {path.name}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        return _from_tensors({name: tensor.float().numpy() for name, tensor in state.items()}, "")
    except (pickle.UnpicklingError, RuntimeError, EOFError, AttributeError, OSError) as error:
        raise CorruptModelError(f"{path} is no state dict of a linear layer ({error}): fetch it again") from error


def write_heads(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the trained heads as ``heads.safetensors``."""
    named = (("sparse", checkpoint.sparse), ("multi", checkpoint.multi.linear if checkpoint.multi else None))
    tensors = {}
    for name, linear in named:
        if linear is not None:
            tensors[f"{name}.weight"] = linear.weight
            tensors[f"{name}.bias"] = np.zeros(linear.width, np.float32) if linear.bias is None else linear.bias
    if tensors:
        write_tensors(folder / HEADS_FILE, tensors, {"format": "pt"})


def write_pickled_heads(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the two ``.pt`` files, as FlagEmbedding reads them."""
    torch = require("torch", "torch", "writing .pt files")
    multi = checkpoint.multi.linear if checkpoint.multi is not None else None
    for name, linear in ((SPARSE_FILE, checkpoint.sparse), (MULTI_FILE, multi)):
        if linear is None:
            continue
        bias = np.zeros(linear.width, np.float32) if linear.bias is None else linear.bias
        with replacing(folder / name) as temporary:
            torch.save({"weight": torch.tensor(linear.weight), "bias": torch.tensor(bias)}, temporary)
