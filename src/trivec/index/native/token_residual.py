"""Few bits a dimension for what a token vector has beyond its nearest centroid: the codecs int4 and residual2.

    R v  ~  factor * (C[list] + scale * level)

R is a random rotation: it makes the values of a residual r alike and nearly Gaussian, so that one set of levels fits
all dimensions. They are chosen for the residual's own spread |r| / sqrt(c); scale = <r, level> / <level, level> has
the least error for them; and the factor gives the code the length of the vector. Without the factor, a maximum over
tokens prefers those whose codes came out too long: on token vectors of m3-small it takes away two fifths of the error
of MaxSim. The scale of RaBitQ (Gao and Long 2024, 2405.12497), unbiased for each vector alone, does worse in its
place. Centroids with residuals of few bits are those of ColBERTv2 (Santhanam et al. 2022, 2112.01488).

int4 has 16 levels and one centroid: the mean of the vectors, which token vectors have largely in common. residual2 has
4 levels and a number of centroids, by k-means, that grows with the number of vectors.

R depends on width and seed alone, so tables of centroids can stand one below the other: merging segments adds an
offset to the numbers of the lists and copies the codes. Decoding and coding anew would lose as much again. Nor does R
change dot products: a rotated query is compared with centroids and levels as they are stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivec.index.native import token_levels
from trivec.index.native.token_codecs import Codes, TokenCodec, damaged, inverse, row_products
from trivec.types import FloatArray

Half = NDArray[np.float16]
MIN_TOKENS = 50_000
"""For residual2; fewer tokens are not worth its table of centroids."""
MAX_LISTS = 1 << 16
SEED = 0

_MAX_TRAINED_LISTS = 4096
_TOKENS_A_LIST = 40
"""Vectors that k-means sees for a centroid; more change little."""
_ROUNDS = 8
_BITS: dict[TokenCodec, int] = {"int4": 4, "residual2": 2}


class ResidualCoder:
    """Codes with a table of centroids, (K, c) in rotated space, K at most `MAX_LISTS`."""

    dtype: np.dtype[Any] = np.dtype(np.uint8)

    def __init__(self, codec: TokenCodec, centroids: Half, seed: int = SEED) -> None:
        self.codec = codec
        self.bits = _BITS[codec]
        self.centroids = centroids
        self.seed = seed
        self.width = int(centroids.shape[1])
        self.code_width = token_levels.packed_width(self.width, self.bits)

    @cached_property
    def padded_centroids(self) -> Half:
        """The table with zeros for the dimensions that only fill the last byte of a code."""
        filled = self.code_width * (8 // self.bits)
        return np.pad(self.centroids, ((0, 0), (0, filled - self.width))) if filled > self.width else self.centroids

    @property
    def rotation(self) -> FloatArray:
        """The (c, c) matrix whose product with a row vector, from the right, is the rotated one."""
        return rotation(self.width, self.seed)

    def holds(self, other: ResidualCoder, start: int) -> bool:
        """Whether another's centroids stand in this table from ``start`` on, rotated alike."""
        stretch = self.centroids[start : start + len(other.centroids)]
        return (self.codec, self.seed) == (other.codec, other.seed) and np.array_equal(stretch, other.centroids)

    def encode(self, vectors: FloatArray) -> Codes:
        """Nearest centroids, and numbers of levels that share bytes."""
        rotated = vectors @ self.rotation
        lists = self._nearest_lists(rotated)
        centroids = self.centroids[lists].astype(np.float32)
        residuals = rotated - centroids
        units = inverse(lengths(residuals)) * np.float32(
            np.sqrt(self.width) * token_levels.TOP / token_levels.OUTER[self.bits]
        )
        numbers = token_levels.nearest(residuals * units[:, None], self.bits)
        levels = token_levels.level_values(numbers, self.bits)
        scales = row_products(residuals, levels) / row_products(levels, levels)
        factors = lengths(rotated) * inverse(lengths(centroids + scales[:, None] * levels))
        return Codes(token_levels.pack(numbers, self.bits), scales, lists, factors.astype(np.float16))

    def _nearest_lists(self, rotated: FloatArray) -> NDArray[np.uint16]:
        import faiss

        index = faiss.IndexFlatL2(self.width)
        index.add(self.centroids.astype(np.float32))
        return index.search(np.ascontiguousarray(rotated), 1)[1][:, 0].astype(np.uint16)

    def decode(self, codes: Codes) -> FloatArray:
        """Factor times the sum of centroid and scale times level, turned back.

        Raises:
            LibraryError: a code names a centroid that is not there.
        """
        if codes.lists.max(initial=0) >= max(1, len(self.centroids)):
            raise damaged(f"a token names centroid {codes.lists.max()} of {len(self.centroids)}")
        levels = token_levels.level_values(token_levels.unpack(codes.values, self.bits, self.width), self.bits)
        rotated = self.centroids[codes.lists].astype(np.float32) + codes.scales[:, None] * levels
        rotated *= codes.factors.astype(np.float32)[:, None]
        return np.asarray(rotated @ self.rotation.T, np.float32)


