"""Model folders of what was trained, in every layout asked for, and the delta file.

The folder ``model`` holds trivec's own layout, which is a sentence-transformers folder with the right pooling at the
same time, has an ONNX graph, and carries the heads also as the two ``.pt`` files that FlagEmbedding reads. A backbone
that no graph can be made of is saved in the bge-m3 layout, or, with the dense vector alone, as sentence-transformers.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from trivec.encode.checkpoints.bge_m3 import write_pickled_heads
from trivec.encode.checkpoints.checkpoint import Checkpoint
from trivec.encode.checkpoints.export import Layout, copy_kept_files, export_checkpoint
from trivec.encode.checkpoints.weights import WEIGHTS_FILE
from trivec.encode.onnx_graph import unsupported_reason
from trivec.errors import InputError
from trivec.scoring import M3_WEIGHTS
from trivec.tensorfile import write_json, write_tensors
from trivec.train.model import TrainableEncoder
from trivec.train.trained import backbone_tensors, delta_tensors, trained_checkpoint

logger = logging.getLogger(__name__)

DELTA_FILE = "delta.safetensors"


def save_model(encoder: TrainableEncoder, folder: Path, name: str, layouts: Sequence[Layout] = ("trivec",)) -> Path:
    """Write a trained model below a folder: ``model``, and each further layout under its own name.

    What is there already from an earlier attempt is replaced. Where the training can be told in one,
    ``delta.safetensors`` is written too.

    Args:
        encoder: the model.
        folder: of the run.
        name: of the model.
        layouts: the first becomes ``model``.

    Returns:
        The folder of the model.
    """
    with tempfile.TemporaryDirectory(prefix=".model.", suffix=".tmp", dir=folder) as scratch:
        checkpoint = _stage(encoder, Path(scratch), name)
        usable = list(dict.fromkeys(_usable(checkpoint, layout) for layout in layouts))
        for number, layout in enumerate(usable):
            _replace(checkpoint, folder / (layout if number else "model"), layout)
    write_delta(encoder, folder)
    return folder / "model"


def _stage(encoder: TrainableEncoder, folder: Path, name: str) -> Checkpoint:
    """The trained weights beside the tokenizer, as exports read them."""
    checkpoint = trained_checkpoint(encoder, folder)
    write_json(folder / "config.json", dict(checkpoint.config))
    write_tensors(folder / WEIGHTS_FILE, backbone_tensors(encoder), {"format": "pt"})
    copy_kept_files(encoder.checkpoint.folder, folder)
    settings = dict(checkpoint.settings)
    if "sparse" in encoder.heads:  # what was tuned for a model without this head does not fit one with it
        weights = {head: M3_WEIGHTS[head] for head in _heads(checkpoint)}
        settings = {"fusion": "weighted-sum", "weights": weights}
    return replace(checkpoint, name=name, layout="plain", settings=settings)


def _heads(checkpoint: Checkpoint) -> list[str]:
    there = {"dense": True, "sparse": checkpoint.sparse is not None, "multi": checkpoint.multi is not None}
    return [head for head, is_there in there.items() if is_there]


def _usable(checkpoint: Checkpoint, layout: Layout) -> Layout:
    """The layout, or the nearest that can hold the model."""
    reason = unsupported_reason(checkpoint) if layout == "trivec" else None
    has_heads = checkpoint.sparse is not None or checkpoint.trained_multi is not None
    if reason is None and (layout != "bge-m3" or has_heads):
        return layout
    other: Layout = "bge-m3" if has_heads and layout != "bge-m3" else "sentence-transformers"
    logger.warning("the layout %s does not hold this model (%s): written as %s", layout, reason or "no heads", other)
    return other


def _replace(checkpoint: Checkpoint, folder: Path, layout: Layout) -> None:
    """Write a model folder beside its place, then put it there."""
    with replaced(folder) as written:
        export_checkpoint(checkpoint, written, layout, pickled=layout == "bge-m3")
        if layout == "trivec":
            write_pickled_heads(checkpoint, written)


@contextmanager
def replaced(folder: Path) -> Iterator[Path]:
    """A place beside a folder; what is written there takes the folder's place at the end."""
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent) as scratch:
        written = Path(scratch) / folder.name
        yield written
        if folder.exists():
            folder.rename(Path(scratch) / "replaced")
        written.rename(folder)


def write_delta(encoder: TrainableEncoder, folder: Path) -> None:
    """Write ``delta.safetensors`` below a folder, if a delta can tell what was trained."""
    try:
        tensors, metadata = delta_tensors(encoder)
    except InputError:
        return  # weights changed that no delta holds
    if tensors:
        write_tensors(folder / DELTA_FILE, tensors, metadata)
