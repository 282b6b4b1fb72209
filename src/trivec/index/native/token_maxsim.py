"""MaxSim of queries with coded passages: the C kernel, and the same in numpy where it was not built.

The kernel decodes each token once, into a block that stays in the processor's nearest cache, and multiplies it with
all query vectors. A passage's score does not depend on the others in the request, bit for bit.

With int8 codes of up to 512 dimensions the kernel rounds the query's values to 16 bits, in steps of max|q| / 32767 of
each query vector, and adds whole numbers up exactly: scores of unit vectors are within 5e-5, mostly 2e-6, of those of
the decoded vectors. Processors without AVX2, longer vectors and other codecs use floats.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from trivec import scoring
from trivec.index.native import token_levels
from trivec.index.native.shared_work import SharedWork
from trivec.index.native.token_codecs import Codes, TokenCoder, damaged
from trivec.index.native.token_residual import ResidualCoder
from trivec.ragged import Ragged
from trivec.types import FloatArray, IntArray

try:
    from trivec.index.native import _maxsim as _kernels
except ImportError:  # not built: numpy does the same, slower
    _kernels = None  # type: ignore[assignment]

_VECTORS = 512
"""Of queries that are compared with a token at once: their similarities fit into a core's cache."""


@dataclass(frozen=True, eq=False)
class CodedPassages:
    """The token vectors of n passages: ``codes`` of all tokens, and n + 1 ``offsets`` into them."""

    coder: TokenCoder
    codes: Codes
    offsets: IntArray

    def decode(self, rows: IntArray) -> Ragged:
        """The vectors of some passages, in the order given."""
        tokens, offsets = tokens_of(self.offsets, rows)
        return Ragged(self.coder.decode(self.codes.take(tokens)), offsets)

    def maxsim(self, query: FloatArray, rows: IntArray) -> FloatArray:
        """s_mul of a query (q, c) with passages that are there, (m,)."""
        if _kernels is None:
            return scoring.maxsim(Ragged.from_rows([query], self.coder.width), self.decode(rows))[0]
        return self._call_kernel(query, rows)

    def _call_kernel(self, query: FloatArray, rows: IntArray) -> FloatArray:
        coder, centroids, levels = self.coder, np.zeros(0, np.float16), np.zeros(16, np.int8)
        if isinstance(coder, ResidualCoder):
            query, centroids = token_levels.pad(query @ coder.rotation, coder.bits), coder.padded_centroids
            levels[: 1 << coder.bits] = token_levels.LEVELS[coder.bits]
        scores, codes = np.empty(len(rows), np.float32), self.codes
        try:
            _kernels.maxsim(
                coder.bits, coder.width, codes.values, levels, codes.scales, codes.lists, codes.factors, centroids,
                self.offsets, np.ascontiguousarray(rows), np.ascontiguousarray(query), np.asarray([len(query)]), scores,
            )  # fmt: skip
        except ValueError as error:
            raise damaged(error) from error
        return scores


def maxsim_of_all(queries: Ragged, passages: Ragged) -> FloatArray:
    """s_mul of every query with every passage, shape (q, n), as `trivec.scoring.maxsim` computes it.

    A text without vectors scores 0. Nothing is kept of a token's similarities but the best, which saves half the time
    of a matrix product that is searched for them.
    """
    if _kernels is None or queries.width != passages.width:  # numpy names what does not fit
        return scoring.maxsim(queries, passages)
    scores = np.zeros((len(passages), len(queries)), np.float32)
    rows, values = np.arange(len(passages)), np.ascontiguousarray(passages.values, np.float32)
    levels, none, lists = np.zeros(16, np.int8), np.zeros(0, np.float32), np.zeros(0, np.uint16)
    centroids = np.zeros(0, np.float16)

    def score(block: slice) -> None:
        asked = queries.select(block)
        found = np.empty((len(passages), len(asked)), np.float32)
        _kernels.maxsim(
            32, passages.width, values, levels, none, lists, lists, centroids,
            passages.offsets, rows, np.ascontiguousarray(asked.values, np.float32), asked.offsets[1:], found,
        )  # fmt: skip
        scores[:, block] = found

    SharedWork([partial(score, block) for block in row_blocks(queries.lengths, _VECTORS)]).results()
    return scores.T


def tokens_of(offsets: IntArray, rows: IntArray) -> tuple[IntArray | slice, IntArray]:
    """The tokens of passages, one passage after the other, and offsets into these; a slice if they are consecutive."""
    lengths = offsets[rows + 1] - offsets[rows]
    taken = np.zeros(len(rows) + 1, np.int64)
    np.cumsum(lengths, out=taken[1:])
    if len(rows) and np.array_equal(rows, np.arange(rows[0], rows[0] + len(rows))):
        return slice(int(offsets[rows[0]]), int(offsets[rows[-1] + 1])), taken
    return np.arange(taken[-1]) + np.repeat(offsets[rows] - taken[:-1], lengths), taken


def row_blocks(lengths: IntArray, budget: int) -> list[slice]:
    """Stretches of rows whose lengths add up to at most ``budget``, or single longer rows."""
    blocks, start, ends = [], 0, np.cumsum(lengths)
    while start < len(lengths):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + budget, side="right")))
        blocks.append(slice(start, stop))
        start = stop
    return blocks
