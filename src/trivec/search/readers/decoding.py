"""Bytes of a file to text, strictly: a byte that cannot be read is an error with its position, never a guess.

The encoding is, in this order: the one a byte order mark states, the one asked for, UTF-8.
"""

from __future__ import annotations

import codecs
import gzip
import io
import zlib
from collections.abc import Iterator
from typing import TypeAlias

from trivec.errors import InputError
from trivec.search.readers.reading import Reading, SourceFile

ByteStream: TypeAlias = io.BufferedReader | gzip.GzipFile

READ_ERRORS = (OSError, EOFError, zlib.error)
"""What opening and reading a plain or compressed file may raise."""

_BYTE_ORDER_MARKS = (  # UTF-32 first: its little-endian mark begins with that of UTF-16
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


def open_bytes(file: SourceFile) -> ByteStream:
    """Open for reading; a name that ends in .gz is decompressed."""
    try:
        return gzip.open(file.path, "rb") if file.path.suffix.lower() == ".gz" else file.path.open("rb")
    except OSError as error:
        raise unreadable(str(file.path), error) from error


def read_bytes(file: SourceFile) -> bytes:
    """The whole file."""
    with open_bytes(file) as stream:
        try:
            return stream.read()
        except READ_ERRORS as error:
            raise unreadable(str(file.path), error) from error


def read_text(file: SourceFile, encoding: str | None) -> str:
    """The whole file as text; all line ends become newlines.

    Raises:
        InputError: it cannot be opened, is in another encoding, or looks like binary.
    """
    return decode(read_bytes(file), file, encoding).replace("\r\n", "\n").replace("\r", "\n")


def decode(data: bytes, file: SourceFile, encoding: str | None) -> str:
    """The text of a whole file's bytes."""
    chosen = marked_encoding(data) or encoding or "utf-8"
    if newline_is_one_byte(chosen) and b"\0" in data:
        raise looks_binary(str(file.path), data.index(b"\0"))
    try:
        return data.decode(chosen)
    except UnicodeError as error:
        start = getattr(error, "start", 0)
        line = data.count(b"\n", 0, start) + 1
        raise wrong_encoding(f"{file.path}:{line}", chosen, error, 0) from error


def decode_lines(stream: ByteStream, file: SourceFile, reading: Reading) -> Iterator[tuple[int, str]]:
    """Number each line from 1 and decode it; line ends stay. Only one line is in memory.

    A line in another encoding is bad by itself, except in UTF-16 and UTF-32, where the rest of the file is lost.
    """
    try:
        marked = marked_encoding(stream.peek(4)[:4])
    except READ_ERRORS as error:
        raise unreadable(str(file.path), error) from error
    encoding = marked or reading.options.encoding or "utf-8"
    if newline_is_one_byte(encoding):
        yield from _narrow_lines(stream, file, reading, encoding)
    else:
        yield from _wide_lines(stream, file, encoding)


def _narrow_lines(stream: ByteStream, file: SourceFile, reading: Reading, encoding: str) -> Iterator[tuple[int, str]]:
    """Lines of an encoding in which the byte 0x0A is always a newline: split first, then decode."""
    offset = number = 0
    while True:
        number += 1
        try:
            line = stream.readline()
        except READ_ERRORS as error:
            raise unreadable(file.place(number), error) from error
        if not line:
            return
        if b"\0" in line:
            raise looks_binary(file.place(number), offset + line.index(b"\0"))
        try:
            text = line.decode(encoding)
        except UnicodeError as error:
            reading.bad(wrong_encoding(file.place(number), encoding, error, offset))
        else:
            yield number, text
        offset += len(line)
        encoding = "utf-8" if encoding == "utf-8-sig" else encoding


def _wide_lines(stream: ByteStream, file: SourceFile, encoding: str) -> Iterator[tuple[int, str]]:
    """Lines of UTF-16 and UTF-32."""
    text = io.TextIOWrapper(stream, encoding=encoding, newline="\n")
    number = 0
    try:
        while True:
            number += 1
            try:
                line = text.readline()
            except UnicodeError as error:
                raise wrong_encoding(f"{file.place(number)} or later", encoding, error, None) from error
            except READ_ERRORS as error:
                raise unreadable(file.place(number), error) from error
            if not line:
                return
            yield number, line
    finally:
        if not stream.closed:  # a generator left early may end after its stream
            text.detach()  # the stream is closed by whoever opened it


def marked_encoding(head: bytes) -> str | None:
    """The encoding that a byte order mark states."""
    return next((name for mark, name in _BYTE_ORDER_MARKS if head.startswith(mark)), None)


def newline_is_one_byte(encoding: str) -> bool:
    """Whether lines can be found before decoding: true of UTF-8 and all national encodings."""
    return "\n".encode(encoding) == b"\n" or encoding == "utf-8-sig"


def unreadable(place: str, error: Exception) -> InputError:
    """The error for a file that cannot be opened or whose bytes end or break."""
    if isinstance(error, EOFError):
        return InputError(f"{place}: the gzip data ends too early, as if cut off: copy or download the file again")
    if isinstance(error, gzip.BadGzipFile | zlib.error):
        return InputError(f"{place}: damaged or no gzip data ({error}): copy it again, or rename it without .gz")
    reason = getattr(error, "strerror", None) or str(error)
    return InputError(f"{place}: cannot be read ({reason}): check that the file exists and may be read")


def looks_binary(place: str, position: int) -> InputError:
    """The error for a NUL byte in what should be text."""
    return InputError(
        f"{place}: looks like binary (NUL byte at byte {position:,}): leave the file out, "
        "or give its encoding if it is text, for example --encoding utf-16"
    )


def wrong_encoding(place: str, encoding: str, error: UnicodeError, offset: int | None) -> InputError:
    """The error for bytes that are no text in this encoding; ``offset`` is where the decoded bytes began."""
    where = ""
    if isinstance(error, UnicodeDecodeError) and offset is not None:
        where = f" at byte {offset + error.start:,} (0x{error.object[error.start]:02x})"
    return InputError(f"{place}: not {encoding}{where}: give the right encoding, for example --encoding cp1252")
