"""Judgements in rows of named fields, under the names that FlagEmbedding, MTEB and C-MTEB use.

A row has a query id, a document id and a grade; without a grade it says that the document is right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trivec.errors import InputError
from trivec.evaluate.layouts.files import rows
from trivec.evaluate.runs import add_grade

_QUERY_FIELDS = ("qid", "query-id", "query_id")
_DOCUMENT_FIELDS = ("docid", "corpus-id", "corpus_id", "doc_id", "pid")
_GRADE_FIELDS = ("relevance", "score")


def read_judgements(paths: Iterable[Path]) -> dict[str, dict[str, int]]:
    """Grades by query id and document id, from files with a JSON object a line, or parquet.

    Raises:
        InputError: a row is no judgement, its grade is no whole number, or a pair is judged twice and differently.
    """
    relevance: dict[str, dict[str, int]] = {}
    for path in paths:
        for place, row in rows(path):
            query, document = _first(row, _QUERY_FIELDS), _first(row, _DOCUMENT_FIELDS)
            grade = _whole_number(_first(row, _GRADE_FIELDS, 1))
            if query is None or document is None or grade is None:
                raise InputError(
                    f"{place}: {row!s:.80} is no judgement: give qid, docid and relevance, or query-id, corpus-id and "
                    "score, a whole number"
                )
            add_grade(relevance, str(query), str(document), grade, place)
    return relevance


def _first(row: Mapping[str, Any], names: tuple[str, ...], default: object = None) -> object:
    return next((row[name] for name in names if name in row), default)


def _whole_number(value: Any) -> int | None:  # noqa: ANN401
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return int(number) if number.is_integer() else None
