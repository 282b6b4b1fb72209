"""Mr. TyDi, a language a folder (Zhang et al. 2021, 2108.08787).

topic.SPLIT.tsv, qrels.SPLIT.txt     query id and query; the four columns of TREC
collection/docs.jsonl.gz             id, contents
"""

from __future__ import annotations

from pathlib import Path

from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.layouts.files import choose_split, existing, judged_set, needed, read_topics, splits
from trivec.evaluate.runs import read_relevance
from trivec.search.readers import ReadOptions, read_documents

_JUDGEMENTS = r"qrels\.([^.]+)\.txt"


def matches(folder: Path) -> bool:
    """Whether a folder is laid out like this."""
    return existing(folder / "collection" / "docs.jsonl") is not None and bool(splits(folder, _JUDGEMENTS))


def read(folder: Path, split: str | None) -> JudgedSet:
    """The set; its queries have the language of the folder's name, such as ``mrtydi-v1.1-arabic``.

    Raises:
        InputError: it cannot be read.
    """
    there = splits(folder, _JUDGEMENTS)
    chosen = choose_split(there, split, folder, "qrels.SPLIT.txt")
    queries = read_topics(needed(folder, f"topic.{chosen}.tsv"), folder.name.rpartition("-")[2])
    options = ReadOptions(id_field="id", text_fields=("contents",))
    documents = list(read_documents(needed(folder, "collection/docs.jsonl"), options))
    return judged_set(folder.name, queries, documents, read_relevance(there[chosen]))
