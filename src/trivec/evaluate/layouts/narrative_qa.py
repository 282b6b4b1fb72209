"""NarrativeQA as retrieval of long documents: which book or film script does a question ask about?

    documents.csv          document_id, set, ...
    qaps.csv               document_id, set, question, ...
    tmp/ID.content         the stories, as download_stories.sh leaves them

Kočiský et al. (2018, 1712.07040). Every question is a query, the corpus is the full stories of the split, and each
question has one right story; M3-Embedding reports nDCG@10 on the test split. A query is named for its row in qaps.csv.
The summaries in third_party are not used.

A story is the whole file, with what Project Gutenberg puts around the text; its title is left out, for it would give
the answer away. Of a page of HTML, the words that `trivec.search.readers` reads. What is not UTF-8 is taken for
Windows-1252.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from trivec.data.opening import open_content
from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.layouts.files import choose_split, existing, judged_set, needed, queries_by_id
from trivec.evaluate.layouts.old_text import decode_old_text, old_encoding
from trivec.search.readers.decoding import decode_lines
from trivec.search.readers.html import read_html
from trivec.search.readers.options import ReadOptions
from trivec.search.readers.reading import Reading, SourceFile
from trivec.search.readers.report import ReadReport
from trivec.search.readers.table import table_rows
from trivec.types import Document

_HEAD_CHARACTERS = 4096
"""Of a story, in which a page of HTML has begun."""

_PAGE = re.compile(r"<(!doctype html|html|head|body|pre)\b", re.IGNORECASE)


def matches(folder: Path) -> bool:
    """Whether a folder is laid out like this."""
    return existing(folder / "documents.csv") is not None and existing(folder / "qaps.csv") is not None


def read(folder: Path, split: str | None) -> JudgedSet:
    """The set; without a split, the test split.

    Raises:
        InputError: it cannot be read, or a story is missing.
        MissingPackageError: a story is HTML, and beautifulsoup4 is not installed.
    """
    stories: dict[str, dict[str, Path]] = {}
    for _, row in _table(needed(folder, "documents.csv"), ("document_id", "set")):
        stories.setdefault(row["set"], {})[row["document_id"]] = folder / "tmp" / f"{row['document_id']}.content"
    chosen = choose_split({name: folder for name in stories}, split, folder, "story of the set SPLIT in documents.csv")
    return _retrieval(folder, chosen, stories[chosen])


def _retrieval(folder: Path, split: str, stories: Mapping[str, Path]) -> JudgedSet:
    missing = [path for path in stories.values() if not path.is_file()]
    if missing:
        raise InputError(
            f"{len(missing)} of the {len(stories)} stories of {split} are not there, the first is {missing[0]}: fetch "
            "them by download_stories.sh, or take what cannot be had out of documents.csv"
        )
    found, relevance = [], {}
    for number, (place, row) in enumerate(_table(needed(folder, "qaps.csv"), ("document_id", "set", "question")), 1):
        if row["set"] == split and row["document_id"] in stories:
            found.append((place, f"q{number}", row["question"], "en"))
            relevance[f"q{number}"] = {row["document_id"]: 1}
    documents = [Document(name, _story(path)) for name, path in stories.items()]
    return judged_set(folder.name, queries_by_id(found), documents, relevance)


def _table(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[str, dict[str, str]]]:
    """The rows of a .csv, with an empty text where a cell is empty."""
    file = SourceFile(path, path.name)
    reading = Reading(ReadOptions(), ReadReport())

    def check(names: list[str], place: str, reading: Reading) -> None:
        missing = [name for name in columns if name not in names]
        if missing:
            raise InputError(f"{place}: no column {missing[0]!r}: the columns are {', '.join(names)}")

    with open_content(path) as stream:
        for number, row in table_rows(decode_lines(stream, file, reading), file, reading, check):
            yield file.place(number), {name: cell or "" for name, cell in row.items()}


def _story(path: Path) -> str:
    with open_content(path) as stream:
        data = stream.read()
    text = decode_old_text(data)
    if not _PAGE.search(text[:_HEAD_CHARACTERS]):
        return text
    reading = Reading(ReadOptions(encoding=old_encoding(data)), ReadReport())
    return next(read_html(SourceFile(path, path.name), reading)).document.text
