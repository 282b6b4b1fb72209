"""How dense vectors lie in a segment, and the dot products of one query with them.

| codec | a row of width d | kept |
|---|---|---|
| float32 | 4 d bytes | exactly |
| float16 | 2 d bytes | about three digits of each value |
| int8 | d + 4 bytes | round(v / scale), scale = max abs v / 127 |
| binary | the int8 row, and d / 8 + 8 bytes | for a first look: the signs of v - center, and two numbers |

Scores of the codec ``binary`` are those of its int8 rows; the signs only say which rows are worth scoring. They may
stand beside the values of float32 and float16 as well, for searches that need not be exact. They follow RaBitQ (Gao
and Long 2024, 2405.12497), without its rotation, which made no difference. With a center c near the mean of the
vectors, w = v - c, s = sign(w), and the query split into q = a c + r, a = <q, c> / <c, c>,

    <q, v> - <q, c>  =  <r, w> + a <c, w>  ~  <r, s> |w|^2 / |w|_1 + a <c, w>

The factor |w|^2 / |w|_1 makes this exact for r = w; <c, w> is stored. r is cut to four bits, so that <r, s> is a
matter of counting bits. Taking out the center matters: embeddings share a large common part, and the error of the
estimate grows with the length of what is left.

Every row is computed alone and in one fixed order of additions: the score of a row is the same bit for bit in
every search and in every request for its score.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from trivec.errors import InputError
from trivec.index.ranking import contenders
from trivec.types import FloatArray, IntArray

try:
    from trivec.index.native import _dense as _kernels
except ImportError:  # not built: numpy does the same, slower
    _kernels = None  # type: ignore[assignment]

DenseCodec: TypeAlias = Literal["float32", "float16", "int8", "binary"]
CODECS: tuple[DenseCodec, ...] = get_args(DenseCodec)
Values: TypeAlias = NDArray[np.float32] | NDArray[np.float16] | NDArray[np.int8]
Bytes: TypeAlias = NDArray[np.uint8]

_KIND = {np.dtype(np.float32): 0, np.dtype(np.float16): 1, np.dtype(np.int8): 2}
_PLANES = 4
_BLOCK_VALUES = 1 << 20
"""Values that numpy converts at once."""


def check_codec(codec: str) -> None:
    """Refuse a codec that there is not.

    Raises:
        InputError: the codec is unknown.
    """
    if codec not in CODECS:
        raise InputError(f"unknown codec of dense vectors {codec!r}: choose one of {', '.join(CODECS)}")


def value_type(codec: DenseCodec) -> np.dtype[Any]:
    """The type in which the values of a codec are stored."""
    return np.dtype(np.int8 if codec == "binary" else codec)


def encode_values(vectors: FloatArray, codec: DenseCodec) -> tuple[Values, FloatArray | None]:
    """Values as stored, (n, d), and for int8 and binary the scale of each row, (n,).

    Raises:
        InputError: a value is not finite, or too large for float16.
    """
    if codec == "float32":
        return _finite(vectors, vectors), None
    if codec == "float16":
        with np.errstate(over="ignore"):
            return _finite(vectors.astype(np.float16), vectors), None
    _finite(vectors, vectors)
    scales = (np.abs(vectors).max(axis=1, initial=0) / 127).astype(np.float32)
    codes = np.rint(vectors / np.where(scales > 0, scales, 1)[:, None])
    return np.clip(codes, -127, 127).astype(np.int8), scales


def _finite(stored: Values, vectors: FloatArray) -> Values:
    if not np.isfinite(stored).all():
        row = int(np.flatnonzero(~np.isfinite(stored).all(axis=1))[0])
        largest = float(np.abs(vectors[row]).max())
        raise InputError(
            f"dense vector {row} of a batch cannot be kept as {stored.dtype}, its largest value is {largest}: "
            "give finite vectors, normalised ones as a rule"
        )
    return stored


def decode_values(values: Values, scales: FloatArray | None) -> FloatArray:
    """Vectors of stored rows, (n, d)."""
    vectors = values.astype(np.float32)
    return vectors if scales is None else vectors * scales[:, None]


@dataclass(frozen=True, eq=False)
class Signs:
    """What is kept for a first look at n rows.

    Attributes:
        bits: (n, 8 ceil(d / 64)) sign bits of w.
        factors: (n,) |w|^2 / |w|_1.
        offsets: (n,) <c, w>.
        center: (d,) c.
    """

    bits: Bytes
    factors: FloatArray
    offsets: FloatArray
    center: FloatArray


def encode_signs(vectors: FloatArray, center: FloatArray) -> Signs:
    """Signs of vectors, (n, d), around a center."""
    moved = vectors - center
    sizes = np.abs(moved).sum(axis=1)
    squares = np.einsum("nd,nd->n", moved, moved)
    factors: FloatArray = np.zeros_like(sizes)
    np.divide(squares, sizes, out=factors, where=sizes > 0)
    return Signs(_packed(moved > 0), factors, (moved @ center).astype(np.float32), center)


def _packed(bits: NDArray[np.bool_]) -> Bytes:
    """Bits as whole words of 64, so that a row is read word by word."""
    packed = np.packbits(bits, axis=1, bitorder="little")
    return np.pad(packed, ((0, 0), (0, -packed.shape[1] % 8)))


def dot_rows(
    values: Values, scales: FloatArray | None, query: FloatArray, rows: IntArray | None, compiled: bool = True
) -> FloatArray:
    """Dot products of the query, (d,), with the named rows, or with all.

    Args:
        values: (n, d) as stored.
        scales: of the rows, for int8.
        query: (d,).
        rows: row numbers, or None for all.
        compiled: use the compiled kernel where it was built. Both ways differ in the last bits.

    Raises:
        ValueError: a row is not there, or the query has another width.
    """
    query = np.ascontiguousarray(query, np.float32)
    if query.shape != values.shape[1:]:
        raise ValueError(f"a query of shape {query.shape} for vectors of width {values.shape[1]}")
    out = np.empty(len(values) if rows is None else len(rows), np.float32)
    if compiled and _kernels is not None and values.shape[1]:
        _kernels.dot_rows(_KIND[values.dtype], values, scales, query, _row_numbers(rows), out)
        return out
    for part, chosen in _blocks(len(values), rows, values.shape[1]):
        # einsum adds up each row by itself; a matrix product would not promise that
        np.einsum("nd,d->n", values[chosen].astype(np.float32), query, out=out[part])
        if scales is not None:
            out[part] *= scales[chosen]
    return out


def _row_numbers(rows: IntArray | None) -> IntArray | None:
    return None if rows is None else np.ascontiguousarray(rows, np.int64)


def _blocks(total: int, rows: IntArray | None, width: int) -> Iterator[tuple[slice, slice | IntArray]]:
    """Places in the answer with the rows that belong there, a bounded number at a time."""
    size = max(1, _BLOCK_VALUES // max(width, 1))
    for start in range(0, total if rows is None else len(rows), size):
        part = slice(start, min(start + size, total if rows is None else len(rows)))
        yield part, part if rows is None else rows[part]


@dataclass(frozen=True, eq=False)
class _SignQuery:
    """A query a c + r, with the values of r cut to a few levels: low + step * level.

    Attributes:
        share: a.
        low: the least value.
        step: between two levels.
        levels: (d,).
    """

    share: float
    low: float
    step: float
    levels: Bytes

    @classmethod
    def of(cls, query: FloatArray, center: FloatArray) -> _SignQuery:
        share = float(query @ center) / (float(center @ center) or 1.0)
        rest = query - np.float32(share) * center
        low = float(rest.min(initial=0))
        step = (float(rest.max(initial=0)) - low) / ((1 << _PLANES) - 1) or 1.0
        return cls(share, low, step, np.rint((rest - low) / step).astype(np.uint8))

    def kernel_arguments(self) -> tuple[NDArray[np.uint64], int, float, float, float]:
        """Bit planes of the levels, and numbers that make <r, s> of counted bits.

        That is twice the sum where s is positive, less the sum of all.
        """
        total = self.low * len(self.levels) + self.step * float(self.levels.sum(dtype=np.int64))
        planes = _packed((self.levels[None, :] >> np.arange(_PLANES, dtype=np.uint8)[:, None] & 1).astype(bool))
        words = np.ascontiguousarray(planes.view(np.uint64).T)
        return words, _PLANES, 2 * self.low, 2 * self.step, total


def estimate_rows(signs: Signs, query: FloatArray, rows: IntArray | None, compiled: bool = True) -> FloatArray:
    """About <q, v - c> of the named rows, or of all. Arguments as in `dot_rows`."""
    asked = _SignQuery.of(query, signs.center)
    if compiled and _kernels is not None and len(query):
        found = np.empty(len(signs.bits) if rows is None else len(rows), np.float32)
        _kernels.bit_sums(signs.bits, signs.factors, *asked.kernel_arguments(), _row_numbers(rows), found)
    else:
        found = _sign_sums_plain(signs, asked, rows)
    found += np.float32(asked.share) * (signs.offsets if rows is None else signs.offsets[rows])
    return found


def likely_rows(signs: Signs, query: FloatArray, rows: IntArray | None, wanted: int) -> IntArray:
    """At least as many of the rows as wanted, ascending: those of the greatest estimates, and a few more."""
    if _kernels is None or not len(query):
        places = contenders(estimate_rows(signs, query, rows), wanted)
        return places if rows is None else rows[places]
    asked, rows = _SignQuery.of(query, signs.center), _row_numbers(rows)
    out = np.empty(len(signs.bits) if rows is None else len(rows), np.int64)
    arguments = (signs.bits, signs.factors, signs.offsets, *asked.kernel_arguments())
    return out[: _kernels.likely(*arguments, asked.share, wanted, rows, out)]


def _sign_sums_plain(signs: Signs, asked: _SignQuery, rows: IntArray | None) -> FloatArray:
    """Factor times <r, s> of rows, in numpy."""
    out = np.empty(len(signs.bits) if rows is None else len(rows), np.float32)
    rest = (asked.low + asked.step * asked.levels).astype(np.float32)
    for part, chosen in _blocks(len(signs.bits), rows, len(asked.levels)):
        ones = np.unpackbits(signs.bits[chosen], axis=1, count=len(asked.levels), bitorder="little")
        out[part] = signs.factors[chosen] * np.einsum("nd,d->n", 2 * ones.astype(np.float32) - 1, rest)
    return out


def batches_of(batches: Iterable[FloatArray], width: int) -> Iterator[FloatArray]:
    """The batches as contiguous float32 of one width.

    Raises:
        InputError: a batch has another width.
    """
    for batch in batches:
        if batch.ndim != 2 or batch.shape[1] != width:
            raise InputError(f"dense vectors of shape {batch.shape} where width {width} is stored: give (n, {width})")
        yield np.ascontiguousarray(batch, np.float32)
