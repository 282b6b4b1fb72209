"""FlagEmbedding's own sets: ``corpus.jsonl``, ``SPLIT_queries.jsonl`` and ``SPLIT_qrels.jsonl``.

Texts have ``id`` and ``text``, judgements ``qid``, ``docid`` and ``relevance``.
"""

from __future__ import annotations

from pathlib import Path

from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.layouts.files import choose_split, judged_set, needed, read_queries, rows, splits
from trivec.search.readers import read_documents

_JUDGEMENTS = r"(.+)_qrels\.jsonl"


def matches(folder: Path) -> bool:
    """Whether a folder is laid out like this."""
    return bool(splits(folder, _JUDGEMENTS))


def read(folder: Path, split: str | None) -> JudgedSet:
    """The set.

    Raises:
        InputError: it cannot be read.
    """
    there = splits(folder, _JUDGEMENTS)
    chosen = choose_split(there, split, folder, "SPLIT_qrels.jsonl")
    queries = read_queries(needed(folder, f"{chosen}_queries.jsonl"))
    documents = list(read_documents(needed(folder, "corpus.jsonl")))
    return judged_set(folder.name, queries, documents, _relevance(there[chosen]))


def _relevance(path: Path) -> dict[str, dict[str, int]]:
    relevance: dict[str, dict[str, int]] = {}
    for place, row in rows(path):
        try:
            query, document, grade = str(row["qid"]), str(row["docid"]), int(row.get("relevance", 1))
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(f"{place}: {row!s:.80} is no judgement: give qid, docid and relevance") from error
        if relevance.setdefault(query, {}).setdefault(document, grade) != grade:
            raise InputError(
                f"{place}: document {document!r:.80} is judged {relevance[query][document]} and {grade} for query "
                f"{query!r:.80}: leave one of the lines out"
            )
    return relevance
