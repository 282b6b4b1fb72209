"""Reading multi-vectors from one file: the vectors of every passage's tokens, and MaxSim from their codes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from trivec.errors import InputError
from trivec.index.native.token_codecs import Codes, TokenCodec, TokenCoder, damaged
from trivec.index.native.token_files import read_passages
from trivec.index.native.token_maxsim import row_blocks, tokens_of
from trivec.index.native.token_pages import TouchedPages
from trivec.index.native.token_reading import reader_of
from trivec.ragged import Ragged
from trivec.types import FloatArray, IntArray

_SCAN_BYTES = 1 << 20
"""Codes read and scored at once: as much as stays in the cache beside a processor."""

MEMORY = 96 << 20
"""Bytes of token vectors that may stay in memory, once for small arrays and once for what is touched of the others."""


class TokenPart:
    """The multi-vectors of passages, numbered from 0, in one file. Safe to use from many threads.

    Args:
        arrays: the tensors of the file.
        prefix: under which `write_tokens` or `merge_tokens` wrote.
        memory: bytes that may stay in memory; larger arrays are read from the file where they are needed.

    Raises:
        LibraryError: the tensors do not fit together.
    """

    def __init__(self, arrays: Mapping[str, NDArray[np.generic]], prefix: str, memory: int = MEMORY) -> None:
        try:
            self._passages = read_passages(arrays, prefix)
        except (KeyError, ValueError) as error:
            raise damaged(error) from error
        codes = self._passages.codes
        self._token_bytes = sum(array.nbytes for array in codes.parts) // max(1, len(codes))
        self._pages = TouchedPages(codes.parts, memory)
        self._reader = reader_of(self._passages, memory)
        self.bytes = sum(array.nbytes for name, array in arrays.items() if name.startswith(f"{prefix}."))
        """Bytes of all tensors."""

    def __len__(self) -> int:
        return len(self._passages.offsets) - 1

    @property
    def coder(self) -> TokenCoder:
        """What turns vectors into this part's codes, and back."""
        return self._passages.coder

    @property
    def width(self) -> int:
        """Dimensions of every vector."""
        return self.coder.width

    @property
    def codec(self) -> TokenCodec:
        """How the vectors are coded here, which may be other than what was asked for."""
        return self.coder.codec

    @property
    def lengths(self) -> IntArray:
        """Vectors of each passage, (n,)."""
        return np.diff(self._passages.offsets)

    def sizes(self, rows: IntArray) -> IntArray:
        """Bytes of the codes of rows that are there, (m,)."""
        offsets = self._passages.offsets
        return (offsets[rows + 1] - offsets[rows]) * self._token_bytes

    def vectors(self, rows: IntArray) -> Ragged:
        """The vectors of some passages, in the order given, as their codes tell them.

        Raises:
            InputError: there is no such row.
        """
        rows = check_rows(rows, len(self))
        found = self._passages.decode(rows)
        self._pages.touch(len(found.values) * self._token_bytes, rows)
        return found

    def codes(self, rows: IntArray) -> Codes:
        """The codes of some passages' tokens, as they are stored.

        Raises:
            InputError: there is no such row.
        """
        rows = check_rows(rows, len(self))
        tokens, offsets = tokens_of(self._passages.offsets, rows)
        found = self._passages.codes.take(tokens)
        self._pages.touch(int(offsets[-1]) * self._token_bytes, rows)
        return found

    def maxsim(self, query: FloatArray, rows: IntArray | None = None) -> FloatArray:
        """The mean over query vectors of the greatest dot product with a passage's vectors, (m,).

        As `trivec.scoring.maxsim`: 0 for a passage or a query without vectors.

        Args:
            query: (q, c).
            rows: passages to score, in any order; None for all.

        Raises:
            InputError: the query has another width, or there is no such row.
            LibraryError: codes name centroids that are not there.
        """
        query = np.asarray(query, np.float32)
        if query.ndim != 2 or query.shape[1] != self.width:
            raise InputError(f"a query of shape {query.shape} for token vectors of width {self.width}: give (q, c)")
        rows = np.arange(len(self)) if rows is None else check_rows(rows, len(self))
        sizes = self.sizes(rows)
        scores = np.zeros(len(rows), np.float32)
        for block in row_blocks(sizes, _SCAN_BYTES):
            if self._reader is not None and not _are_neighbours(rows[block]):
                gathered = self._reader.gather(rows[block])
                scores[block] = gathered.maxsim(query, np.arange(len(rows[block])))
            else:
                scores[block] = self._passages.maxsim(query, rows[block])
                self._pages.touch(int(sizes[block].sum()), rows[block])
        return scores


def check_rows(rows: IntArray, passages: int) -> IntArray:
    """Rows as whole numbers.

    Raises:
        InputError: one is not among those of so many passages.
    """
    rows = np.asarray(rows, np.int64)
    outside = rows[(rows < 0) | (rows >= passages)]
    if len(outside):
        raise InputError(f"there is no row {outside[0]} in token vectors of {passages} passages: ask for less")
    return rows


def _are_neighbours(rows: IntArray) -> bool:
    return bool((np.diff(rows) == 1).all())
