"""The bge-m3 layout: an XLM-RoBERTa folder with ``sparse_linear.pt`` and ``colbert_linear.pt`` beside it.

Each ``.pt`` is a state dict {weight, bias}, read weights-only; the width of the multi-vectors is that of the file.
``heads.safetensors`` is the same without pickle or torch: ``sparse.weight`` (1, d), ``sparse.bias`` (1,),
``multi.weight`` (c, d), ``multi.bias`` (c,). A folder may hold one head and not the other: the missing one stays
missing, and is never filled with random numbers.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from trivec.encode.checkpoints import plain, sentence_transformers
from trivec.encode.checkpoints.checkpoint import Checkpoint, Linear, MultiHead
from trivec.encode.checkpoints.weights import read_linear, read_state_dict
from trivec.errors import CorruptModelError, require
from trivec.tensorfile import memory_map, replacing, write_tensors

HEADS_FILE = "heads.safetensors"
SPARSE_FILE, MULTI_FILE = "sparse_linear.pt", "colbert_linear.pt"
_TENSORS = ("sparse.weight", "sparse.bias", "multi.weight", "multi.bias")


def matches(folder: Path) -> bool:
    """Whether the folder has this layout."""
    return any((folder / name).is_file() for name in (HEADS_FILE, SPARSE_FILE, MULTI_FILE))


def read(folder: Path) -> Checkpoint:
    """Read the heads; pooling is CLS with normalisation, there are no prompts."""
    is_bare = not sentence_transformers.matches(folder)
    checkpoint = plain.read(folder) if is_bare else sentence_transformers.read(folder)
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
        sparse, multi = _from_safetensors(folder / HEADS_FILE)
    else:
        sparse, multi = _from_pickle(folder / SPARSE_FILE), _from_pickle(folder / MULTI_FILE)
    if sparse is not None:
        sparse.check(f"the sparse head in {folder}", hidden_size, outputs=1)
    if multi is not None:
        multi.check(f"the multi-vector head in {folder}", hidden_size)
    return sparse, multi


def heads_from_tensors(tensors: Mapping[str, Any]) -> tuple[Linear | None, Linear | None]:
    """The lexical and the multi-vector head out of the tensors of a ``heads.safetensors``."""
    return read_linear(tensors, "sparse."), read_linear(tensors, "multi.")


def stray_tensors(names: Collection[str]) -> list[str]:
    """Those that make no head: tensors of another name, and a bias without its weight."""
    return sorted(name for name in names if name not in _TENSORS or name.replace("bias", "weight") not in names)


def _from_safetensors(path: Path) -> tuple[Linear | None, Linear | None]:
    tensors = memory_map(path)
    stray = stray_tensors(tensors)
    if stray or not tensors:
        raise CorruptModelError(f"{path} holds {stray}, which make no head: fetch or export the model again")
    return heads_from_tensors(tensors)


def _from_pickle(path: Path) -> Linear | None:
    if not path.is_file():
        return None
    state = read_state_dict(path)
    linear = read_linear(state, "")
    if linear is None:
        raise CorruptModelError(f"{path} is no state dict of a linear layer (it holds {list(state)}): fetch it again")
    return linear


def write_heads(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the trained heads, as they are, as ``heads.safetensors``."""
    tensors = {}
    for name, linear in (("sparse", checkpoint.sparse), ("multi", checkpoint.trained_multi)):
        if linear is not None:
            tensors[f"{name}.weight"] = linear.weight
            tensors |= {} if linear.bias is None else {f"{name}.bias": linear.bias}
    if tensors:
        write_tensors(folder / HEADS_FILE, tensors, {"format": "pt"})


def write_pickled_heads(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the two ``.pt`` files, as FlagEmbedding reads them: never without a bias."""
    torch = require("torch", "torch", "writing .pt files")
    for name, linear in ((SPARSE_FILE, checkpoint.sparse), (MULTI_FILE, checkpoint.trained_multi)):
        if linear is None:
            continue
        bias = np.zeros(linear.width, np.float32) if linear.bias is None else linear.bias
        with replacing(folder / name) as temporary:
            torch.save({"weight": torch.tensor(linear.weight), "bias": torch.tensor(bias)}, temporary)
