"""What the layouts share: finding files of a split, and reading queries and judged sets strictly."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from trivec.data.bad_lines import BadLines
from trivec.data.json_rows import read_lines
from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedQuery, JudgedSet
from trivec.evaluate.measures import Relevance
from trivec.evaluate.runs import numbered_lines
from trivec.search.readers import ReadOptions, read_documents
from trivec.search.readers.parquet import parquet_rows
from trivec.search.readers.reading import SourceFile
from trivec.types import Document

WHAT = "a folder with corpus, queries and judgements, or a file of examples"
_ENDINGS = ("", ".gz", ".zst")
_QUERY_ID_FIELDS = ("_id", "id", "query_id", "qid", "query-id")
_SPLITS = ("dev", "test")
"""Of several splits the first of these that is there, unless one is named."""


def existing(path: Path) -> Path | None:
    """The file itself, or in a compressed form; None if there is neither."""
    return next((found for ending in _ENDINGS if (found := path.with_name(path.name + ending)).is_file()), None)


def needed(folder: Path, name: str) -> Path:
    """A file of a set.

    Raises:
        InputError: it is missing.
    """
    found = existing(folder / name)
    if found is None:
        raise InputError(f"{folder} has no {name}: give {WHAT}")
    return found


def splits(folder: Path, pattern: str) -> dict[str, Path]:
    """Files by split, whose name stands at the one group of a regular expression; ``/`` separates folders."""
    found: dict[str, Path] = {}
    for path in sorted(folder.glob("*")) + sorted(folder.glob("*/*")):
        match = re.fullmatch(rf"{pattern}(?:\.gz|\.zst)?", path.relative_to(folder).as_posix())
        if match is not None and path.is_file():
            found.setdefault(match[1], path)
    return found


def choose_split(there: Mapping[str, Path], split: str | None, folder: Path, what: str) -> str:
    """The split to read.

    Raises:
        InputError: there is none, or not the one that was named.
    """
    chosen = split or next((name for name in (*_SPLITS, *sorted(there)) if name in there), "SPLIT")
    if chosen not in there:
        others = f"it has {', '.join(sorted(there))}" if there else "any of them"
        raise InputError(f"{folder} has no {what.replace('SPLIT', chosen)}: add the judgements ({others})")
    return chosen


def read_queries(path: Path, language: str = "") -> dict[str, JudgedQuery]:
    """Queries by id, from one JSON object a line, or from the rows of a parquet file.

    Args:
        path: a file with ``id`` or ``_id``, ``text``, and a language in ``lang`` or ``language``.
        language: of queries that name none.

    Raises:
        InputError: one has no id or no text, or an id stands twice.
    """
    found = []
    for place, row in rows(path):
        name = next((row[field] for field in _QUERY_ID_FIELDS if row.get(field) is not None), None)
        if name is None:
            raise InputError(f"{place}: the query has no _id or id: give each its own")
        own = row.get("lang") or row.get("language") or language
        found.append((place, str(name), row.get("text", row.get("query")), str(own)))
    return queries_by_id(found)


def read_topics(path: Path, language: str = "") -> dict[str, JudgedQuery]:
    """Queries by id, from lines of an id, a tab and the text.

    Raises:
        InputError: a line has no tab or no text, or an id stands twice.
    """
    found = []
    for number, line in numbered_lines(path):
        name, _, text = line.partition("\t")
        found.append((f"{path}:{number}", name.strip(), text.strip(), language))
    return queries_by_id(found)


def queries_by_id(found: Iterable[tuple[str, str, object, str]]) -> dict[str, JudgedQuery]:
    """Queries that were found, each as its place, id, text and language.

    Raises:
        InputError: one has no text, or an id stands twice.
    """
    queries: dict[str, JudgedQuery] = {}
    for place, name, text, language in found:
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{place}: query {name!r:.80} has no text: fill it in, or take the query out")
        if name in queries:
            raise InputError(f"{place}: the query id {name!r:.80} stands twice: each query needs its own")
        queries[name] = JudgedQuery(name, text, language=language)
    return queries


def rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The objects of a file with one a line, or the rows of a parquet file, and where each stands.

    Raises:
        InputError: a line is none.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}: check the path")
    if path.suffix == ".parquet":
        yield from ((f"{path}, row {number}", row) for number, row in parquet_rows(path))
        return
    for place, row in read_lines(SourceFile(path, str(path)), BadLines().reading()):
        if not isinstance(row, dict):
            raise InputError(f"{place}: {row!s:.60} is no JSON object: give one a line")
        yield place, row


def read_shards(paths: Sequence[Path], options: ReadOptions | None = None) -> list[Document]:
    """The documents of a corpus in several files or folders.

    Raises:
        InputError: one cannot be read, or two documents have one id.
    """
    documents: dict[str, Document] = {}
    for path in paths:
        for document in read_documents(path, options):
            if document.id in documents:
                raise InputError(
                    f"{path}: the id {document.id!r:.80} is already taken in an earlier file of the corpus: give each "
                    "document its own"
                )
            documents[document.id] = document
    return list(documents.values())


def judged_set(
    name: str, queries: Mapping[str, JudgedQuery], documents: Sequence[Document], relevance: Relevance
) -> JudgedSet:
    """The queries that have a relevant document, in the order of the judgements.

    Raises:
        InputError: there is none.
    """
    judged = [
        queries[query]
        for query, grades in relevance.items()
        if query in queries and any(grade > 0 for grade in grades.values())
    ]
    if not judged:
        raise InputError(
            f"no query of {name} has a relevant document (judged is {next(iter(relevance), None)!r}, asked "
            f"{next(iter(queries), None)!r}): check that both name queries alike"
        )
    return JudgedSet(name, judged, documents, {query.id: relevance[query.id] for query in judged})
