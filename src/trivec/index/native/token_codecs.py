"""How token vectors are coded in a segment.

| codec | bytes for a vector of width c | what is kept |
|---|---|---|
| float32 | 4 c | everything |
| float16 | 2 c | eleven bits of each value |
| int8 | c + 4 | round(v / scale), scale = max abs v / 127 |
| int4, residual2 | c / 2 + 8, c / 4 + 8 | a centroid plus scale times one of 16, of 4 levels; see `token_residual` |

The first three learn nothing from the vectors, so their coder is made from the width alone.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal, Protocol, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from trivec.errors import InputError, LibraryError
from trivec.index.native import token_levels
from trivec.types import FloatArray, IntArray

TokenCodec: TypeAlias = Literal["float32", "float16", "int8", "int4", "residual2"]
TOKEN_CODECS: tuple[TokenCodec, ...] = get_args(TokenCodec)

PlainCodec: TypeAlias = Literal["float32", "float16", "int8"]


@dataclass(frozen=True, eq=False)
class Codes:
    """The codes of n vectors. A part that the codec has no use for is empty.

    Attributes:
        values: (n, ...), what is kept of each dimension.
        scales: (n,).
        lists: (n,), the numbers of centroids.
        factors: (n,), what the sum of centroid and levels is multiplied with.
    """

    values: NDArray[Any]
    scales: FloatArray = field(default_factory=lambda: np.zeros(0, np.float32))
    lists: NDArray[np.uint16] = field(default_factory=lambda: np.zeros(0, np.uint16))
    factors: NDArray[np.float16] = field(default_factory=lambda: np.zeros(0, np.float16))

    def __len__(self) -> int:
        return len(self.values)

    def take(self, tokens: IntArray | slice) -> Codes:
        """The codes of some vectors."""
        scales = self.scales[tokens] if len(self.scales) else self.scales
        lists = self.lists[tokens] if len(self.lists) else self.lists
        factors = self.factors[tokens] if len(self.factors) else self.factors
        return Codes(self.values[tokens], scales, lists, factors)

    @property
    def parts(self) -> tuple[NDArray[Any], ...]:
        """All arrays."""
        return self.values, self.scales, self.lists, self.factors


class TokenCoder(Protocol):
    """One way of coding vectors of one width.

    Attributes:
        codec: its name.
        width: c.
        bits: of the code of one dimension.
        dtype: of the stored codes.
        code_width: stored numbers a vector.
    """

    codec: TokenCodec
    width: int
    bits: int
    dtype: np.dtype[Any]
    code_width: int

    def encode(self, vectors: FloatArray) -> Codes:
        """Codes of finite vectors (n, c)."""

    def decode(self, codes: Codes) -> FloatArray:
        """The vectors (n, c) that codes stand for."""


class FloatCoder:
    """float32 and float16."""

    def __init__(self, codec: PlainCodec, width: int) -> None:
        self.codec: TokenCodec = codec
        self.width = self.code_width = width
        self.dtype: np.dtype[Any] = np.dtype(codec)
        self.bits = 8 * self.dtype.itemsize

    def encode(self, vectors: FloatArray) -> Codes:
        """Values rounded to the type.

        Raises:
            InputError: a value is too large for it.
        """
        largest, limit = np.abs(vectors).max(initial=0), np.finfo(self.dtype).max
        if largest > limit:
            raise InputError(f"a token vector has the value {largest:g}, {self.codec} ends at {limit:g}: use float32")
        return Codes(vectors.astype(self.dtype, copy=False))

    def decode(self, codes: Codes) -> FloatArray:
        """The values as float32."""
        return np.asarray(codes.values, np.float32)


class Int8Coder:
    """One byte a dimension, one scale a vector."""

    codec: TokenCodec = "int8"
    bits = 8
    dtype: np.dtype[Any] = np.dtype(np.int8)

    def __init__(self, width: int) -> None:
        self.width = self.code_width = width

    def encode(self, vectors: FloatArray) -> Codes:
        """Whole numbers from -127 to 127; a vector's greatest value becomes one of the two."""
        scales = np.abs(vectors).max(axis=1, initial=0) / np.float32(token_levels.TOP)
        values = np.rint(vectors * inverse(scales)[:, None])
        return Codes(np.clip(values, -token_levels.TOP, token_levels.TOP).astype(np.int8), scales)

    def decode(self, codes: Codes) -> FloatArray:
        """Scale times value."""
        return codes.scales[:, None] * np.asarray(codes.values, np.float32)


def plain_coder(codec: PlainCodec, width: int) -> TokenCoder:
    """The coder of a codec that learns nothing."""
    return Int8Coder(width) if codec == "int8" else FloatCoder(codec, width)


def check_codec(codec: str) -> None:
    """Refuse a codec that there is not.

    Raises:
        InputError: the codec is unknown.
    """
    if codec not in TOKEN_CODECS:
        raise InputError(f"unknown codec of token vectors {codec!r}: choose one of {', '.join(TOKEN_CODECS)}")


def damaged(what: object) -> LibraryError:
    """The error that says how stored token vectors are damaged."""
    return LibraryError(f"the token vectors of a segment are damaged ({what}): restore the library, or index again")


def inverse(values: FloatArray) -> FloatArray:
    """1 / v, and 0 where v is 0 or so small that 1 / v is no number."""
    with np.errstate(divide="ignore", over="ignore"):
        result = np.float32(1) / values
    return np.where(np.isfinite(result), result, np.float32(0))


def row_products(first: FloatArray, second: FloatArray) -> FloatArray:
    """Dot products of rows with rows, (n,)."""
    products: FloatArray = np.einsum("nc,nc->n", first, second)
    return products
