"""``.csv`` and ``.tsv`` with a header line, and tables of tab-separated texts without one.

All values are text, except scores. A .csv follows RFC 4180, so a quoted cell may hold newlines; where tabs separate,
quotes are ordinary characters and a line is a row. Empty cells are missing values.
"""

from __future__ import annotations

from collections.abc import Iterator

from trivec.data.layouts import SCORE_COLUMNS, layout_of
from trivec.data.opening import open_content
from trivec.data.rows import Row
from trivec.errors import InputError
from trivec.search.readers.decoding import decode_lines
from trivec.search.readers.reading import Reading, SourceFile
from trivec.search.readers.table import table_rows


def read_csv(file: SourceFile, reading: Reading) -> Iterator[Row]:
    """The rows of a comma-separated table with a header."""
    return _read_table(file, reading, ",", quotes=True)


def read_tsv(file: SourceFile, reading: Reading) -> Iterator[Row]:
    """The rows of a tab-separated table with a header."""
    return _read_table(file, reading, "\t", quotes=False)


def read_triples(file: SourceFile, reading: Reading) -> Iterator[Row]:
    """Lines of query, positive and any number of negatives, separated by tabs, without a header."""
    with open_content(file.path) as stream:
        for number, line in decode_lines(stream, file, reading):
            cells = line.rstrip("\r\n").split("\t")
            if len(cells) < 2:
                if line.strip():
                    reading.bad(InputError(f"{file.place(number)}: no tab: give query, positive and negatives"))
                continue
            yield file.place(number), {"query": cells[0], "pos": cells[1:2], "neg": cells[2:]}


def _read_table(file: SourceFile, reading: Reading, delimiter: str, quotes: bool) -> Iterator[Row]:
    with open_content(file.path) as stream:
        lines = decode_lines(stream, file, reading)
        for number, cells in table_rows(lines, file, reading, _check_header, delimiter, quotes):
            place = file.place(number)
            try:
                row = _with_numbers(cells)
            except InputError as error:
                reading.bad(InputError(f"{place}: {error}"))
            else:
                yield place, row


def _check_header(names: list[str], place: str, reading: Reading) -> None:
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise InputError(f"{place}: two columns are named {twice!r}: rename one of them")
    try:
        layout_of(tuple(names))
    except InputError as error:
        raise InputError(f"{place}: the first line is no header with {error}; or read it as triples") from error


def _with_numbers(cells: dict[str, str | None]) -> dict[str, object]:
    scores = {name: _number(name, cell) for name in SCORE_COLUMNS if (cell := cells.get(name)) is not None}
    return {**cells, **scores}


def _number(name: str, cell: str) -> float:
    try:
        return float(cell)
    except ValueError as error:
        raise InputError(f"{name!r} is {cell!r:.60}: give a number") from error
