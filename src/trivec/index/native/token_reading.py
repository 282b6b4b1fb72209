"""Reading the codes of scattered passages from their file instead of mapping them.

Touching a mapped file in 200 places maps megabytes around each of them, and most of the time of such a request would
go into that and into giving the pages back. Reading copies just what is asked for into memory that is used again.
"""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivec.index.native.token_codecs import damaged
from trivec.index.native.token_maxsim import CodedPassages, tokens_of
from trivec.index.native.token_pages import map_under
from trivec.tensorfile import FileMap
from trivec.types import IntArray

try:
    from trivec.index.native import _reading as _kernels
except ImportError:  # not built: the same, passage by passage
    _kernels = None  # type: ignore[assignment]

_FROM_BYTES = 96 << 20
"""Smaller arrays may stay in memory as a whole, so nothing is gained by reading them."""


class TokenReader:
    """Reads passages of one part. Each thread has a buffer of its own, as large as its largest request."""

    def __init__(self, passages: CodedPassages, pages: FileMap, start: int) -> None:
        """Use `reader_of`."""
        self._passages, self._pages, self._start = passages, pages, start
        self._buffers = threading.local()

    def gather(self, rows: IntArray) -> CodedPassages:
        """These passages alone, in the order given, valid until the thread's next call.

        Raises:
            LibraryError: the file has become shorter.
        """
        whole = self._passages
        tokens, offsets = tokens_of(whole.offsets, rows)
        values = self._buffer(int(offsets[-1]), whole.codes.values)
        row_bytes = whole.codes.values.itemsize * int(np.prod(values.shape[1:]))
        places = self._start + whole.offsets[rows] * row_bytes
        _read(self._pages.handle, places, np.diff(offsets) * row_bytes, values.reshape(-1).view(np.uint8))
        return replace(whole, codes=whole.codes.with_values(values, tokens), offsets=offsets)

    def _buffer(self, count: int, like: NDArray[Any]) -> NDArray[Any]:
        held: NDArray[Any] | None = getattr(self._buffers, "values", None)
        if held is None or len(held) < count:
            held = self._buffers.values = np.empty((count, *like.shape[1:]), like.dtype)
        return held[:count]


def _read(file: int, places: IntArray, lengths: IntArray, out: NDArray[np.uint8]) -> None:
    """Fill ``out`` with stretches of a file, end to end."""
    if _kernels is not None:
        try:
            _kernels.gather(file, places, lengths, out)
        except ValueError as error:
            raise damaged(error) from error
        return
    start = 0
    for place, length in zip(places.tolist(), lengths.tolist(), strict=True):
        if os.preadv(file, [out[start : start + length].data], place) != length:
            raise damaged(ValueError(f"the file ends before byte {place + length}"))
        start += length


def reader_of(passages: CodedPassages) -> TokenReader | None:
    """A reader of a part whose codes are large and lie in a mapped file; None for others."""
    values = passages.codes.values
    pages = map_under(values)
    if values.nbytes < _FROM_BYTES or not isinstance(pages, FileMap) or not hasattr(os, "preadv"):
        return None
    start = values.ctypes.data - np.frombuffer(pages, np.uint8).ctypes.data
    return TokenReader(passages, pages, start)
