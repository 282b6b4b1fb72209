"""Judged sets from files, in each layout; and what is wrong with them is named with its place."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedQuery
from trivec.evaluate.layouts import read_judged
from trivec.types import Document

CORPUS = [{"_id": "001", "title": "Sky", "text": "It is blue."}, {"_id": "d#2", "title": "", "text": "Rain falls."}]
QUERIES = [
    {"_id": "q1", "text": "colour of the sky", "lang": "en"},
    {"_id": "q2", "text": "what falls", "language": "en"},
    {"_id": "q3", "text": "not judged"},
]


def write_lines(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


def write_beir(folder: Path) -> Path:
    write_lines(folder / "corpus.jsonl", CORPUS)
    write_lines(folder / "queries.jsonl", QUERIES)
    (folder / "qrels").mkdir()
    header = "query-id\tcorpus-id\tscore\n"
    (folder / "qrels" / "test.tsv").write_text(
        f"{header}q1\t001\t1\nq2\td#2\t2\nq2\t001\t0\nlost\t001\t1\nq3\t001\t0\n"
    )
    (folder / "qrels" / "train.tsv").write_text(f"{header}q3\t001\t1\n")
    return folder


def test_a_folder_in_beir_layout(tmp_path: Path) -> None:
    judged = read_judged(write_beir(tmp_path / "sky"))
    assert judged.name == "sky"
    assert judged.queries == [
        JudgedQuery("q1", "colour of the sky", language="en"),
        JudgedQuery("q2", "what falls", language="en"),
    ]
    assert judged.documents == [Document("001", "It is blue.", "Sky"), Document("d#2", "Rain falls.")]
    assert judged.relevance == {"q1": {"001": 1}, "q2": {"d#2": 2, "001": 0}}
    assert judged.texts == {"001": "Sky It is blue.", "d#2": "Rain falls."}


def test_a_split_can_be_named(tmp_path: Path) -> None:
    folder = write_beir(tmp_path / "sky")
    assert [query.id for query in read_judged(folder, "train").queries] == ["q3"]
    (folder / "qrels" / "dev.tsv").write_text("q2\td#2\t1\n")
    assert [query.id for query in read_judged(folder).queries] == ["q2"]
    with pytest.raises(InputError, match=r"has no qrels/valid\.tsv, .* \(it has dev, test, train\)"):
        read_judged(folder, "valid")


def test_one_file_of_judgements_and_compressed_files(tmp_path: Path) -> None:
    folder = write_beir(tmp_path / "sky")
    (folder / "qrels" / "test.tsv").rename(folder / "qrels.tsv")
    (folder / "qrels" / "train.tsv").unlink()
    for name in ("corpus.jsonl", "queries.jsonl"):
        (folder / f"{name}.gz").write_bytes(gzip.compress((folder / name).read_bytes()))
        (folder / name).unlink()
    assert len(read_judged(folder).queries) == 2


def test_a_folder_in_the_layout_of_flagembedding(tmp_path: Path) -> None:
    folder = tmp_path / "own"
    write_lines(
        folder / "corpus.jsonl", [{"id": row["_id"], "title": row["title"], "text": row["text"]} for row in CORPUS]
    )
    write_lines(folder / "test_queries.jsonl", [{"id": row["_id"], "text": row["text"]} for row in QUERIES])
    write_lines(
        folder / "test_qrels.jsonl",
        [{"qid": "q1", "docid": "001", "relevance": 1}, {"qid": "q2", "docid": "d#2", "relevance": 1}],
    )
    judged = read_judged(folder)
    assert [query.id for query in judged.queries] == ["q1", "q2"]
    assert judged.relevance == {"q1": {"001": 1}, "q2": {"d#2": 1}}
    assert judged.documents == [Document("001", "It is blue.", "Sky"), Document("d#2", "Rain falls.")]


def _twice(name: str) -> Callable[[Path], None]:
    def change(folder: Path) -> None:
        path = folder / name
        path.write_text(path.read_text() + path.read_text().splitlines()[0] + "\n")

    return change


def _write(name: str, content: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_text(content) and None


def _remove(*names: str) -> Callable[[Path], None]:
    return lambda folder: [(folder / name).unlink() for name in names] and None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_remove("queries.jsonl"), r"has no queries\.jsonl"),
        (_remove("corpus.jsonl"), r"has no corpus\.jsonl"),
        (_remove("qrels/test.tsv", "qrels/train.tsv"), r"has no qrels/SPLIT\.tsv, qrels\.tsv"),
        (_twice("queries.jsonl"), r"queries\.jsonl:4: the query id 'q1' stands twice"),
        (_twice("corpus.jsonl"), "the id '001' is already taken"),
        (_write("queries.jsonl", '{"_id": "q1", "text": " "}\n'), r"queries\.jsonl:1: query 'q1' has no text"),
        (_write("queries.jsonl", '{"text": "sky"}\n'), "the query has no _id or id"),
        (_write("queries.jsonl", '["q1", "sky"]\n'), "is no JSON object"),
        (_write("queries.jsonl", '{"_id": "Q1", "text": "sky"}\n'), "no query of .* has a relevant document"),
        (_write("qrels/test.tsv", "q1\t001\t0\nq2\t001\t-1\n"), "no query of .* has a relevant document"),
        (_write("qrels/test.tsv", "q1\t001\n"), r"test\.tsv:1: 'q1\\t001' is no judgement"),
        (_write("qrels/test.tsv", "q1\t001\t1\nq1\t001\t0\n"), "judged 1 and 0 for query 'q1'"),
    ],
)
def test_what_is_wrong_is_named(change: Callable[[Path], None], message: str, tmp_path: Path) -> None:
    folder = write_beir(tmp_path / "sky")
    change(folder)
    with pytest.raises(InputError, match=message):
        read_judged(folder)


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"qid": "q1", "relevance": 1}, "is no judgement: give qid, docid and relevance"),
        ({"qid": "q1", "docid": "001", "relevance": "high"}, "is no judgement"),
        ({"qid": "q1", "docid": "001", "relevance": 0}, "judged 1 and 0"),
    ],
)
def test_judgements_as_json(row: dict[str, Any], message: str, tmp_path: Path) -> None:
    folder = write_beir(tmp_path / "sky")
    write_lines(folder / "valid_qrels.jsonl", [{"qid": "q1", "docid": "001", "relevance": 1}, row])
    with pytest.raises(InputError, match=message):
        read_judged(folder, "valid")


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no .*nowhere: give a folder"):
        read_judged(tmp_path / "nowhere")
