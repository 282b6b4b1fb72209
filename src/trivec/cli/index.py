"""``trivec index``: sources to a library."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from trivec.cli.flags import (
    DEFAULT_LONG,
    DEFAULT_OUTPUT,
    DEFAULT_READ,
    LongFlags,
    OutputFlags,
    Precision,
    ReadFlags,
    SourceList,
)

if TYPE_CHECKING:
    from trivec.encode.encoder import Encoder


def index(
    sources: SourceList,
    /,
    *,
    out: Path,
    model: str | None = None,
    precision: Precision | None = None,
    store: Literal["native", "embedded"] | None = None,
    first_stage: Literal["exact", "fixed-encoding"] | None = None,
    long: LongFlags = DEFAULT_LONG,
    reading: ReadFlags = DEFAULT_READ,
    output: OutputFlags = DEFAULT_OUTPUT,
) -> int:
    """Make a library from files, folders or standard input.

    For example:
      trivec index docs/ --out library
      trivec index products.csv --text-field name --text-field about --out shop
      zcat dump.jsonl.gz | trivec index - --out library
      trivec index library --out new-library --model BAAI/bge-m3

    Reads .txt .md .html .pdf .jsonl .json .csv .tsv .parquet (text also as
    .gz) and BEIR folders. Long documents are cut into passages. A source
    that is a library gives its documents, embedded again with the model.

    If the library is there already, documents are added to it: those with
    an id it knows are replaced, and unchanged ones cost nothing. Stopped by
    Ctrl-C, the same command goes on where it was.

    Args:
        sources: Files, folders, libraries, or - for standard input: one JSON
            object a line, or one text a line.
        out: Folder of the library.
        model: A name that trivec models lists, or a folder. Without it:
            m3-small, or the model of the library that is there.
        precision: float32, or int8 for a model that is quantised: faster, and its
            vectors differ a little. A library keeps the precision it was made
            with. Name --model too if it is not m3-small.
        store: What keeps a new library's vectors: native, or embedded for
            Qdrant Edge.
        first_stage: How a new library is searched by multi-vectors alone (search
            --mode multi): exact, or fixed-encoding, which is faster in a large
            library and can miss some.
    """
    from trivec.cli.filling import fill, tell
    from trivec.cli.sources import Sources
    from trivec.encode.loading import resolve
    from trivec.errors import InputError
    from trivec.search.opening import open_collection

    documents = Sources(sources, reading.options(), out)
    if model is not None:
        resolve(model)
    if not documents.look_ahead():
        reasons = "; ".join(line.strip() for line in documents.warnings)
        raise InputError(f"{', '.join(sources)}: no documents{f' ({reasons})' if reasons else ''}: name other sources")
    encoder, long_documents = _in_precision(model, precision), long.options()
    with open_collection(
        out, encoder, store=store, long_documents=long_documents, multi_first_stage=first_stage
    ) as library:
        filling = fill(library, documents, output)
    tell(filling, output)
    return 0


def _in_precision(model: str | None, precision: Precision | None) -> str | Encoder | None:
    if precision is None:
        return model
    from trivec.encode.catalogue import DEFAULT_MODEL
    from trivec.encode.loading import load

    return load(DEFAULT_MODEL if model is None else model, precision=precision)
