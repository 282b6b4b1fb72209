"""trivec's own layout: ``trivec.json`` says everything, and ONNX Runtime needs no torch to run it.

    trivec.json        name, pooling, prompts, length, heads, default search settings
    config.json        of the backbone
    model.safetensors  the backbone, float32
    model.onnx         the graph, pointing into model.safetensors
    heads.safetensors  trained heads, if any
    tokenizer.json

The sentence-transformers files lie beside them, so the dense part loads there too.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from trivec.encode.checkpoints import bge_m3, plain, sentence_transformers
from trivec.encode.checkpoints.checkpoint import Checkpoint, MultiHead
from trivec.encode.training_free import training_free_head
from trivec.errors import CorruptModelError
from trivec.tensorfile import write_json

MANIFEST = "trivec.json"
GRAPH_FILE = "model.onnx"
FORMAT_VERSION = 1


def matches(folder: Path) -> bool:
    """Whether the folder has this layout."""
    return (folder / MANIFEST).is_file()


def read(folder: Path) -> Checkpoint:
    """Read the manifest and the heads that it names.

    Raises:
        CorruptModelError: the manifest was written by a newer trivec, or is not complete.
    """
    manifest = plain.read_json(folder / MANIFEST)
    if int(manifest.get("format", 0)) > FORMAT_VERSION:
        raise CorruptModelError(
            f"{folder / MANIFEST} has format {manifest['format']}, this trivec reads up to {FORMAT_VERSION}: "
            "upgrade trivec"
        )
    base = sentence_transformers.read(folder)
    sparse, multi = bge_m3.read_heads(folder, base.hidden_size)
    return replace(
        base,
        layout="trivec",
        name=str(manifest.get("name", folder.name)),
        sparse=sparse,
        multi=_multi_head(manifest, base.hidden_size) if multi is None else MultiHead(multi),
        settings=manifest.get("search", {}),
    )


def _multi_head(manifest: dict[str, Any], hidden_size: int) -> MultiHead | None:
    free = manifest.get("training_free")
    return None if free is None else training_free_head(hidden_size, free["width"], free["seed"])


def write(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the manifest, the sentence-transformers files and the trained heads; the backbone is there already."""
    sentence_transformers.write(checkpoint, folder)
    multi = checkpoint.multi
    free = None if multi is None or multi.seed is None else {"width": checkpoint.multi_width, "seed": multi.seed}
    bge_m3.write_heads(checkpoint if free is None else replace(checkpoint, multi=None), folder)
    manifest = {
        "format": FORMAT_VERSION,
        "name": checkpoint.name,
        "training_free": free,
        "search": dict(checkpoint.settings),
    }
    write_json(folder / MANIFEST, manifest)


def write_graph(folder: Path) -> None:
    """Write the ONNX graph of a folder that is complete otherwise."""
    from trivec.encode.onnx_graph import build_graph

    (folder / GRAPH_FILE).write_bytes(build_graph(read(folder)).SerializeToString())
