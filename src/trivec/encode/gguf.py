"""Reads GGUF, the file format of llama.cpp: what a file says about its model, and its tensors as float32.

"GGUF", u32 version (3), u64 tensors, u64 entries
entries: key, u32 kind, value; a text is u64 bytes of UTF-8, a list u32 kind of its values, u64 how many, and these
tensors: name, u32 dimensions, u64 each of them, the fastest first, u32 block type, u64 offset
data: from the next multiple of ``general.alignment`` (32) on; offsets count from there

Three block types are read. A block holds weights that lie side by side:

F32   one weight, float32
Q4_1  32 weights: f16 scale, f16 least, 16 bytes; byte j holds weight j (low four bits) and j + 16 (high four);
      weight = code * scale + least
Q8_0  32 weights: f16 scale, 32 signed bytes; weight = code * scale
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from trivec.encode.cursor import Cursor
from trivec.errors import CorruptModelError, InputError
from trivec.types import FloatArray

_VERSION = 3
_ALIGNMENT = 32
_TEXT, _LIST = 8, 9
_LETTERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
"""Kinds of single values in the words of the ``struct`` module."""

Kind = TypeVar("Kind", str, int, float, list[Any])


@dataclass(frozen=True)
class _BlockType:
    """How a tensor's numbers are packed: ``unpack`` makes (blocks, weights) float32 of an array of blocks."""

    weights: int
    layout: np.dtype[Any]
    unpack: Callable[[NDArray[Any]], FloatArray]


def _unpack_float32(blocks: NDArray[Any]) -> FloatArray:
    return blocks["weight"].astype(np.float32)[:, None]


def _unpack_four_bits(blocks: NDArray[Any]) -> FloatArray:
    codes = np.concatenate([blocks["codes"] & 15, blocks["codes"] >> 4], axis=1).astype(np.float32)
    return codes * _column(blocks["scale"]) + _column(blocks["least"])


def _unpack_eight_bits(blocks: NDArray[Any]) -> FloatArray:
    return blocks["codes"].astype(np.float32) * _column(blocks["scale"])


def _column(values: NDArray[Any]) -> FloatArray:
    return values.astype(np.float32)[:, None]


_BLOCK_TYPES = {
    0: _BlockType(1, np.dtype([("weight", "<f4")]), _unpack_float32),
    3: _BlockType(32, np.dtype([("scale", "<f2"), ("least", "<f2"), ("codes", "u1", 16)]), _unpack_four_bits),
    8: _BlockType(32, np.dtype([("scale", "<f2"), ("codes", "i1", 32)]), _unpack_eight_bits),
}


@dataclass(frozen=True)
class _Place:
    """Where a tensor lies: ``shape`` with the slowest dimension first, ``offset`` in bytes from the file's start."""

    shape: tuple[int, ...]
    block_type: int
    offset: int


class GgufFile:
    """What a file says about its model, and where its tensors are; they are unpacked when asked for.

    Args:
        data: the whole file.

    Raises:
        CorruptModelError: it is no GGUF file, or not a whole one.
        InputError: it is packed in a way that is not read here.
    """

    def __init__(self, data: bytes) -> None:
        self._data = data
        try:
            self.entries, self._places = _read_directory(Cursor(data))
        except InputError:
            raise
        except (struct.error, ValueError) as error:
            raise CorruptModelError(f"the GGUF file cannot be read ({error}): fetch it again") from error

    @property
    def names(self) -> list[str]:
        """Of all tensors."""
        return list(self._places)

    def value(self, key: str, kind: type[Kind]) -> Kind:
        """What the file says under a key.

        Raises:
            CorruptModelError: it says nothing, or something of another kind.
        """
        found = self.entries.get(key)
        if type(found) is not kind:
            raise CorruptModelError(
                f"the GGUF file has {found!r:.60} for {key}, where a value of kind {kind.__name__} should be: fetch it "
                "again"
            )
        return found

    def tensor(self, name: str) -> FloatArray:
        """A tensor, the slowest dimension first: a linear layer's is (out, in).

        Raises:
            CorruptModelError: there is none of that name.
        """
        if name not in self._places:
            raise CorruptModelError(f"the GGUF file lacks the tensor {name}: fetch it again")
        place = self._places[name]
        packing = _BLOCK_TYPES[place.block_type]
        count = math.prod(place.shape) // packing.weights
        return packing.unpack(np.frombuffer(self._data, packing.layout, count, place.offset)).reshape(place.shape)


def _read_directory(cursor: Cursor) -> tuple[dict[str, Any], Mapping[str, _Place]]:
    if cursor.bytes(4) != b"GGUF":
        raise ValueError("it does not begin with GGUF")
    version, tensors, entries = cursor.take("IQQ")
    if version != _VERSION:
        raise InputError(f"the GGUF file is of version {version}, and version {_VERSION} is read: take another file")
    said = {_text(cursor): _value(cursor) for _ in range(entries)}
    places = {_text(cursor): _place(cursor) for _ in range(tensors)}
    start = _aligned(cursor.position, said.get("general.alignment", _ALIGNMENT))
    found = {name: _Place(place.shape, place.block_type, start + place.offset) for name, place in places.items()}
    for name, place in found.items():
        _check(name, place, len(cursor.data))
    return said, found


def _text(cursor: Cursor) -> str:
    (length,) = cursor.take("Q")
    return cursor.bytes(length).decode()


def _value(cursor: Cursor) -> Any:  # noqa: ANN401
    (kind,) = cursor.take("I")
    if kind == _LIST:
        of, count = cursor.take("IQ")
        if count > len(cursor.data):
            raise ValueError(f"a list claims {count} values")
        return [_single(cursor, of) for _ in range(count)]
    return _single(cursor, kind)


def _single(cursor: Cursor, kind: int) -> Any:  # noqa: ANN401
    if kind == _TEXT:
        return _text(cursor)
    if kind not in _LETTERS:
        raise ValueError(f"there is no value of kind {kind}")
    return cursor.take(_LETTERS[kind])[0]


def _place(cursor: Cursor) -> _Place:
    """As the file has it: its offset counts from where the data begin."""
    (dimensions,) = cursor.take("I")
    shape = cursor.take(f"{dimensions}Q")[::-1]
    block_type, offset = cursor.take("IQ")
    return _Place(shape, block_type, offset)


def _aligned(position: int, alignment: object) -> int:
    if type(alignment) is not int or alignment < 1:
        raise ValueError(f"its alignment is {alignment!r}")
    return -(-position // alignment) * alignment


def _check(name: str, place: _Place, size: int) -> None:
    """Whether a tensor is packed in a way that is read here, and lies inside the file."""
    packing = _BLOCK_TYPES.get(place.block_type)
    if packing is None:
        raise InputError(
            f"the tensor {name} of the GGUF file has block type {place.block_type}, and those of types "
            f"{', '.join(map(str, _BLOCK_TYPES))} (F32, Q4_1, Q8_0) are read: take another file"
        )
    if not place.shape or place.shape[-1] % packing.weights:
        raise ValueError(f"the tensor {name} of shape {place.shape} is no number of blocks")
    end = place.offset + math.prod(place.shape) // packing.weights * packing.layout.itemsize
    if end > size:
        raise ValueError(f"the tensor {name} ends at byte {end}, the file at {size}")
