"""``.jsonl`` and ``.ndjson``: one JSON object a line. Blank lines are passed over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from trivec.errors import InputError
from trivec.search.readers.decoding import decode_lines, open_bytes
from trivec.search.readers.json_text import parse_json
from trivec.search.readers.reading import Found, Reading, SourceFile
from trivec.search.readers.rows import documents_of


def read_jsonl(file: SourceFile, reading: Reading) -> Iterator[Found]:
    """The documents of a file with one object a line."""
    with open_bytes(file) as stream:
        yield from documents_in_lines(decode_lines(stream, file, reading), file, reading)


def documents_in_lines(lines: Iterable[tuple[int, str]], file: SourceFile, reading: Reading) -> Iterator[Found]:
    """The documents of numbered lines."""
    return documents_of(rows_in_lines(lines, file, reading), file, reading)


def rows_in_lines(lines: Iterable[tuple[int, str]], file: SourceFile, reading: Reading) -> Iterator[tuple[int, object]]:
    """The values of numbered lines; a broken one is bad by itself."""
    for number, line in lines:
        if not line.strip():
            continue
        try:
            row = parse_json(line)
        except InputError as error:
            cut = "" if line.endswith("\n") else "; the file ends in this line, as if cut off"
            hint = "mend the line, or skip bad lines with --skip-bad"
            reading.bad(InputError(f"{file.place(number)}: {error}{cut}: {hint}"))
        else:
            yield number, row