def list_count(codec: TokenCodec, tokens: int) -> int:
    """Centroids for so many tokens: 1 for int4, else four times the root, down to a power of two, at most 4096."""
    if codec == "int4":
        return 1
    return min(_MAX_TRAINED_LISTS, 1 << max(0, int(4 * np.sqrt(tokens)).bit_length() - 1))


def sample_size(tokens: int) -> int:
    """Of so many tokens, how many training wants to see."""
    return min(tokens, _TOKENS_A_LIST * list_count("residual2", tokens))


def min_tokens(codec: TokenCodec) -> int:
    """How many tokens are worth centroids of their own."""
    return MIN_TOKENS if codec == "residual2" else 1


def train(codec: TokenCodec, sample: FloatArray, tokens: int) -> ResidualCoder:
    """A coder with the centroids of sample vectors (n, c), n from 1, which stand for so many tokens."""
    lists = list_count(codec, tokens)
    turned = sample @ rotation(sample.shape[1], SEED)
    centroids = turned.mean(axis=0, keepdims=True) if lists == 1 else _means(turned, lists)
    largest = np.finfo(np.float16).max
    return ResidualCoder(codec, np.clip(centroids, -largest, largest).astype(np.float16))


def _means(vectors: FloatArray, lists: int) -> FloatArray:
    """Centroids (lists, c) by k-means."""
    import faiss

    if len(vectors) > _TOKENS_A_LIST * lists:
        vectors = vectors[np.random.default_rng(SEED).permutation(len(vectors))[: _TOKENS_A_LIST * lists]]
    means = faiss.Kmeans(vectors.shape[1], lists, niter=_ROUNDS, seed=SEED + 1, min_points_per_centroid=1)
    means.train(np.ascontiguousarray(vectors))
    return np.asarray(means.centroids, np.float32)


def lengths(vectors: FloatArray) -> FloatArray:
    """Euclidean lengths of rows, (n,)."""
    return np.sqrt(row_products(vectors, vectors))


def join(coders: Sequence[ResidualCoder]) -> ResidualCoder | None:
    """A coder of the same codec with all centroids, in this order; None if they are too many or rotated differently."""
    total = sum(len(coder.centroids) for coder in coders)
    if total > MAX_LISTS or len({coder.seed for coder in coders}) > 1:
        return None
    return ResidualCoder(coders[0].codec, np.concatenate([coder.centroids for coder in coders]), coders[0].seed)


@lru_cache(maxsize=8)
def rotation(width: int, seed: int) -> FloatArray:
    """A random orthogonal matrix, the same on every machine.

    Random signs and a Hadamard matrix, thrice; where the width is no power of two, in turn on the first and on the
    last dimensions that make one.
    """
    random = np.random.RandomState(seed)  # numpy keeps its numbers as they are for ever
    size = 1 << (width.bit_length() - 1)
    mixing = np.ones((1, 1))
    while len(mixing) < size:
        mixing = np.block([[mixing, mixing], [mixing, -mixing]]) / np.sqrt(2)
    matrix = np.eye(width)
    for part in (slice(0, size), slice(width - size, width), slice(0, size)):
        matrix *= 1 - 2 * random.randint(0, 2, width)
        matrix[:, part] = matrix[:, part] @ mixing
    result = matrix.astype(np.float32)
    result.flags.writeable = False
    return result
