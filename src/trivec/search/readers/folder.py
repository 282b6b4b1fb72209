"""The files of a folder tree, in an order that is the same everywhere.

A folder that holds ``corpus.jsonl`` (or ``corpus.jsonl.gz``) is a BEIR data set: of it only the corpus is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from trivec.encode.tokenizer import clean_text
from trivec.errors import InputError
from trivec.search.readers.formats import SUFFIXES, Format, format_of, suffix_of
from trivec.search.readers.reading import Found, Reading, SourceFile
from trivec.search.readers.report import describe

BEIR_CORPORA = ("corpus.jsonl", "corpus.jsonl.gz")

_MADE_BY_US = (("library.json", "store"), ("vectors.json", "part-00000.safetensors"))
"""What a library's folder and a folder of vectors hold: they are no source of documents to a folder around them."""


def read_folder(root: Path, reading: Reading) -> Iterator[Found]:
    """Documents of all files of known formats below a folder.

    Raises:
        InputError: there is no such file.
    """
    corpus = next((root / name for name in BEIR_CORPORA if os.path.isfile(root / name)), None)
    if corpus is not None:
        yield from read_file(corpus, corpus.name, reading)
        return
    wanted = wanted_suffixes(reading.options.suffixes)
    files = 0
    for path in _walk(root, reading):
        if format_of(path) is None or suffix_of(path).removesuffix(".gz") not in wanted:
            reading.report.other_files[suffix_of(path) or "no suffix"] += 1
            continue
        files += 1
        yield from read_file(path, path.relative_to(root).as_posix(), reading)
    if files == 0:
        others = reading.report.other_files
        seen = f"only other files ({describe(others)})" if others else "nothing"
        raise InputError(f"{root}: {seen} in this folder: it must hold {', '.join(wanted)} (and .gz of text) files")


def read_file(path: Path, name: str, reading: Reading) -> Iterator[Found]:
    """Documents of one file; if it breaks off, what came before is kept and the rest is bad."""
    kind = known_format(path)
    try:
        yield from kind.read(SourceFile(path, clean_text(name), kind.unit), reading)
    except InputError as error:
        reading.bad(error)


def known_format(path: Path) -> Format:
    """How this file is read.

    Raises:
        InputError: its format is unknown.
    """
    kind = format_of(path)
    if kind is None:
        raise InputError(
            f"{path}: unknown kind of file {suffix_of(path)!r}: rename it to one of {', '.join(SUFFIXES)} "
            '(or .gz of text), or pipe it in as "-"'
        )
    return kind


def wanted_suffixes(asked: tuple[str, ...]) -> tuple[str, ...]:
    """The suffixes to take from a folder, with their dots.

    Raises:
        InputError: one is not that of a known format.
    """
    wanted = tuple(f".{suffix.lower().removeprefix('.').removesuffix('.gz')}" for suffix in asked)
    unknown = [given for given, suffix in zip(asked, wanted, strict=True) if suffix not in SUFFIXES]
    if unknown:
        raise InputError(f"unknown suffix {unknown[0]!r}: take some of {', '.join(SUFFIXES)}")
    return wanted or SUFFIXES


def _walk(folder: Path, reading: Reading) -> Iterator[Path]:
    """Regular files, sorted by name within each folder; hidden ones, libraries and links to folders are passed over."""
    try:
        with os.scandir(folder) as found:
            entries = sorted((entry for entry in found if not entry.name.startswith(".")), key=lambda e: e.name)
    except OSError as error:
        reading.bad(InputError(f"{folder}: this folder cannot be read ({error.strerror}): check its permissions"))
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False):
            if any(all(os.path.exists(os.path.join(entry, name)) for name in names) for names in _MADE_BY_US):
                continue
            yield from _walk(Path(entry.path), reading)
        elif not entry.is_dir() and (entry.is_file() or entry.is_symlink()):
            yield Path(entry.path)
