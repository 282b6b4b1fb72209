"""MIRACL, a language a folder (Zhang et al. 2023, 2210.09984).

miracl-v1.0-LANG/topics/topics.miracl-v1.0-LANG-SPLIT.tsv   query id, query
miracl-v1.0-LANG/qrels/qrels.miracl-v1.0-LANG-SPLIT.tsv     the four columns of TREC
miracl-corpus-v1.0-LANG/docs-N.jsonl.gz                     docid, title, text; beside that folder or in it
"""

from __future__ import annotations

import re
from pathlib import Path

from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.layouts.files import choose_split, judged_set, needed, read_shards, read_topics, splits
from trivec.evaluate.runs import read_relevance
from trivec.search.readers import ReadOptions
from trivec.types import Document

_NAME = re.compile(r"(miracl-v[\d.]+-(\w+))")


def matches(folder: Path) -> bool:
    """Whether a folder is laid out like this."""
    return bool(_judgements(folder))


def read(folder: Path, split: str | None) -> JudgedSet:
    """The set; its queries have the language of the folder.

    Raises:
        InputError: it cannot be read.
    """
    there = _judgements(folder)
    chosen = choose_split(there, split, folder, "qrels/qrels.miracl-*-SPLIT.tsv")
    found = _NAME.search(there[chosen].name)
    assert found is not None
    name, language = found[1], found[2]
    topics = needed(folder, f"topics/topics.{name}-{chosen}.tsv")
    queries = read_topics(topics, language)
    return judged_set(folder.name, queries, _corpus(folder, name), read_relevance(there[chosen]))


def _judgements(folder: Path) -> dict[str, Path]:
    return splits(folder, r"qrels/qrels\.miracl-v[\d.]+-\w+-([^.]+)\.tsv")


def _corpus(folder: Path, name: str) -> list[Document]:
    own = name.replace("miracl-", "miracl-corpus-")
    for place in (folder / own, folder.parent / own, folder / "corpus", folder):
        shards = sorted(place.glob("docs-*.jsonl*"), key=lambda path: (len(path.name), path.name))
        if shards:
            return read_shards(shards, ReadOptions(id_field="docid"))
    raise InputError(f"{folder} has no {own}/docs-0.jsonl.gz in it or beside it: put the corpus there")
