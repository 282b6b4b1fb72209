"""Numbers of few bits: the levels that they stand for, how they are chosen, and how they share bytes.

The levels are those of Lloyd (1982) and Max (1960) for a Gaussian, least square error for 16 and for 4 levels, as
whole numbers up to 127: a vector times its own scale. They are close together where values are frequent, which
costs nothing over even steps and leaves a fifth less error.

Bytes are shared by planes: with n bytes a row, byte j has the numbers of dimensions j, j + n, j + 2n, ..., the first
in its lowest bits. A row whose width does not fill its bytes ends with numbers that mean nothing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from trivec.types import FloatArray

Bytes = NDArray[np.uint8]
TOP = 127
"""The highest level; the lowest is its negative."""

_HALVES = {4: (6, 18, 31, 44, 58, 75, 96, TOP), 2: (38, TOP)}
LEVELS: dict[int, NDArray[np.int8]] = {
    bits: np.asarray([-level for level in reversed(half)] + list(half), np.int8) for bits, half in _HALVES.items()
}
"""Levels by number of bits, rising."""
OUTER = {4: 2.7326, 2: 1.5104}
"""The highest level by number of bits, where the Gaussian's variance is 1."""


def _nearest_table(levels: NDArray[np.int8]) -> Bytes:
    """The number of the level nearest to each whole number from -TOP to TOP."""
    values = np.arange(-TOP, TOP + 1)
    distances = np.abs(values[:, None] - levels.astype(np.int64))
    return np.asarray(distances.argmin(axis=1), np.uint8)


_NEAREST = {bits: _nearest_table(levels) for bits, levels in LEVELS.items()}


def nearest(values: FloatArray, bits: int) -> Bytes:
    """Numbers of the levels nearest to values, up to a rounding of the values to whole numbers; the same shape."""
    whole = np.rint(np.clip(values, -TOP, TOP)).astype(np.int16)
    numbers: Bytes = _NEAREST[bits][whole + TOP]
    return numbers


def level_values(numbers: Bytes, bits: int) -> FloatArray:
    """The levels that numbers stand for."""
    return LEVELS[bits].astype(np.float32)[numbers]


def packed_width(width: int, bits: int) -> int:
    """Bytes that a row of ``width`` numbers takes."""
    return -(-width * bits // 8)


def pack(numbers: Bytes, bits: int) -> Bytes:
    """Numbers (n, c) as rows of `packed_width` bytes."""
    count, width = numbers.shape
    size = packed_width(width, bits)
    planes = np.zeros((count, 8 // bits, size), np.uint8)
    planes.reshape(count, -1)[:, :width] = numbers
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    return np.asarray(np.bitwise_or.reduce(planes << shifts[:, None], axis=1), np.uint8)


def unpack(packed: Bytes, bits: int, width: int) -> Bytes:
    """The numbers (n, c) in packed rows."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)
    planes = (packed[:, None, :] >> shifts[:, None]) & np.uint8((1 << bits) - 1)
    return planes.reshape(len(packed), planes.shape[1] * planes.shape[2])[:, :width]


def pad(rows: FloatArray, bits: int) -> FloatArray:
    """Rows (n, c) with zeros for the dimensions that only fill the last byte."""
    filled = packed_width(rows.shape[1], bits) * (8 // bits)
    return np.pad(rows, ((0, 0), (0, filled - rows.shape[1])))
