"""Judged sets from files: a folder in one of the usual layouts, or a file of training examples.

- BEIR: ``corpus.jsonl`` and ``queries.jsonl`` with ``_id`` and ``text``, and ``qrels/SPLIT.tsv`` or ``qrels.tsv``
- FlagEmbedding: ``corpus.jsonl``, ``SPLIT_queries.jsonl`` and ``SPLIT_qrels.jsonl`` with ``id``, ``text``, and ``qid``,
  ``docid``, ``relevance``

The language of a query is that of its field ``lang`` or ``language``. Files may be plain, ``.gz`` or ``.zst``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trivec.data.bad_lines import BadLines
from trivec.data.json_rows import read_lines
from trivec.data.reading import read_examples
from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedQuery, JudgedSet, from_examples
from trivec.evaluate.runs import read_relevance
from trivec.search.readers import read_documents
from trivec.search.readers.reading import SourceFile

_ENDINGS = ("", ".gz", ".zst")
_SPLITS = ("dev", "test")
"""Of several splits the first of these that is there, unless one is named."""

_WHAT = "a folder with corpus.jsonl, queries.jsonl and judgements, or a file of examples"


@dataclass(frozen=True)
class JudgedFiles:
    """Where the parts of a set lie."""

    corpus: Path
    queries: Path
    relevance: Path


def read_judged(path: Path, split: str | None = None) -> JudgedSet:
    """A set from disk.

    Args:
        path: a folder, or a file of examples whose positives are right for their queries.
        split: which judgements, of several; None takes dev, then test, then those that are there.

    Raises:
        InputError: it cannot be read, or holds no judged query.
    """
    if not path.exists():
        raise InputError(
            f"there is no {path}: give a folder with corpus, queries and judgements, or a file of examples"
        )
    if not path.is_dir():
        return from_examples(path.name, read_examples([path], bad=BadLines()))
    files = find_files(path, split)
    relevance = (
        read_relevance(files.relevance) if ".jsonl" not in files.relevance.name else _json_relevance(files.relevance)
    )
    queries = read_queries(files.queries)
    documents = list(read_documents(files.corpus))
    judged = [queries[query] for query, grades in relevance.items() if query in queries and _has_relevant(grades)]
    if not judged:
        raise InputError(
            f"no query of {files.queries} has a relevant document in {files.relevance} (judged is "
            f"{next(iter(relevance))!r}, asked {next(iter(queries), None)!r}): check that both name queries alike"
        )
    return JudgedSet(path.name, judged, documents, {query.id: relevance[query.id] for query in judged})


def find_files(folder: Path, split: str | None = None) -> JudgedFiles:
    """The files of a set.

    Raises:
        InputError: one is missing; the message names it.
    """
    splits = _splits(folder)
    usual = [name for name in (*_SPLITS, *sorted(splits)) if name in splits]
    chosen = split if split is not None else "".join(usual[:1])
    plain = None if split is not None else _existing(folder / "qrels.tsv")
    relevance = splits.get(chosen) or plain
    if relevance is None:
        there = f"it has {', '.join(sorted(splits))}" if splits else "any of them"
        wanted = chosen or "SPLIT"
        raise InputError(
            f"{folder} has no qrels/{wanted}.tsv, qrels.tsv or {wanted}_qrels.jsonl: add the judgements ({there})"
        )
    own_queries = _existing(folder / f"{chosen}_queries.jsonl")
    return JudgedFiles(_needed(folder, "corpus.jsonl"), own_queries or _needed(folder, "queries.jsonl"), relevance)


def _splits(folder: Path) -> dict[str, Path]:
    """Judgements by split."""
    found: dict[str, Path] = {}
    for path in sorted([*folder.glob("qrels/*.tsv*"), *folder.glob("*_qrels.jsonl*")]):
        name = re.fullmatch(r"(.+?)(?:_qrels\.jsonl|\.tsv)(?:\.gz|\.zst)?", path.name)
        if name is not None:
            found.setdefault(name[1], path)
    return found


def _existing(path: Path) -> Path | None:
    return next((found for ending in _ENDINGS if (found := path.with_name(path.name + ending)).is_file()), None)


def _needed(folder: Path, name: str) -> Path:
    found = _existing(folder / name)
    if found is None:
        raise InputError(f"{folder} has no {name}: give {_WHAT}")
    return found


def read_queries(path: Path) -> dict[str, JudgedQuery]:
    """Queries by id, from one JSON object a line.

    Raises:
        InputError: one has no id or no text, or an id stands twice.
    """
    if not path.is_file():
        raise InputError(f"there is no file {path}: check the path")
    queries: dict[str, JudgedQuery] = {}
    for place, row in _rows(path):
        name, text = _id(row, place), row.get("text", row.get("query"))
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{place}: query {name!r:.80} has no text: fill it in, or take the query out")
        if name in queries:
            raise InputError(f"{place}: the query id {name!r:.80} stands twice: each query needs its own")
        language = row.get("lang") or row.get("language") or ""
        queries[name] = JudgedQuery(name, text, language=str(language))
    return queries


def _json_relevance(path: Path) -> dict[str, dict[str, int]]:
    relevance: dict[str, dict[str, int]] = {}
    for place, row in _rows(path):
        try:
            query, document, grade = str(row["qid"]), str(row["docid"]), int(row.get("relevance", 1))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{place}: {row!s:.80} is no judgement: give qid, docid and relevance") from error
        if relevance.setdefault(query, {}).setdefault(document, grade) != grade:
            raise InputError(
                f"{place}: document {document!r:.80} is judged {relevance[query][document]} and {grade} for query "
                f"{query!r:.80}: leave one of the lines out"
            )
    if not relevance:
        raise InputError(f"{path} holds no judgements: give qid, docid and relevance on each line")
    return relevance


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for place, row in read_lines(SourceFile(path, str(path)), BadLines().reading()):
        if not isinstance(row, dict):
            raise InputError(f"{place}: {row!s:.60} is no JSON object: give one a line")
        yield place, row


def _id(row: Mapping[str, Any], place: str) -> str:
    for field in ("_id", "id", "query_id", "qid"):
        if row.get(field) is not None:
            return str(row[field])
    raise InputError(f"{place}: the query has no _id or id: give each its own")


def _has_relevant(grades: Mapping[str, int]) -> bool:
    return any(grade > 0 for grade in grades.values())
