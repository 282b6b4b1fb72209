"""`write_judged`: any judged set as a folder in BEIR's layout, which most tools for retrieval read."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from trivec.data.writing import json_line
from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedQuery, JudgedSet
from trivec.types import Document

_HEADER = "query-id\tcorpus-id\tscore\n"


def write_judged(judged: JudgedSet, folder: Path, split: str = "test") -> None:
    """Write ``corpus.jsonl``, ``queries.jsonl`` and ``qrels/SPLIT.tsv``: all of them or, if anything fails, nothing.

    Reading the folder again gives the same set, under the folder's name. The language of a query goes to its field
    ``language``, what else is known of a document to ``metadata``.

    Args:
        judged: with documents, and with judgements rather than answers.
        folder: a new one.
        split: the name of the file of judgements.

    Raises:
        InputError: the folder exists, or BEIR's layout has no place for something in the set.
    """
    _check(judged)
    if folder.exists():
        raise InputError(f"{folder} exists: choose a new folder, or remove it")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent) as scratch:
        written = Path(scratch) / folder.name
        (written / "qrels").mkdir(parents=True)
        _write_lines(written / "corpus.jsonl", map(_document_row, judged.documents))
        _write_lines(written / "queries.jsonl", map(_query_row, judged.queries))
        with (written / "qrels" / f"{split}.tsv").open("w", encoding="utf-8", newline="\n") as file:
            file.write(_HEADER)
            for query in judged.queries:
                grades = judged.relevance[query.id]
                file.writelines(f"{query.id}\t{document}\t{grade}\n" for document, grade in grades.items())
        written.rename(folder)


def _check(judged: JudgedSet) -> None:
    if judged.answers:
        raise InputError(
            f"{judged.name} has answers instead of judgements, which BEIR's layout cannot hold: keep it in its own"
        )
    if not judged.documents:
        raise InputError(f"{judged.name} has no documents: give a set that comes with its corpus")
    prompted = next((query for query in judged.queries if query.prompt is not None), None)
    if prompted is not None:
        raise InputError(
            f"query {prompted.id!r:.80} of {judged.name} has a prompt of its own, which BEIR's layout cannot hold: "
            "keep the set in its own"
        )
    for name in {name for query, grades in judged.relevance.items() for name in (query, *grades)}:
        if name != name.strip() or not name or set(name) & {"\t", "\n"}:
            raise InputError(f"the id {name!r:.80} is empty, or has tabs, line ends or outer blanks: give it another")


def _document_row(document: Document) -> dict[str, object]:
    row: dict[str, object] = {"_id": document.id, "title": document.title, "text": document.text}
    return row | ({"metadata": dict(document.metadata)} if document.metadata else {})


def _query_row(query: JudgedQuery) -> dict[str, object]:
    row: dict[str, object] = {"_id": query.id, "text": query.text}
    return row | ({"language": query.language} if query.language else {})


def _write_lines(path: Path, rows: Iterable[Mapping[str, object]]) -> None:
    with path.open("wb") as file:
        for row in rows:
            file.write(json_line(row, str(row["_id"])))
