"""Writing a model folder in any layout, whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from trivec.encode.checkpoints import bge_m3, native, sentence_transformers
from trivec.encode.checkpoints.checkpoint import Checkpoint
from trivec.encode.checkpoints.plain import read_json
from trivec.errors import CorruptModelError, InputError, ModelError, require
from trivec.tensorfile import memory_map, write_json, write_tensors

Layout: TypeAlias = Literal["trivec", "bge-m3", "sentence-transformers", "plain"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)

_WEIGHTS = "model.safetensors"
_KEPT = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "sentencepiece.bpe.model", "vocab.txt",
         "NOTICE", "LICENSE")  # fmt: skip


def export_checkpoint(checkpoint: Checkpoint, folder: Path, layout: Layout = "trivec", pickled: bool = False) -> None:
    """Write a model as a new folder.

    Args:
        checkpoint: what to write.
        folder: must not exist yet.
        layout: ``trivec`` holds an ONNX graph and needs no torch to run; ``bge-m3`` keeps trained heads as
            ``heads.safetensors``; ``sentence-transformers`` and ``plain`` keep the dense part only.
        pickled: for ``bge-m3``, also write ``sparse_linear.pt`` and ``colbert_linear.pt``, which FlagEmbedding reads.

    Raises:
        InputError: the folder exists, or the layout is not known.
        ModelError: the layout cannot hold this model.
    """
    if layout not in LAYOUTS:
        raise InputError(f"there is no layout {layout!r}: choose one of {', '.join(LAYOUTS)}")
    if folder.exists():
        raise InputError(f"{folder} exists: choose a new folder, or remove it")
    _check(checkpoint, layout)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent) as name:
        written = Path(name) / folder.name
        _write(checkpoint, written, layout, pickled)
        written.rename(folder)


def _check(checkpoint: Checkpoint, layout: Layout) -> None:
    free = checkpoint.multi is not None and checkpoint.multi.seed is not None
    if layout == "bge-m3" and checkpoint.sparse is None and (checkpoint.multi is None or free):
        raise ModelError(f"{checkpoint.name} has no trained head for the bge-m3 layout: choose another layout")


def _write(checkpoint: Checkpoint, folder: Path, layout: Layout, pickled: bool) -> None:
    folder.mkdir()
    write_json(folder / "config.json", dict(checkpoint.config))
    write_tensors(folder / _WEIGHTS, backbone_tensors(checkpoint.folder), {"format": "pt"})
    for name in _KEPT:
        if (checkpoint.folder / name).is_file():
            shutil.copyfile(checkpoint.folder / name, folder / name)
    if layout == "trivec":
        native.write(checkpoint, folder)
        native.write_graph(folder)
    elif layout != "plain":
        sentence_transformers.write(checkpoint, folder)
    if layout == "bge-m3":
        bge_m3.write_heads(checkpoint, folder)
        if pickled:
            bge_m3.write_pickled_heads(checkpoint, folder)


def backbone_tensors(folder: Path) -> dict[str, Any]:
    """All weights of a folder's backbone: one safetensors file, several, or a pickle read weights-only.

    Raises:
        CorruptModelError: there are none, or a part is missing.
    """
    if (folder / _WEIGHTS).is_file():
        return memory_map(folder / _WEIGHTS)
    index = folder / f"{_WEIGHTS}.index.json"
    if index.is_file():
        parts = sorted(set(read_json(index)["weight_map"].values()))
        missing = [part for part in parts if not (folder / part).is_file()]
        if missing:
            raise CorruptModelError(f"{folder} lacks {missing[0]}: fetch the model again")
        return {name: tensor for part in parts for name, tensor in memory_map(folder / part).items()}
    if (folder / "pytorch_model.bin").is_file():
        torch = require("torch", "torch", f"reading {folder / 'pytorch_model.bin'}")
        state = torch.load(folder / "pytorch_model.bin", map_location="cpu", weights_only=True)
        return {name: tensor.float().numpy() for name, tensor in state.items() if tensor.is_floating_point()}
    raise CorruptModelError(f"{folder} holds no weights ({_WEIGHTS} or pytorch_model.bin): fetch the model again")
