"""Writing a model folder in any layout, whole or not at all."""

from __future__ import annotations

import logging
import shutil
import tempfile
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

from trivec.encode.checkpoints import bge_m3, native, plain, sentence_transformers
from trivec.encode.checkpoints.checkpoint import Checkpoint
from trivec.encode.checkpoints.weights import WEIGHTS_FILE, read_weights
from trivec.errors import CorruptModelError, InputError, ModelError
from trivec.tensorfile import memory_map, write_json, write_tensors

Layout: TypeAlias = Literal["trivec", "bge-m3", "sentence-transformers", "plain"]
LAYOUTS: tuple[Layout, ...] = get_args(Layout)

logger = logging.getLogger(__name__)

_KEPT = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "sentencepiece.bpe.model", "vocab.txt",
         "NOTICE", "LICENSE")  # fmt: skip


def export_checkpoint(checkpoint: Checkpoint, folder: Path, layout: Layout = "trivec", pickled: bool = False) -> None:
    """Write a model as a new folder.

    Args:
        checkpoint: what to write.
        folder: must not exist yet.
        layout: ``trivec`` holds an ONNX graph and needs no torch to run; ``bge-m3`` keeps trained heads as
            ``heads.safetensors``; ``sentence-transformers`` and ``plain`` keep the dense part only, ``plain`` only
            that of a model that says nothing of its own: CLS pooling, normalised, no prompts.
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
    if layout == "bge-m3" and checkpoint.sparse is not None and checkpoint.sparse_terms == "folded":
        logger.warning(
            "the bge-m3 layout does not say that %s weighs the terms of the lower-cased text: whoever reads it takes "
            "each token's own id",
            checkpoint.name,
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent) as name:
        written = Path(name) / folder.name
        _write(checkpoint, written, layout, pickled)
        written.rename(folder)


def _check(checkpoint: Checkpoint, layout: Layout) -> None:
    if layout == "bge-m3" and checkpoint.sparse is None and checkpoint.trained_multi is None:
        raise ModelError(f"{checkpoint.name} has no trained head for the bge-m3 layout: choose another layout")
    lost = _lost(checkpoint, layout)
    if lost:
        raise ModelError(
            f"the {layout} layout cannot hold what {checkpoint.name} has ({', '.join(lost)}): choose another layout"
        )


def _lost(checkpoint: Checkpoint, layout: Layout) -> list[str]:
    """What shapes the dense vectors of a model and would be another in a folder of the layout."""
    lost = {
        "vectors that are not normalised": layout in ("plain", "bge-m3") and not checkpoint.normalize,
        f"{checkpoint.precision} weights": layout != "trivec" and checkpoint.precision != "float32",
    }
    if layout == "plain":
        limit = plain.position_limit(checkpoint.folder / plain.CONFIG_FILE, checkpoint.config)
        lost |= {
            f"{checkpoint.pooling} pooling": checkpoint.pooling != "cls",
            "dense layers": bool(checkpoint.dense_modules),
            "prompts": bool(checkpoint.query_prompt or checkpoint.document_prompt),
            "lower-casing": checkpoint.lowercase,
            f"a limit of {checkpoint.max_length} tokens": checkpoint.max_length < limit,
        }
    return [words for words, there in lost.items() if there]


def _write(checkpoint: Checkpoint, folder: Path, layout: Layout, pickled: bool) -> None:
    folder.mkdir()
    write_json(folder / "config.json", dict(checkpoint.config))
    write_tensors(folder / WEIGHTS_FILE, backbone_tensors(checkpoint.folder), {"format": "pt"})
    copy_kept_files(checkpoint.folder, folder)
    if layout == "trivec":
        native.write(checkpoint, folder)
        native.write_graph(folder)
    elif layout != "plain":
        sentence_transformers.write(checkpoint, folder)
    if layout == "bge-m3":
        bge_m3.write_heads(checkpoint, folder)
        if pickled:
            bge_m3.write_pickled_heads(checkpoint, folder)


def copy_kept_files(source: Path, folder: Path) -> None:
    """Copy what stays as it is whatever happens to the weights: the tokenizer's files, and notices."""
    for name in _KEPT:
        if (source / name).is_file():
            shutil.copyfile(source / name, folder / name)


def backbone_tensors(folder: Path) -> dict[str, Any]:
    """All weights of a folder's backbone: one safetensors file, several, or a pickle.

    Raises:
        CorruptModelError: there are none, a part is missing, or a file is damaged.
    """
    index = folder / f"{WEIGHTS_FILE}.index.json"
    if (folder / WEIGHTS_FILE).is_file() or not index.is_file():
        return read_weights(folder)
    tensors: dict[str, Any] = {}
    for part in _parts(index):
        if not (folder / part).is_file():
            raise CorruptModelError(f"{folder} lacks {part}: fetch the model again")
        tensors |= memory_map(folder / part)
    return tensors


def _parts(index: Path) -> list[str]:
    places = plain.read_json(index).get("weight_map")
    if not isinstance(places, dict) or not all(isinstance(part, str) for part in places.values()):
        raise plain.unexpected(index, "has no weight_map from tensors to files")
    return sorted(set(places.values()))
