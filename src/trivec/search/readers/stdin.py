"""``-``: documents piped in.

If the first character that is not blank is ``{``, the input is jsonl; otherwise each line that is not blank is a
document of its own. Documents without an id are named ``stdin:LINE``.
"""

from __future__ import annotations

import io
import itertools
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import cast

from trivec.search.readers.decoding import decode_lines
from trivec.search.readers.jsonl import documents_in_lines
from trivec.search.readers.reading import Found, Reading, SourceFile
from trivec.types import Document

STDIN = SourceFile(Path("stdin"), "stdin")


def read_stdin(reading: Reading) -> Iterator[Found]:
    """Documents of standard input."""
    lines = decode_lines(cast(io.BufferedReader, sys.stdin.buffer), STDIN, reading)
    full = ((number, line) for number, line in lines if line.strip())
    first = next(full, None)
    if first is None:
        return
    everything = itertools.chain([first], full)
    if first[1].lstrip().startswith("{"):
        yield from documents_in_lines(everything, STDIN, reading)
    else:
        for number, line in everything:
            yield Found(Document(f"{STDIN.name}:{number}", line.strip()), STDIN, number)
