"""Reading safetensors files as memory maps, and writing files that are whole or not there at all.

The ``safetensors`` package writes the files; reading is done here because its numpy reader copies, while a
map costs nothing until a row is touched, and because ONNX Runtime is pointed at byte offsets in the same file.
"""

from __future__ import annotations

import contextlib
import json
import math
import mmap
import os
import struct
import tempfile
import weakref
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivec.errors import CorruptModelError

_DTYPES: dict[str, str] = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2",
    "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?",
}  # fmt: skip
_CODES = {np.dtype(form): code for code, form in _DTYPES.items() if code != "BF16"}
_MAX_HEADER_BYTES = 100_000_000
_MAX_DIMENSIONS = 32
_MAX_NUMBERS = 1 << 48  # an empty tensor fits its bytes with any width, numpy's integers do not hold any


@dataclass(frozen=True, slots=True)
class TensorPlace:
    """Where one tensor lies in a file: ``offset`` and ``length`` in bytes from the file's start."""

    dtype: str
    shape: tuple[int, ...]
    offset: int
    length: int


def read_header(path: Path) -> tuple[dict[str, TensorPlace], dict[str, str]]:
    """Places of all tensors, and the file's metadata.

    Raises:
        CorruptModelError: the file is not whole safetensors.
    """
    try:
        header, start = _read_json(path)
        metadata = _check_metadata(header.pop("__metadata__", {}))
        places = {name: _place(name, entry, start) for name, entry in header.items()}
        end = max((place.offset + place.length for place in places.values()), default=start)
        size = path.stat().st_size
        if end > size:
            raise ValueError(f"it should have {end} bytes and has {size}")
    except (ValueError, RecursionError, struct.error) as error:
        raise CorruptModelError(f"{path} is not a whole safetensors file ({error}): fetch or write it again") from error
    return places, metadata


def _read_json(path: Path) -> tuple[dict[str, object], int]:
    """The header as it stands in the file, and where the tensors' bytes start."""
    with path.open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        if length > min(path.stat().st_size, _MAX_HEADER_BYTES):
            raise ValueError(f"its header claims {length} bytes")
        header = json.loads(file.read(length))
    if not isinstance(header, dict):
        raise ValueError(f"its header is no object but a {type(header).__name__}")
    return header, 8 + length


def _check_metadata(metadata: object) -> dict[str, str]:
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError(f"its metadata is no mapping of texts to texts: {metadata!r}")
    return metadata


def _place(name: str, entry: object, start: int) -> TensorPlace:
    if not isinstance(entry, dict) or not {"dtype", "shape", "data_offsets"} <= entry.keys():
        raise ValueError(f"tensor {name!r} is described as {entry!r}")
    dtype, shape, span = entry["dtype"], _whole_numbers(entry["shape"]), _whole_numbers(entry["data_offsets"])
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ValueError(f"tensor {name!r} has dtype {dtype!r}, not one of {', '.join(_DTYPES)}")
    if len(shape) > _MAX_DIMENSIONS or math.prod(max(n, 1) for n in shape) > _MAX_NUMBERS:
        raise ValueError(f"no array can have the shape {shape} of tensor {name!r}")
    if len(span) != 2 or span[1] - span[0] != math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize:
        raise ValueError(f"tensor {name!r} of dtype {dtype} and shape {shape} does not fit its bytes {span}")
    return TensorPlace(dtype, shape, start + span[0], span[1] - span[0])


def _whole_numbers(value: object) -> tuple[int, ...]:
    if not isinstance(value, list) or not all(type(n) is int and n >= 0 for n in value):
        raise ValueError(f"{value!r} is no list of whole numbers")
    return tuple(value)


class FileMap(mmap.mmap):
    """A file as read-only memory, with the open file beside it for those who would rather read than map."""

    handle: int

    @classmethod
    def open(cls, path: Path) -> FileMap:
        """Map a whole file. It stays open as long as the map or an array in it lives."""
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            opened = cls(handle, 0, access=mmap.ACCESS_READ)
        except BaseException:
            os.close(handle)
            raise
        opened.handle = handle
        weakref.finalize(opened, os.close, handle)
        return opened


