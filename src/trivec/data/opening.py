"""Opens plain, gzip and Zstandard files by what is in them, whatever they are named."""

from __future__ import annotations

import gzip
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trivec.errors import InputError, require
from trivec.search.readers.decoding import READ_ERRORS, ByteStream, unreadable

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

COMPRESSED_SUFFIXES = (".gz", ".zst")

_GZIP_MARK = b"\x1f\x8b"
_ZSTD_MARK = b"\x28\xb5\x2f\xfd"
_BYTES_AT_ONCE = 1 << 10  # few, because text that repeats itself comes out a thousand times as long


def open_content(path: Path) -> ByteStream:
    """Open a file for reading what it holds; only a small part of it is in memory.

    Raises:
        InputError: it cannot be opened.
        MissingPackageError: it is Zstandard and the package for it is not installed.
    """
    try:
        with path.open("rb") as file:
            head = file.read(4)
        if head.startswith(_GZIP_MARK):
            return gzip.open(path, "rb")
        if head == _ZSTD_MARK:
            return io.BufferedReader(_ZstdStream(path), 1 << 16)
        return path.open("rb")
    except READ_ERRORS as error:
        raise unreadable(str(path), error) from error


def plain_suffix(path: Path) -> str:
    """The suffix without that of compression, in lower case: ``.jsonl`` for ``A.JSONL.gz``."""
    suffix = path.suffix.lower()
    return Path(path.stem).suffix.lower() if suffix in COMPRESSED_SUFFIXES else suffix


class _ZstdStream(io.RawIOBase):
    """Decompresses frame after frame, and notices a file that was cut off, which zstandard's own reader does not."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._package: Any = require("zstandard", "train", f"reading {path}")
        self._path = path
        self._file = path.open("rb")
        self._frame: Any = None
        self._unread = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        while not self._unread:
            chunk = self._file.read(_BYTES_AT_ONCE)
            if not chunk:
                self._check_end()
                return 0
            self._unread = memoryview(self._decompress(chunk))
        target = memoryview(buffer).cast("B")
        count = min(len(target), len(self._unread))
        target[:count] = self._unread[:count]
        self._unread = self._unread[count:]
        return count

    def close(self) -> None:
        self._file.close()
        super().close()

    def _decompress(self, chunk: bytes) -> bytes:
        parts = []
        while chunk:
            if self._frame is None:
                self._frame = self._package.ZstdDecompressor().decompressobj()
            try:
                parts.append(self._frame.decompress(chunk))
            except self._package.ZstdError as error:
                raise InputError(
                    f"{self._path}: damaged zstd data ({error}): copy or download the file again"
                ) from error
            chunk = b""
            if self._frame.eof:
                chunk, self._frame = self._frame.unused_data, None
        return b"".join(parts)

    def _check_end(self) -> None:
        if self._frame is not None:
            raise InputError(
                f"{self._path}: the zstd data ends too early, as if cut off: copy or download the file again"
            )
