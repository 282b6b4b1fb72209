"""Fixed dimensional encodings: one long vector in place of many, so that MaxSim becomes a dot product.

MUVERA (Dhulipala et al. 2024, 2405.19504). Random hyperplanes cut space into 2^bits cells, and vectors that are
close fall into the same cell as a rule. A query's encoding holds, cell by cell, the sum of its vectors there; a
passage's encoding the mean of its vectors there. Then

    <encode(Q), encode(P)>  =  sum over q in Q of <q, the mean of P's vectors in the cell of q>
                            ~  sum over q in Q of  max over p in P of <q, p>

A cell where the passage has nothing takes the mean of the nearest cell that has something, by the number of planes
between them. Every cell is projected to a few values by a random matrix of +-1, and the whole is repeated with
other random numbers; the query's side is divided by the number of repetitions.

The sum on the right is `trivec.scoring.maxsim_scores` times the number of the query's vectors, which is the same for
every passage: the order is that of MaxSim. The encoding underestimates as a rule, since a mean is at most a maximum,
and is noisy. It is for finding candidates, which are then scored exactly.

Token vectors of one model have much in common, so that planes through the origin leave most of them in a few cells.
Given a center m, about their mean, the planes go through m, and one value of each cell is the product with m / |m|,
exact, so that the random projection blurs only what is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from trivec.errors import InputError
from trivec.ragged import Ragged
from trivec.types import FloatArray, IntArray

_MAX_BITS = 10
_BLOCK_VALUES = 1 << 22
"""Values of encodings that are made at once, in float32: 16 MB, and a few times that while they are made."""


@dataclass(frozen=True)
class FixedEncodingOptions:
    """How encodings are made. Both sides need the same options; the width is repetitions * 2^bits * projection.

    Attributes:
        repetitions: how often space is cut; the noise falls with its square root.
        bits: hyperplanes of one cut. With more, cells are smaller, and more of them empty.
        projection: values kept of each cell; 0, or the width of the vectors and more, keeps all without projection.
        seed: of the random numbers.
    """

    repetitions: int = 20
    bits: int = 4
    projection: int = 16
    seed: int = 0

    def __post_init__(self) -> None:
        if self.repetitions < 1 or not 0 <= self.bits <= _MAX_BITS or self.projection < 0 or self.seed < 0:
            raise InputError(
                f"fixed encodings with {self}: give 1 repetition or more, 0 to {_MAX_BITS} bits, "
                "and a projection and a seed of 0 or more"
            )


class FixedEncoder:
    """Turns vectors of one width into encodings. The same options and width give the same encodings."""

    def __init__(
        self, token_width: int, options: FixedEncodingOptions | None = None, center: FloatArray | None = None
    ) -> None:
        """Draw the random numbers.

        Args:
            token_width: of the vectors, c.
            options: how encodings are made.
            center: (c,), about the mean of all vectors; both sides need the same one. None is the origin.

        Raises:
            InputError: the center has another width.
        """
        self._options = options or FixedEncodingOptions()
        self._token_width = token_width
        center = np.zeros(token_width, np.float32) if center is None else np.asarray(center, np.float32)
        self._check(center[None])
        rng = np.random.default_rng(self._options.seed)
        count, bits = self._options.repetitions, self._options.bits
        self._planes = rng.standard_normal((count, token_width, bits)).astype(np.float32)
        self._limits = center @ self._planes
        self._projections = _projections(rng, count, token_width, self._options.projection, center)

    @property
    def cells(self) -> int:
        """Cells of one repetition."""
        return 1 << self._options.bits

    @property
    def width(self) -> int:
        """Values of an encoding."""
        return self._options.repetitions * self.cells * int(self._projections.shape[2])

    def encode_query_tokens(self, query: FloatArray) -> FloatArray:
        """The encoding, (width,), of a query's vectors, (q, c).

        Raises:
            InputError: the vectors have another width.
        """
        self._check(query)
        offsets = np.array([0, len(query)])
        sums = [part.ravel() for part, _ in self._cell_sums(Ragged(query, offsets))]
        return (np.concatenate(sums) / self._options.repetitions).astype(np.float32)

    def encode_passage_tokens(self, passages: Ragged) -> FloatArray:
        """The encodings, (n, width), of passages; zeros for one without vectors.

        Raises:
            InputError: the vectors have another width.
        """
        self._check(passages.values)
        encodings = np.zeros((len(passages), self.width), np.float32)
        size = max(1, _BLOCK_VALUES // self.width)
        for start in range(0, len(passages), size):
            self._encode_block(passages.select(slice(start, start + size)), encodings[start : start + size])
        return encodings

    def _encode_block(self, passages: Ragged, out: FloatArray) -> None:
        step = out.shape[1] // self._options.repetitions
        for number, (sums, counts) in enumerate(self._cell_sums(passages)):
            means = sums / np.maximum(counts, 1).astype(np.float32)[:, :, None]
            filled = np.take_along_axis(means, _nearest_cells(counts > 0)[:, :, None], axis=1)
            out[:, number * step : (number + 1) * step] = filled.reshape(len(out), step)

    def _cell_sums(self, passages: Ragged) -> Iterator[tuple[FloatArray, IntArray]]:
        """For each repetition, sums of projected vectors, (n, cells, kept), and their numbers, (n, cells)."""
        n, total = len(passages), len(passages.values)
        owners = np.repeat(np.arange(n), passages.lengths)
        powers = 1 << np.arange(self._options.bits)
        for planes, limits, projection in zip(self._planes, self._limits, self._projections, strict=True):
            places = owners * self.cells + (passages.values @ planes > limits) @ powers
            members = sp.csr_array(
                (np.ones(total, np.float32), (places, np.arange(total))), shape=(n * self.cells, total)
            )
            sums = np.asarray(members @ (passages.values @ projection), np.float32)
            counts = np.bincount(places, minlength=n * self.cells)
            yield sums.reshape(n, self.cells, -1), counts.reshape(n, self.cells)

    def _check(self, vectors: FloatArray) -> None:
        if vectors.ndim != 2 or vectors.shape[1] != self._token_width:
            raise InputError(
                f"vectors of shape {vectors.shape} for an encoder of width {self._token_width}: "
                f"give (n, {self._token_width})"
            )


def _projections(rng: np.random.Generator, count: int, width: int, kept: int, center: FloatArray) -> FloatArray:
    """For each repetition a matrix, (width, kept), under which products stay about what they are."""
    if not 0 < kept < width:
        return np.broadcast_to(np.eye(width, dtype=np.float32), (count, width, width))
    length = float(np.linalg.norm(center))
    drawn = kept if length == 0 else kept - 1
    signs = rng.integers(0, 2, (count, width, drawn)) * 2 - 1
    matrices = signs / np.sqrt(max(drawn, 1))
    if length > 0:
        along = center / length
        matrices -= along[:, None] * (along @ matrices)[:, None, :]
        matrices = np.concatenate([matrices, np.broadcast_to(along[:, None], (count, width, 1))], axis=2)
    return np.asarray(matrices, np.float32)


def _nearest_cells(taken: NDArray[np.bool_]) -> IntArray:
    """For each cell, (n, cells), the taken cell that differs from it in the fewest bits, the lower of equals.

    Where a row has no taken cell, any cell.
    """
    cells = taken.shape[1]
    numbers = np.arange(cells)
    # the distance and the cell's number in one key; crossing one plane after the other finds the least of all paths
    far = cells.bit_length() * cells
    keys: IntArray = np.where(taken, numbers, far)
    for bit in range(cells.bit_length() - 1):
        keys = np.minimum(keys, keys[:, numbers ^ (1 << bit)] + cells)
    nearest: IntArray = keys % cells
    return nearest