def memory_map(path: Path) -> dict[str, NDArray[np.generic]]:
    """All tensors of a file as read-only arrays that are paged in on use. BF16 becomes a float32 copy."""
    places, _ = read_header(path)
    buffer = FileMap.open(path)
    return {name: _view(buffer, place) for name, place in places.items()}


def _view(buffer: mmap.mmap, place: TensorPlace) -> NDArray[np.generic]:
    array = np.frombuffer(buffer, _DTYPES[place.dtype], math.prod(place.shape), place.offset).reshape(place.shape)
    if place.dtype == "BF16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array


def write_tensors(path: Path, tensors: Mapping[str, NDArray[np.generic]], metadata: Mapping[str, str]) -> None:
    """Write a safetensors file, whole or not at all."""
    from safetensors.numpy import save_file

    contiguous = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    with replacing(path) as temporary:
        save_file(contiguous, temporary, metadata=dict(metadata))


class TensorWriter:
    """Writes one safetensors file piece by piece, so that no tensor need fit in memory.

    Space for the header is kept at the front and filled by `finish`; until then the file cannot be read. Tensors
    start at multiples of 64 bytes, and unused space belongs to hidden tensors named ``__pad.*``.
    """

    def __init__(self, path: Path, metadata: Mapping[str, str], header_bytes: int = 1 << 14) -> None:
        self._file = path.open("wb")
        self._file.truncate(8 + header_bytes)
        self._file.seek(8 + header_bytes)
        self._start = 8 + header_bytes
        self._header: dict[str, object] = {"__metadata__": dict(metadata)}

    def add(self, name: str, array: NDArray[np.generic]) -> None:
        """Write a whole tensor."""
        self.stream(name, array.dtype, array.shape[1:], [array])

    def stream(
        self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], parts: Iterable[NDArray[np.generic]]
    ) -> int:
        """Write a tensor of shape (n, *shape) whose rows come in parts, and return n.

        Raises:
            ValueError: there is a tensor of that name, or a part has another dtype or shape.
        """
        if name in self._header:
            raise ValueError(f"tensor {name!r} is written twice")
        self._align(name)
        start, rows = self._file.tell(), 0
        for part in parts:
            if part.dtype != dtype or part.shape[1:] != shape:
                raise ValueError(f"tensor {name!r}: a part of {part.dtype} {part.shape} among {dtype} {shape}")
            rows += part.shape[0]
            self._file.write(np.ascontiguousarray(part).data)
        self._describe(name, _CODES[np.dtype(dtype)], (rows, *shape), start)
        return rows

    def finish(self, sync: bool = True) -> None:
        """Write the header, and wait until everything is on disk unless the caller sees to that."""
        header = json.dumps(self._header, ensure_ascii=False).encode()
        room = self._start - 8
        if len(header) > room:
            raise ValueError(f"the header has {len(header)} bytes, there is room for {room}: ask for more")
        self._file.seek(0)
        self._file.write(struct.pack("<Q", room) + header.ljust(room))
        self._file.flush()
        if sync:
            os.fsync(self._file.fileno())
        self.close()

    def close(self) -> None:
        """Stop. Without `finish` the file is worthless."""
        self._file.close()

    def _align(self, name: str) -> None:
        place = self._file.tell()
        if gap := -place % 64:
            self._file.write(bytes(gap))
            self._describe(f"__pad.{name}", "U8", (gap,), place)

    def _describe(self, name: str, dtype: str, shape: tuple[int, ...], start: int) -> None:
        span = [start - self._start, self._file.tell() - self._start]
        self._header[name] = {"dtype": dtype, "shape": shape, "data_offsets": span}


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside ``path`` that takes its place, synced, when the block ends without an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: object) -> None:
    """Write a value as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")
