"""FlagEmbedding's own sets: ``corpus.jsonl``, ``SPLIT_queries.jsonl`` and ``SPLIT_qrels.jsonl``.

Texts have ``id`` and ``text``, judgements ``qid``, ``docid`` and ``relevance``.
"""

from __future__ import annotations

from pathlib import Path

from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.layouts.files import choose_split, judged_set, needed, read_queries, splits
from trivec.evaluate.layouts.judgements import read_judgements
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
    return judged_set(folder.name, queries, documents, read_judgements([there[chosen]]))
