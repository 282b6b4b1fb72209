"""Reads the fields of a little-endian binary file, one after the other."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
from numpy.typing import NDArray


class Cursor:
    """A place in the bytes of a file, which each reading moves on.

    Reading behind the end raises ``struct.error`` or ``ValueError``: whoever knows the file makes an error of it that
    names it.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, layout: str) -> tuple[Any, ...]:
        """Numbers by the letters of the ``struct`` module, without gaps between them."""
        values = struct.unpack_from("<" + layout, self.data, self.position)
        self.position += struct.calcsize("<" + layout)
        return values

    def integers(self, count: int) -> list[int]:
        """Signed numbers of 32 bits."""
        return [int(value) for value in self.take(f"{count}i")]

    def array(self, dtype: str, count: int) -> NDArray[Any]:
        """Numbers of one kind, which share the file's memory."""
        values = np.frombuffer(self.data, dtype, count, self.position)
        self.position += values.nbytes
        return values

    def bytes(self, count: int) -> bytes:
        """So many bytes as they are."""
        end = self.position + count
        if not 0 <= count <= len(self.data) - self.position:
            raise ValueError(f"it ends at byte {len(self.data)}, before byte {end}")
        self.position = end
        return self.data[end - count : end]
