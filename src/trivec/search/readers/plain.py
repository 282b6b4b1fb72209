"""``.txt``: the file is the document."""

from __future__ import annotations

from collections.abc import Iterator

from trivec.search.readers.decoding import read_text
from trivec.search.readers.reading import Found, Reading, SourceFile
from trivec.types import Document


def read_plain(file: SourceFile, reading: Reading) -> Iterator[Found]:
    """One document without a title."""
    text = read_text(file, reading.options.encoding)
    yield Found(Document(file.name, text, metadata=file.facts("txt")), file)
