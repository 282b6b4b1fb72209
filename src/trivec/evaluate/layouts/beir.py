"""BEIR: ``corpus.jsonl`` (``_id``, ``title``, ``text``), ``queries.jsonl``, and ``qrels/SPLIT.tsv`` or ``qrels.tsv``.

Thakur et al. (2021, 2104.08663). The language of a query is that of its field ``lang`` or ``language``.
"""

from __future__ import annotations

from pathlib import Path

from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.layouts.files import choose_split, existing, judged_set, needed, read_queries, splits
from trivec.evaluate.runs import read_relevance
from trivec.search.readers import read_documents


def matches(folder: Path) -> bool:
    """Whether a folder is laid out like this."""
    return existing(folder / "corpus.jsonl") is not None and existing(folder / "queries.jsonl") is not None


def read(folder: Path, split: str | None) -> JudgedSet:
    """The set.

    Raises:
        InputError: it cannot be read.
    """
    there = splits(folder, r"qrels/(.+)\.tsv")
    plain = existing(folder / "qrels.tsv") if split is None and not there else None
    chosen = plain or there[choose_split(there, split, folder, "qrels/SPLIT.tsv and no qrels.tsv")]
    queries = read_queries(needed(folder, "queries.jsonl"))
    documents = list(read_documents(needed(folder, "corpus.jsonl")))
    return judged_set(folder.name, queries, documents, read_relevance(chosen))
