"""``.json``: a list of objects. The file is read as a whole; a large one is better kept as jsonl."""

from __future__ import annotations

from collections.abc import Iterator

from trivec.errors import InputError
from trivec.search.readers.decoding import read_text
from trivec.search.readers.json_text import kind_of, parse_json
from trivec.search.readers.reading import Found, Reading, SourceFile
from trivec.search.readers.rows import documents_of


def read_json(file: SourceFile, reading: Reading) -> Iterator[Found]:
    """The documents of a list of objects, numbered from 1.

    Raises:
        InputError: it is no JSON, or no list.
    """
    text = read_text(file, reading.options.encoding)
    try:
        rows = parse_json(text)
    except InputError as error:
        raise InputError(f"{file.path}: {error}: mend it, or name it .jsonl if each line is an object") from error
    if not isinstance(rows, list):
        fields = f" with the fields {', '.join(map(repr, list(rows)[:8]))}" if isinstance(rows, dict) else ""
        raise InputError(
            f"{file.path}: not a list of objects but {kind_of(rows)}{fields}: put [ ] around it, or leave the file out"
        )
    yield from documents_of(enumerate(rows, start=1), file, reading)
