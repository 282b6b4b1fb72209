"""``.csv`` and ``.tsv`` with a header line.

All values are text: 007 stays 007. Empty cells are missing values. A .csv follows RFC 4180, so a quoted cell may
hold newlines; in a .tsv, as IANA registers it, quotes are ordinary characters and a line is a row.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
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
        lines = decode_lines(stream, file, reading)
        yield from documents_of(table_rows(lines, file, reading, check_columns, delimiter, quotes), file, reading)


def table_rows(
    lines: Iterable[tuple[int, str]],
    file: SourceFile,
    reading: Reading,
    check: Callable[[list[str], str, Reading], None],
    delimiter: str = ",",
    quotes: bool = True,
) -> Iterator[tuple[int, dict[str, str | None]]]:
    """The rows of a table by its header's names, numbered by the line each begins in.

    Args:
        lines: the table's, numbered.
        file: what errors name.
        reading: the rule for bad rows.
        check: called with the header and its place; it raises `InputError` if the table is of no use.
        delimiter: between cells.
        quotes: whether quoted cells may hold the delimiter and newlines.
    """
    numbered = _Lines(lines)
    # The limit belongs to the whole process, so it is only ever raised.
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_CELL))
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
    table = csv.reader(numbered, delimiter=delimiter, quoting=quoting, strict=True)
    header: list[str] | None = None
    for first, cells in _filled_rows(table, numbered, file, reading):
        if header is None:
            header = [name.strip() for name in cells]
            check(header, file.place(first), reading)
        elif len(cells) != len(header):
            reading.bad(_ragged(file.place(first), cells, header))
        else:
            yield first, {name: cell or None for name, cell in zip(header, cells, strict=True)}


def _filled_rows(
    table: Iterator[list[str]], lines: _Lines, file: SourceFile, reading: Reading
) -> Iterator[tuple[int, list[str]]]:
    """Rows that have cells."""
    while True:
        first = lines.number + 1
        try:
            cells = next(table)
        except StopIteration:
            return
        except csv.Error as error:
            reading.bad(_broken(file.place(first), error))
            continue
        if cells:
            yield first, cells


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
