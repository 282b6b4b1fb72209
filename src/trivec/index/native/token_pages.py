"""Keeping the memory of a process small while it reads token vectors from memory maps."""

from __future__ import annotations

import mmap
import threading
from collections.abc import Iterable
from itertools import accumulate
from operator import itemgetter

import numpy as np
from numpy.typing import NDArray

from trivec.types import IntArray

_AROUND = 1 << 21
"""What Linux may map around a byte that is touched: 64 KB, and 2 MB where a file lies in memory in large pieces."""


class TouchedPages:
    """Counts the bytes touched of some arrays, and gives their pages back when they could be more than a budget.

    A page given back is read again from the file when it is touched again, mostly from the system's own cache. Only
    read-only maps are given back: nobody can have written to them, so there is nothing to lose. Other arrays are left
    alone, and so are the smallest as long as they fit into the budget together: a page fault for every passage costs
    more than the memory of the scales of its tokens.
    """

    def __init__(self, arrays: Iterable[NDArray[np.generic]], budget: int) -> None:
        found = (_stretch(array) for array in arrays)
        stretches = sorted((stretch for stretch in found if stretch is not None), key=itemgetter(2))
        kept = sum(total <= budget for total in accumulate(length for _, _, length in stretches))
        self._stretches = stretches[kept:]
        self._budget = budget
        self._touched = 0
        self._lock = threading.Lock()

    def touch(self, size: int, rows: IntArray) -> None:
        """Take note of ``size`` bytes read, of these rows."""
        if not self._stretches or not len(rows):
            return
        places = 1 + int(np.count_nonzero(np.diff(rows) != 1))
        with self._lock:
            self._touched += size + places * _AROUND
            if self._touched <= self._budget:
                return
            self._touched = 0
        for pages, start, length in self._stretches:
            pages.madvise(mmap.MADV_DONTNEED, start, length)


def _stretch(array: NDArray[np.generic]) -> tuple[mmap.mmap, int, int] | None:
    """The map that an array lies in, and its stretch of whole pages there; None if it is not a read-only map."""
    pages = map_under(array)
    if pages is None or not hasattr(mmap, "MADV_DONTNEED") or not array.size:
        return None
    whole = np.frombuffer(pages, np.uint8)
    start = array.ctypes.data - whole.ctypes.data
    before = start % mmap.PAGESIZE
    return pages, start - before, array.nbytes + before


def map_under(array: NDArray[np.generic]) -> mmap.mmap | None:
    """The read-only map of a file that an array lies in; None if it lies elsewhere."""
    base: object = array
    while isinstance(base, np.ndarray):
        base = base.base
    if isinstance(base, mmap.mmap):
        base = memoryview(base)
    if not isinstance(base, memoryview):
        return None
    return base.obj if base.readonly and isinstance(base.obj, mmap.mmap) else None
