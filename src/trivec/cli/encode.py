"""``trivec encode``: texts to files of vectors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

from trivec.cli.flags import DEFAULT_OUTPUT, DEFAULT_READ, OutputFlags, Precision, ReadFlags, SourceList

if TYPE_CHECKING:
    from trivec.encode.encoder import Encoder

Prompt = Literal["query", "document", "none"]
LongText = Literal["cut", "windows", "mcls"]


def encode(
    sources: SourceList,
    /,
    *,
    out: Path,
    heads: Annotated[tuple[Literal["dense", "sparse", "multi", "terms"], ...], Parameter(consume_multiple=True)] = (),
    model: str | None = None,
    precision: Precision | None = None,
    prompt: Prompt = "document",
    max_length: int | None = None,
    long_text: LongText = "cut",
    shard_size: int = 4096,
    reading: ReadFlags = DEFAULT_READ,
    output: OutputFlags = DEFAULT_OUTPUT,
) -> int:
    """Write the vectors of texts to files.

    For example:
      trivec encode texts.jsonl --out vectors --heads dense multi
      trivec encode queries.txt --out queries --prompt query

    Each document is encoded whole, its title before its text; what is
    longer than the model's window is cut, unless --long-text says otherwise.
    The folder gets, for every 4096 documents, part-00000.safetensors (read it
    with Embeddings.load) and part-00000.ids.txt (one id a line, as JSON), and
    vectors.json. Run again after an interruption, finished parts are kept.

    Args:
        sources: Files, folders, libraries, or - for standard input.
        out: Folder of the vectors.
        heads: Which vectors: dense, sparse, multi, terms. Without it: all
            that the model has but terms.
        model: A name that trivec models lists, or a folder. Without it:
            m3-small.
        precision: float32, or int8 for a model that is quantised. Without it:
            what the model's folder says, else float32.
        prompt: Which of the model's prompts goes before every text.
        max_length: Tokens a text. Without it: the model's own.
        long_text: What becomes of longer texts: cut drops their end, windows
            encodes all of them in overlapping windows, mcls with several CLS
            tokens (for models with CLS pooling).
        shard_size: Documents a part; a part is held in memory.
    """
    from dataclasses import asdict

    from trivec.cli.output import emit_summary, print_facts
    from trivec.cli.sources import Sources
    from trivec.cli.vector_parts import VectorFolder, write_parts
    from trivec.encode.catalogue import DEFAULT_MODEL
    from trivec.encode.encoder import EncodeOptions
    from trivec.encode.loading import load
    from trivec.errors import InputError

    if shard_size < 1:
        raise InputError(f"--shard-size must be at least 1, got {shard_size}")
    documents = Sources(sources, reading.options())
    encoder = load(DEFAULT_MODEL if model is None else model, precision=precision)
    wanted = heads or tuple(head for head in encoder.heads if head != "terms")
    options = EncodeOptions(wanted, max_length, progress=output.progress, long_text=long_text)
    folder = VectorFolder.open(out, encoder, _prompt(encoder, prompt), options, shard_size)
    written = write_parts(folder, documents)
    for line in documents.warnings:
        output.note(line)
    facts = [("texts", f"{written.texts:,}"), ("parts", f"{written.parts:,}"), ("parts kept", f"{written.kept:,}"),
             ("heads", " ".join(wanted)), ("model", encoder.name), ("folder", str(out))]  # fmt: skip
    result = {"folder": str(out), "model": encoder.name, "heads": list(wanted), **asdict(written)}
    emit_summary(output, result, lambda: print_facts(facts))
    return 0


def _prompt(encoder: Encoder, prompt: Prompt) -> str:
    checkpoint = encoder.checkpoint
    return {"query": checkpoint.query_prompt, "document": checkpoint.document_prompt, "none": ""}[prompt]
