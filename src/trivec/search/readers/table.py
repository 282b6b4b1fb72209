"""``.csv`` and ``.tsv`` with a header line.

All values are text: 007 stays 007. Empty cells are missing values. A .csv follows RFC 4180, so a quoted cell may
hold newlines; in a .tsv, as IANA registers it, quotes are ordinary characters and a line is a row.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from typing import Literal

from trivec.errors import InputError
from trivec.search.readers.decoding import decode_lines, open_bytes
from trivec.search.readers.reading import Found, Reading, SourceFile
from trivec.search.readers.rows import check_columns, documents_of

LONGEST_CELL = 16_000_000
"""Characters; a longer cell is taken for a quote that was never closed."""


def read_csv(file: SourceFile, reading: Reading) -> Iterator[Found]:
    """The rows of a comma-separated table."""
    return _read_table(file, reading, reading.options.delimiter or ",", quotes=True)


def read_tsv(file: SourceFile, reading: Reading) -> Iterator[Found]:
    """The rows of a tab-separated table."""
    return _read_table(file, reading, "\t", quotes=False)


def _read_table(file: SourceFile, reading: Reading, delimiter: str, quotes: bool) -> Iterator[Found]:
    with open_bytes(file) as stream:
        lines = _Lines(decode_lines(stream, file, reading))
        # The limit belongs to the whole process, so it is only ever raised.
        csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))
        quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
        cells = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=True)
        yield from documents_of(_rows(cells, lines, file, reading), file, reading)


def _rows(
    cells: Iterator[list[str]], lines: _Lines, file: SourceFile, reading: Reading
) -> Iterator[tuple[int, object]]:
    """Numbered by the line each row begins in."""
    header: list[str] | None = None
    while True:
        first = lines.number + 1
        try:
            row = next(cells)
        except StopIteration:
            return
        except csv.Error as error:
            reading.bad(_broken(file.place(first), error))
            continue
        if not row:
            continue
        if header is None:
            header = [name.strip() for name in row]
            check_columns(header, file.place(first), reading)
        elif len(row) != len(header):
            reading.bad(_ragged(file.place(first), row, header))
        else:
            yield first, {name: cell or None for name, cell in zip(header, row, strict=True)}


class _Lines:
    """Lines for the csv module that know the number of the last one taken."""

    def __init__(self, lines: Iterable[tuple[int, str]]) -> None:
        self._lines = iter(lines)
        self.number = 0

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        self.number, line = next(self._lines)
        return line


def _broken(place: str, error: csv.Error) -> InputError:
    return InputError(f"{place}: broken table row ({error}): look for a quote that is not closed or not doubled")


def _ragged(place: str, row: list[str], header: list[str]) -> InputError:
    return InputError(
        f"{place}: {len(row)} cells where the header has {len(header)}: quote cells that hold the delimiter, "
        "or name it with --delimiter"
    )
