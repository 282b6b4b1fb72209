"""TREC collections: topics and judgements in TREC's forms, and a corpus that lies as it likes.

    *topics*.txt, .tsv or .xml           queries, see `trec_topics`; a topic's title is the query
    *qrels*.txt, .tsv, or *.qrels        the four columns of TREC
    corpus, collection, docs, documents  a folder, or files that begin with the name, as docs-1.jsonl.gz does

Topics and judgements may lie in ``topics/`` and ``qrels/``. What a file of judgements is called beside ``qrels`` is its
split: ``robust04`` of ``qrels.robust04.txt``. Topics that are called the same belong to it; otherwise all topics are
read, and those without judgements are left out.

The corpus is TREC's own documents, see `trec_documents`, if a file of it begins with one; else anything that
`trivec.search.readers` reads. ``collection.tsv`` is that of MS MARCO, without a header.

Left out is what only its track can read: archives of web pages, topics whose query is put together from several fields,
judgements with more than four columns.
"""

from __future__ import annotations

import re
from collections.abc import Container
from dataclasses import replace
from pathlib import Path

from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedQuery, JudgedSet
from trivec.evaluate.layouts.files import choose_split, judged_set, read_shards, splits
from trivec.evaluate.layouts.ms_marco import read_passages
from trivec.evaluate.layouts.trec_documents import is_trec_document_file, read_trec_documents
from trivec.evaluate.layouts.trec_topics import read_trec_topics
from trivec.evaluate.runs import read_relevance
from trivec.types import Document

_TOPICS = r"(?:topics/)?([^/]*topics[^/]*\.(?:txt|tsv|xml))"
_JUDGEMENTS = r"(?:qrels/)?([^/]*qrels[^/]*\.(?:txt|tsv)|[^/]*\.qrels)"
_CORPUS = re.compile(r"(corpus|collection|docs|documents)(?![a-z])")


def matches(folder: Path) -> bool:
    """Whether a folder is laid out like this."""
    return bool(splits(folder, _TOPICS)) and bool(splits(folder, _JUDGEMENTS))


def read(folder: Path, split: str | None) -> JudgedSet:
    """The set.

    Raises:
        InputError: it cannot be read.
    """
    there = _labelled(folder, _JUDGEMENTS)
    chosen = choose_split(there, split, folder, "qrels.SPLIT.txt")
    relevance = read_relevance(there[chosen])
    queries = {_judged_id(query.id, relevance): query for query in _topics(folder, chosen)}
    named = {name: replace(query, id=name) for name, query in queries.items()}
    return judged_set(folder.name, named, _corpus(folder), relevance)


def _labelled(folder: Path, pattern: str) -> dict[str, Path]:
    """Files by what their names say beside ``topics`` or ``qrels``; ``all`` if they say nothing."""
    return {_label(name): path for name, path in splits(folder, pattern).items()}


def _label(name: str) -> str:
    stem = re.sub(r"\.(txt|tsv|xml|qrels)$", "", name)
    return re.sub(r"[._-]*(topics|qrels)[._-]*", "-", stem, count=1).strip("-") or "all"


def _topics(folder: Path, label: str) -> list[JudgedQuery]:
    there = _labelled(folder, _TOPICS)
    queries: dict[str, JudgedQuery] = {}
    for path in [there[label]] if label in there else there.values():
        for query in read_trec_topics(path).values():
            known = queries.setdefault(query.id, query)
            if known.text != query.text:
                raise InputError(
                    f"{path}: topic {query.id!r:.80} is {query.text!r:.60}, and {known.text!r:.60} in another file: "
                    "name topics and judgements that belong together alike, as topics.2004.txt and qrels.2004.txt"
                )
    return list(queries.values())


def _judged_id(name: str, judged: Container[str]) -> str:
    """The id under which a topic is judged: the first topics of TREC are numbered 051, and judged as 51."""
    bare = name.lstrip("0")
    return bare if name not in judged and bare in judged else name


def _corpus(folder: Path) -> list[Document]:
    places = sorted(path for path in folder.iterdir() if _CORPUS.match(path.name))
    files = [path for path in places if path.is_file()]
    below = [path for place in places for path in sorted(place.rglob("*")) if path.is_file() and path.name[0] != "."]
    parts = files or below
    if not parts:
        raise InputError(
            f"{folder} has no corpus: put corpus.jsonl, docs.jsonl.gz, collection.tsv or a folder docs there"
        )
    if any(map(is_trec_document_file, parts)):
        return read_trec_documents(parts)
    if parts[0].name.startswith("collection.tsv"):
        return read_passages(parts[0])
    return read_shards(files or places)
