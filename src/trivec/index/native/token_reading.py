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

from trivec.index.native.token_codecs import Codes, damaged
from trivec.index.native.token_maxsim import CodedPassages
from trivec.index.native.token_pages import map_under
from trivec.tensorfile import FileMap
from trivec.types import IntArray

try:
    from trivec.index.native import _reading as _kernels
except ImportError:  # not built: the same, passage by passage
    _kernels = None  # type: ignore[assignment]


class TokenReader:
    """Reads passages of one part. Each thread has buffers of its own, as large as its largest request."""

    def __init__(self, passages: CodedPassages, pages: FileMap) -> None:
        """Use `reader_of`."""
        self._passages, self._pages = passages, pages
        base = np.frombuffer(pages, np.uint8).ctypes.data
        self._starts = [array.ctypes.data - base for array in passages.codes.parts]
        self._buffers = threading.local()

    def gather(self, rows: IntArray) -> CodedPassages:
        """These passages alone, in the order given, valid until the thread's next call.

        Raises:
            LibraryError: the file has become shorter.
        """
        whole = self._passages
        firsts = whole.offsets[rows]
        lengths = whole.offsets[rows + 1] - firsts
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        codes = [self._read(number, firsts, lengths, int(offsets[-1])) for number in range(len(self._starts))]
        return replace(whole, codes=Codes(*codes), offsets=offsets)

    def _read(self, number: int, firsts: IntArray, lengths: IntArray, count: int) -> NDArray[Any]:
        """One of the arrays of codes; those that the codec has no use for are empty."""
        whole = self._passages.codes.parts[number]
        if not len(whole):
            return whole
        out = self._buffer(number, count, whole)
        row_bytes = whole.nbytes // len(whole)
        places = self._starts[number] + firsts * row_bytes
        _read(self._pages.handle, places, lengths * row_bytes, out.reshape(-1).view(np.uint8))
        return out

    def _buffer(self, number: int, count: int, like: NDArray[Any]) -> NDArray[Any]:
        held: dict[int, NDArray[Any]] = self._buffers.__dict__.setdefault("held", {})
        if number not in held or len(held[number]) < count:
            held[number] = np.empty((count, *like.shape[1:]), like.dtype)
        return held[number][:count]


def reader_of(passages: CodedPassages, memory: int) -> TokenReader | None:
    """A reader of a part whose codes lie in a mapped file and are too large to stay in memory; None for others."""
    pages = map_under(passages.codes.values)
    if passages.codes.values.nbytes < memory or not isinstance(pages, FileMap) or not hasattr(os, "preadv"):
        return None
    if any(len(array) and map_under(array) is not pages for array in passages.codes.parts):
        return None
    return TokenReader(passages, pages)


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
