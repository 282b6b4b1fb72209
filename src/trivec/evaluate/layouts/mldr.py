"""MLDR, a language a folder: long documents (M3-Embedding, Chen et al. 2024, 2402.03216).

    SPLIT.jsonl.gz     query_id, query, positive_passages and negative_passages with docid and text
    corpus.jsonl.gz    docid, text

Positives have grade 1, negatives 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedQuery, JudgedSet
from trivec.evaluate.layouts.files import choose_split, existing, judged_set, needed, rows, splits
from trivec.search.readers import ReadOptions, read_documents

_SPLITS = r"(train|dev|test)\.jsonl"


def matches(folder: Path) -> bool:
    """Whether a folder is laid out like this."""
    return existing(folder / "corpus.jsonl") is not None and bool(splits(folder, _SPLITS))


def read(folder: Path, split: str | None) -> JudgedSet:
    """The set; its queries have the language of the folder's name, such as ``mldr-v1.0-de``.

    Raises:
        InputError: it cannot be read.
    """
    there = splits(folder, _SPLITS)
    chosen = choose_split(there, split, folder, "SPLIT.jsonl")
    language = folder.name.rpartition("-")[2]
    queries: dict[str, JudgedQuery] = {}
    relevance: dict[str, dict[str, int]] = {}
    for place, row in rows(there[chosen]):
        try:
            name, text = str(row["query_id"]), str(row["query"])
            relevance[name] = _grades(row, "negative_passages", 0) | _grades(row, "positive_passages", 1)
        except (KeyError, TypeError) as error:
            raise InputError(
                f"{place}: {row!s:.60} is no query of MLDR: it needs query_id, query and positive_passages"
            ) from error
        queries[name] = JudgedQuery(name, text, language=language)
    documents = list(read_documents(needed(folder, "corpus.jsonl"), ReadOptions(id_field="docid")))
    return judged_set(folder.name, queries, documents, relevance)


def _grades(row: Mapping[str, Any], field: str, grade: int) -> dict[str, int]:
    return {str(passage["docid"]): grade for passage in row.get(field) or []}
