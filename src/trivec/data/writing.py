"""`write_examples`: a jsonl file of examples, whole or not at all; equal examples give equal bytes."""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

import orjson

from trivec.data.examples import Example, to_json
from trivec.errors import InputError, require
from trivec.tensorfile import replacing


def write_examples(path: Path, examples: Iterable[Example]) -> int:
    """Write one example a line, in FlagEmbedding's fields, and say how many there were.

    A file that is there is replaced when all is written; if the examples end in an error, it stays.

    Args:
        path: compressed if it ends in ``.gz`` or ``.zst``.
        examples: taken one by one.

    Raises:
        InputError: an example holds what JSON cannot.
        MissingPackageError: ``.zst`` is asked for and zstandard is not installed.
    """
    count = 0
    with replacing(path) as temporary, _compressed(temporary, path.suffix.lower()) as file:
        for example in examples:
            file.write(json_line(to_json(example), example.place))
            count += 1
    return count


def json_line(value: object, place: str) -> bytes:
    """A value as one line of JSON.

    Raises:
        InputError: JSON has no such values; ``place`` says whose they are.
    """
    try:
        return orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE)
    except orjson.JSONEncodeError as error:
        raise InputError(
            f"{place or 'an example'}: cannot be written as JSON ({error}): leave out or change its extra fields"
        ) from error


@contextlib.contextmanager
def _compressed(path: Path, suffix: str) -> Iterator[IO[bytes] | Any]:
    """A file to write to; the bytes on disk say neither when nor under what name they were written."""
    with path.open("wb") as file:
        if suffix == ".gz":
            with gzip.GzipFile(filename="", mode="wb", compresslevel=6, fileobj=file, mtime=0) as stream:
                yield stream
        elif suffix == ".zst":
            zstandard = require("zstandard", "train", f"writing {path}")
            with zstandard.ZstdCompressor(level=9).stream_writer(file, closefd=False) as stream:
                yield stream
        else:
            yield file
