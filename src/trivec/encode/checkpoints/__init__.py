"""Model folders on disk, one file per layout. `read_checkpoint` finds out which one it is."""

from __future__ import annotations

from pathlib import Path

from trivec.encode.checkpoints import bge_m3, native, plain, sentence_transformers
from trivec.encode.checkpoints.checkpoint import Checkpoint, DenseModule, Linear, MultiHead, Pooling
from trivec.errors import UnknownModelError

__all__ = ["Checkpoint", "DenseModule", "Linear", "MultiHead", "Pooling", "read_checkpoint"]


def read_checkpoint(folder: Path) -> Checkpoint:
    """Read a model folder of any known layout.

    Raises:
        UnknownModelError: the folder is no model folder.
        CorruptModelError: a file in it is missing or damaged.
    """
    if native.matches(folder):
        return native.read(folder)
    if bge_m3.matches(folder):
        return bge_m3.read(folder)
    if sentence_transformers.matches(folder):
        return sentence_transformers.read(folder)
    if (folder / "config.json").is_file():
        return plain.read(folder)
    raise UnknownModelError(f"{folder} is no model folder: it has no config.json, modules.json or trivec.json")
