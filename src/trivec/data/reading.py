"""`read_examples`: files and folders of any known format to a stream of examples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from trivec.data.bad_lines import BadLines
from trivec.data.examples import Example
from trivec.data.rows import examples_of
from trivec.data.sources import Source, find_sources
from trivec.encode.tokenizer import clean_text
from trivec.errors import InputError
from trivec.search.readers.reading import Reading, SourceFile


def read_examples(
    paths: Sequence[Path], format: str = "auto", bad: BadLines | None = None, encoding: str | None = None
) -> Iterator[Example]:
    """Stream the examples of files and folders, in the order given. Nothing but the example at hand is in memory.

    Args:
        paths: ``.jsonl``, ``.ndjson``, ``.json``, ``.csv``, ``.tsv`` (plain, gzip or Zstandard), ``.parquet``,
            ``.arrow``; folders of these, in BEIR's layout, or written by Hugging Face's ``save_to_disk``.
        format: one of `trivec.data.formats.FORMAT_NAMES`; ``auto`` goes by the suffix.
        bad: what to do with bad lines, and the record of them. Default: raise at the first.
        encoding: of text files. Default: UTF-8; a byte order mark wins over both.

    Raises:
        InputError: at once if a path cannot be used; while iterating at the first bad line, unless they are skipped.
        MissingPackageError: a format needs a package that is not installed.
    """
    rule = bad or BadLines()
    sources = find_sources(paths, format)
    reading = rule.reading(encoding)
    return (example for source in sources for example in read_source(source, reading))


def read_source(source: Source, reading: Reading) -> Iterator[Example]:
    """Stream the examples of one data set; if a file breaks off, what came before is kept and the rest is bad."""
    for path in source.parts:
        file = SourceFile(path, clean_text(source.name), source.format.unit)
        try:
            yield from examples_of(source.format.read(file, reading), reading, source.own_group_only)
        except InputError as error:
            reading.bad(error)
