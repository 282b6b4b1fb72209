"""MS MARCO passages, and the judgements of TREC Deep Learning over them (Bajaj et al. 2016, 1611.09268).

collection.tsv         passage id, passage
queries.SPLIT.tsv      query id, query
qrels.SPLIT.tsv        the four columns of TREC, also .txt
"""

from __future__ import annotations

from pathlib import Path

from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.layouts.files import choose_split, existing, judged_set, needed, read_topics, splits
from trivec.evaluate.runs import numbered_lines, read_relevance
from trivec.types import Document

_JUDGEMENTS = r"qrels\.(.+)\.(?:tsv|txt)"


def matches(folder: Path) -> bool:
    """Whether a folder is laid out like this."""
    return existing(folder / "collection.tsv") is not None


def read(folder: Path, split: str | None) -> JudgedSet:
    """The set.

    Raises:
        InputError: it cannot be read.
    """
    there = splits(folder, _JUDGEMENTS)
    chosen = choose_split(there, split, folder, "qrels.SPLIT.tsv")
    queries = read_topics(needed(folder, f"queries.{chosen}.tsv"), "en")
    return judged_set(
        folder.name, queries, read_passages(needed(folder, "collection.tsv")), read_relevance(there[chosen])
    )


def read_passages(path: Path) -> list[Document]:
    """The passages of a file with an id, a tab and the text on each line.

    Raises:
        InputError: a line has no tab.
    """
    passages = []
    for number, line in numbered_lines(path):
        name, tab, text = line.partition("\t")
        if not tab:
            raise InputError(f"{path}:{number}: {line!r:.60} is no passage: give an id, a tab and the text")
        passages.append(Document(name, text))
    return passages
