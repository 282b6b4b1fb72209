"""trivec's own layout: ``trivec.json`` says everything, and ONNX Runtime needs no torch to run it.

    trivec.json        name, digests of the heads, precision, terms of the lexical head, default search settings
    config.json        of the backbone
    model.safetensors  the backbone, float32
    model.onnx         the graph, pointing into model.safetensors
    heads.safetensors  trained heads, if any
    tokenizer.json
    int8-*.graph       the quantised graph, if the precision is int8

The sentence-transformers files lie beside them: pooling, dense layers, prompts and length are read from there, and
the dense part loads there too. The graph holds copies of the heads and dense layers; the digests in the manifest see
to it that these are the ones in the files, which torch reads.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from trivec.encode.checkpoints import bge_m3, plain, sentence_transformers
from trivec.encode.checkpoints.checkpoint import Checkpoint, MultiHead, Precision
from trivec.encode.sparse_terms import SparseTerms
from trivec.encode.training_free import training_free_head
from trivec.errors import CorruptModelError
from trivec.tensorfile import replacing, write_json

MANIFEST = "trivec.json"
GRAPH_FILE = "model.onnx"
FORMAT_VERSION = 1
_MAX_SEED = 2**32 - 1


def matches(folder: Path) -> bool:
    """Whether the folder has this layout."""
    return (folder / MANIFEST).is_file()


def read(folder: Path) -> Checkpoint:
    """Read the manifest and the heads that it names.

    Raises:
        CorruptModelError: the manifest was written by a newer trivec or is damaged, or the heads are not those that
            it names.
    """
    manifest = _read_manifest(folder / MANIFEST)
    base = sentence_transformers.read(folder)
    sparse, multi = bge_m3.read_heads(folder, base.hidden_size)
    free = _training_free(folder / MANIFEST, manifest, base.hidden_size)
    checkpoint = replace(
        base,
        layout="trivec",
        name=str(manifest.get("name", folder.name)),
        sparse=sparse,
        multi=free if multi is None else MultiHead(multi),
        precision=_one_of(folder / MANIFEST, manifest, "precision", Precision),
        sparse_terms=_one_of(folder / MANIFEST, manifest, "sparse_terms", SparseTerms),
        settings=manifest.get("search", {}),
    )
    _check_heads(checkpoint, manifest.get("heads", {}))
    return checkpoint


def _read_manifest(path: Path) -> dict[str, Any]:
    manifest = plain.read_json(path)
    version = plain.whole_number(path, manifest, "format")
    if version > FORMAT_VERSION:
        raise CorruptModelError(
            f"{path} has format {version}, this trivec reads up to {FORMAT_VERSION}: upgrade trivec"
        )
    if not isinstance(manifest.get("search", {}), dict):
        raise plain.unexpected(path, f"has {manifest['search']!r} for search, where an object should be")
    return manifest


def _training_free(path: Path, manifest: Mapping[str, Any], hidden_size: int) -> MultiHead | None:
    free = manifest.get("training_free")
    if free is None:
        return None
    if not isinstance(free, dict):
        raise plain.unexpected(path, f"has {free!r} for training_free, where an object should be")
    width = plain.whole_number(path, free, "width", most=hidden_size)
    return training_free_head(hidden_size, width, plain.whole_number(path, free, "seed", least=0, most=_MAX_SEED))


def _one_of(path: Path, manifest: Mapping[str, Any], key: str, kind: Any) -> Any:  # noqa: ANN401
    """The value of a key, one of those that a Literal lists; the first if there is none."""
    known = get_args(kind)
    value = manifest.get(key, known[0])
    if value not in known:
        raise plain.unexpected(path, f"has {value!r} for {key}, where {' or '.join(known)} should be")
    return value


def _check_heads(checkpoint: Checkpoint, recorded: object) -> None:
    found = _head_digests(checkpoint)
    if found != recorded:
        raise CorruptModelError(
            f"{checkpoint.folder} holds the heads {found}, but {MANIFEST} and {GRAPH_FILE} were made with {recorded}: "
            "export the model again"
        )


def _head_digests(checkpoint: Checkpoint) -> dict[str, str]:
    """A digest of each layer that a file and the graph both hold; training-free ones are in no file."""
    linears = {"sparse": checkpoint.sparse, "multi": checkpoint.trained_multi}
    linears |= {f"dense {number}": module.linear for number, module in enumerate(checkpoint.dense_modules, start=1)}
    return {name: linear.digest for name, linear in linears.items() if linear is not None}


def write(checkpoint: Checkpoint, folder: Path) -> None:
    """Write the manifest, the sentence-transformers files and the trained heads; the backbone is there already."""
    sentence_transformers.write(checkpoint, folder)
    bge_m3.write_heads(checkpoint, folder)
    multi = checkpoint.multi
    free = None if multi is None or multi.seed is None else {"width": checkpoint.multi_width, "seed": multi.seed}
    manifest = {
        "format": FORMAT_VERSION,
        "name": checkpoint.name,
        "heads": _head_digests(checkpoint),
        "training_free": free,
        "precision": checkpoint.precision,
        "sparse_terms": checkpoint.sparse_terms,
        "search": dict(checkpoint.settings),
    }
    write_json(folder / MANIFEST, manifest)


def keep_graph(folder: Path, content: bytes) -> None:
    """Put a serialised graph beside the weights, whole or not at all, in the place of an earlier one."""
    with replacing(folder / GRAPH_FILE) as temporary:
        temporary.write_bytes(content)


def write_graph(folder: Path) -> None:
    """Write the ONNX graph of a folder that is complete otherwise, and the quantised one if that is the precision."""
    from trivec.encode.onnx_graph import build_graph

    checkpoint = read(folder)
    keep_graph(folder, build_graph(checkpoint).SerializeToString())
    if checkpoint.precision != "float32":
        from trivec.encode.quantized_files import write_beside

        write_beside(checkpoint)
