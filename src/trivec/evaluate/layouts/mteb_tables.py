"""Retrieval sets of MTEB and C-MTEB as the Hugging Face hub has them: three tables in parquet or jsonl.

    corpus/SPLIT-*.parquet, queries/SPLIT-*.parquet, qrels/SPLIT-*.parquet      MTEB
    LANG-corpus/..., LANG-queries/..., LANG-qrels/...                           MTEB, several languages
    corpus.jsonl, queries.jsonl, qrels/SPLIT.jsonl                              MTEB, sets of BEIR
    data/corpus-*.parquet, data/queries-*.parquet                               C-MTEB
    NAME-qrels/data/SPLIT-*.parquet, or NAME-qrels/SPLIT.tsv                    C-MTEB, BEIR; beside the folder NAME

Judgements may also lie in ``data/`` or ``default/``, and a table may be one file, ``corpus.parquet``. Texts have
``_id`` or ``id``, ``title`` and ``text``; judgements ``query-id``, ``corpus-id`` and ``score``, or ``qid``, ``pid`` and
``score``. Of several languages one is named with its split: ``de/test``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedQuery, JudgedSet
from trivec.evaluate.layouts.files import choose_split, judged_set, read_queries, read_shards, rows
from trivec.evaluate.layouts.judgements import read_judgements
from trivec.evaluate.measures import Relevance
from trivec.evaluate.runs import read_relevance
from trivec.search.readers import ReadOptions

_KINDS = ("corpus", "queries", "qrels")
_ID_FIELDS = ("_id", "id", "corpus-id", "corpus_id", "docid", "doc_id")

_TABLE = re.compile(
    r"(?:(?:(?P<subset>[^/]+)-)?(?P<folder>corpus|queries|qrels|data|default)/)?"
    r"(?P<name>[^/]+?)(?:-\d+-of-\d+(?:-\w+)?|/\d+)?\.(?P<format>parquet|jsonl|tsv)(?:\.gz)?"
)


@dataclass(frozen=True, slots=True)
class _Table:
    """A file of a table.

    Attributes:
        path: the file.
        kind: corpus, queries or qrels.
        subset: such as a language; empty where there is only one.
        split: empty if the file does not say.
    """

    path: Path
    kind: str
    subset: str
    split: str

    @property
    def name(self) -> str:
        return f"{self.subset}/{self.split}" if self.subset else self.split


def matches(folder: Path) -> bool:
    """Whether a folder is laid out like this: corpus and queries, and not just those of BEIR."""
    tables = _tables(folder)
    kinds = {table.kind for table in tables}
    is_own = "qrels" in kinds or any(table.split or table.path.suffix == ".parquet" for table in tables)
    return is_own and {"corpus", "queries"} <= kinds


def read(folder: Path, split: str | None) -> JudgedSet:
    """The set; of a subset, its name ends in that of the subset.

    Raises:
        InputError: it cannot be read, or has several subsets and none is named.
        MissingPackageError: it is parquet, and pyarrow is not installed.
    """
    tables = _tables(folder)
    judged = {table.name: table for table in tables if table.kind == "qrels"}
    if split is None and len({table.subset for table in judged.values()}) > 1:
        raise InputError(f"{folder} has several subsets: name one with its split, of {', '.join(sorted(judged))}")
    there = {name: table.path for name, table in judged.items()}
    chosen = judged[choose_split(there, split, folder, "qrels/SPLIT-*.parquet")]
    queries: dict[str, JudgedQuery] = {}
    for path in _files(tables, "queries", chosen, folder):
        queries |= read_queries(path)
    shards = _files(tables, "corpus", chosen, folder)
    documents = read_shards(shards, ReadOptions(id_field=_id_field(shards[0])))
    relevance = _relevance(_files(tables, "qrels", chosen, folder))
    name = f"{folder.name}-{chosen.subset}" if chosen.subset else folder.name
    return judged_set(name, queries, documents, relevance)


def _tables(folder: Path) -> list[_Table]:
    """All files of the set, shards of a table in their order; tab-separated judgements only from the folder beside."""
    own = [_table(path, found) for path, found in _matching(folder) if found["format"] != "tsv"]
    beside = _matching(folder.absolute().with_name(f"{folder.absolute().name}-qrels"))
    judgements = [_Table(path, "qrels", "", found["name"]) for path, found in beside]
    return [table for table in (*own, *judgements) if table is not None]


def _table(path: Path, found: re.Match[str]) -> _Table | None:
    folder, name = found["folder"], found["name"]
    if folder not in _KINDS and name in _KINDS:  # data/corpus-*.parquet, or corpus.jsonl
        return _Table(path, name, "", "")
    kind = folder if folder in _KINDS else "qrels"
    return _Table(path, kind, found["subset"] or "", "" if name == kind else name) if folder else None


def _matching(folder: Path) -> list[tuple[Path, re.Match[str]]]:
    paths = sorted(path for depth in ("*", "*/*", "*/*/*") for path in folder.glob(depth) if path.is_file())
    found = ((path, _TABLE.fullmatch(path.relative_to(folder).as_posix())) for path in paths)
    return [(path, match) for path, match in found if match is not None]


def _files(tables: Sequence[_Table], kind: str, chosen: _Table, folder: Path) -> list[Path]:
    """The files of a kind that belong to judgements: those of the same split, or of the only one there is.

    Raises:
        InputError: there are several splits, none of them the same; or no files.
    """
    of_kind = [table for table in tables if table.kind == kind]
    own = [table for table in of_kind if table.subset == chosen.subset] or [t for t in of_kind if not t.subset]
    names = {table.split for table in own}
    split = chosen.split if chosen.split in names else next(iter(names), "")
    if not own or (len(names) > 1 and chosen.split not in names):
        there = f"it has {', '.join(sorted(names))}" if own else "of any split"
        raise InputError(f"{folder} has no {kind} of {chosen.name}: add the table ({there})")
    return [table.path for table in own if table.split == split]


def _id_field(path: Path) -> str:
    for place, row in rows(path):
        field = next((field for field in _ID_FIELDS if row.get(field) is not None), None)
        if field is None:
            raise InputError(f"{place}: the document has no {', '.join(_ID_FIELDS[:2])}: give each its own")
        return field
    raise InputError(f"{path} is empty: it should hold the corpus")


def _relevance(paths: Sequence[Path]) -> Relevance:
    return read_relevance(paths[0]) if ".tsv" in paths[0].suffixes else read_judgements(paths)
