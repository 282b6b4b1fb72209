"""``.jsonl`` and ``.ndjson``, one object a line; and ``.json``, which is either that or a list of objects."""

from __future__ import annotations

import codecs
import json
from collections.abc import Callable, Iterator

from trivec.data.opening import open_content
from trivec.data.rows import Row
from trivec.errors import InputError
from trivec.search.readers.decoding import (
    READ_ERRORS,
    ByteStream,
    decode_lines,
    marked_encoding,
    unreadable,
    wrong_encoding,
)
from trivec.search.readers.json_text import parse_json
from trivec.search.readers.jsonl import rows_in_lines
from trivec.search.readers.reading import Reading, SourceFile

LONGEST_ITEM = 1 << 26
"""Characters; a longer item of a list is taken for a broken one."""

_BYTES_AT_ONCE = 1 << 16
_BLANKS = " \t\r\n"


def read_lines(file: SourceFile, reading: Reading) -> Iterator[Row]:
    """The values of a file with one JSON value a line; blank lines are passed over."""
    with open_content(file.path) as stream:
        for number, value in rows_in_lines(decode_lines(stream, file, reading), file, reading):
            yield file.place(number), value


def read_json(file: SourceFile, reading: Reading) -> Iterator[Row]:
    """The values of a ``.json`` file: lines of objects, or a list, of which one item is in memory at a time."""
    with open_content(file.path) as stream:
        try:
            head = stream.peek(64)[:64]
            encoding = marked_encoding(head) or reading.options.encoding or "utf-8"
            is_list = head.decode(encoding, "ignore").lstrip("\ufeff").lstrip().startswith("[")
        except READ_ERRORS as error:
            raise unreadable(str(file.path), error) from error
        if is_list:
            items = SourceFile(file.path, file.name, "item")
            yield from _items(_Text(_blocks(stream, encoding, items), items), items)
            return
    yield from read_lines(file, reading)


def _blocks(stream: ByteStream, encoding: str, file: SourceFile) -> Callable[[int], str]:
    """A function that gives the text of about as many more bytes as it is asked for; empty at the end."""
    decoder = codecs.getincrementaldecoder(encoding)()

    def read(size: int) -> str:
        try:
            while data := stream.read(size):
                if text := decoder.decode(data):
                    return text
            return decoder.decode(b"", final=True)
        except UnicodeError as error:
            raise wrong_encoding(str(file.path), encoding, error, None) from error
        except READ_ERRORS as error:
            raise unreadable(str(file.path), error) from error

    return read


class _Text:
    """The part of a text that is looked at; it grows until a value ends."""

    def __init__(self, read: Callable[[int], str], file: SourceFile) -> None:
        self._read = read
        self._file = file
        self._buffer = ""
        self._start = 0
        self._decoder = json.JSONDecoder()

    def take(self, wanted: str, number: int) -> str:
        """The next character that is not blank, which must be one of these."""
        found = self._next()
        if not found or found not in wanted:
            what = f"{found!r} stands" if found else "the file ends"
            raise InputError(
                f"{self._file.place(number)}: {what} where {' or '.join(map(repr, wanted))} should: mend the list, "
                "or name the file .jsonl if each line is an object"
            )
        self._start += 1
        return found

    def next_is(self, wanted: str) -> bool:
        """Whether this character comes next."""
        return self._next() == wanted

    def value(self, number: int) -> object:
        """The next value."""
        self._next()
        while True:
            try:
                _, end = self._decoder.raw_decode(self._buffer, self._start)
                break
            except (json.JSONDecodeError, RecursionError) as error:
                is_long = len(self._buffer) - self._start > LONGEST_ITEM
                if is_long or isinstance(error, RecursionError) or not self._grow():
                    raise InputError(
                        f"{self._file.place(number)}: broken JSON ({error}), the rest is lost: mend the item"
                    ) from error
        try:
            value: object = parse_json(self._buffer[self._start : end])
        except InputError as error:
            raise InputError(f"{self._file.place(number)}: {error}: mend the item") from error
        self._start = end
        return value

    def _next(self) -> str:
        while True:
            while self._start < len(self._buffer) and self._buffer[self._start] in _BLANKS:
                self._start += 1
            if self._start < len(self._buffer):
                return self._buffer[self._start]
            if not self._grow():
                return ""

    def _grow(self) -> bool:
        """Read on, as much again as is there, so that a long item is not parsed too often."""
        rest = self._buffer[self._start :]
        more = self._read(max(_BYTES_AT_ONCE, len(rest)))
        self._buffer, self._start = rest + more, 0
        return bool(more)


def _items(text: _Text, file: SourceFile) -> Iterator[Row]:
    if text.take("[\ufeff", 0) == "\ufeff":
        text.take("[", 0)
    number = 1
    if text.next_is("]"):
        return
    while True:
        yield file.place(number), text.value(number)
        if text.take(",]", number) == "]":
            return
        number += 1
