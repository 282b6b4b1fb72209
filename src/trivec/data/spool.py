"""Examples in a folder that can be read at any number, without holding texts in memory.

``examples`` has a JSON line for each, ``offsets`` where each line starts and the last one ends, as unsigned 64-bit
little-endian numbers.
"""

from __future__ import annotations

import hashlib
import os
import weakref
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from trivec.data.examples import Example, to_json
from trivec.data.rows import example_of
from trivec.data.writing import json_line

_TEXTS, _OFFSETS = "examples", "offsets"
_OFFSET_BYTES = 8
_BUFFER = 1 << 20


class SpoolWriter:
    """Writes such a folder. Use it in a ``with`` block: when the block ends, everything is on disk."""

    def __init__(self, folder: Path) -> None:
        self._texts = (folder / _TEXTS).open("wb", _BUFFER)
        self._offsets = (folder / _OFFSETS).open("wb")
        self._digest = hashlib.sha256()
        self.count = 0
        self.size = 0
        """Bytes of the examples."""

    def add(self, example: Example) -> None:
        """Write one more.

        Raises:
            InputError: it holds what JSON cannot.
        """
        fields = json_line(to_json(example), example.place)
        self._digest.update(fields)
        self._end_of_line()
        self.size += self._texts.write(b"[" + fields[:-1] + b"," + orjson.dumps(example.place) + b"]\n")
        self.count += 1

    @property
    def digest(self) -> str:
        """SHA-256 of the examples so far, without the places where they were read."""
        return self._digest.hexdigest()

    def __enter__(self) -> SpoolWriter:
        return self

    def __exit__(self, *error: object) -> None:
        self._end_of_line()
        for file in (self._texts, self._offsets):
            file.flush()
            os.fsync(file.fileno())
            file.close()

    def _end_of_line(self) -> None:
        self._offsets.write(self.size.to_bytes(_OFFSET_BYTES, "little"))


def is_whole(folder: Path, count: int, size: int) -> bool:
    """Whether the files are there and as long as they were when written."""
    try:
        sizes = [(folder / name).stat().st_size for name in (_TEXTS, _OFFSETS)]
    except FileNotFoundError:
        return False
    return sizes == [size, _OFFSET_BYTES * (count + 1)]


class Spool:
    """Reads such a folder. Threads and forked processes may share one."""

    def __init__(self, folder: Path) -> None:
        self._offsets = np.memmap(folder / _OFFSETS, "<u8", mode="r")
        self._handle = os.open(folder / _TEXTS, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self._handle)

    def __len__(self) -> int:
        return len(self._offsets) - 1

    def __getitem__(self, number: int) -> Example:
        """The example of this number, from 0."""
        start, end = int(self._offsets[number]), int(self._offsets[number + 1])
        fields: Any
        fields, place = orjson.loads(os.pread(self._handle, end - start, start))
        return example_of(fields, place)
