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
    with pytest.raises(InputError, match=r"has no qrels/valid\.tsv and no qrels\.tsv: .* \(it has dev, test, train\)"):
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
        (_remove("qrels/test.tsv", "qrels/train.tsv"), r"has no qrels/SPLIT\.tsv and no qrels\.tsv"),
        (_twice("queries.jsonl"), r"queries\.jsonl:4: the query id 'q1' stands twice"),
        (_twice("corpus.jsonl"), "the id '001' is already taken"),
        (_write("queries.jsonl", '{"_id": "q1", "text": " "}\n'), r"queries\.jsonl:1: query 'q1' has no text"),
        (_write("queries.jsonl", '{"text": "sky"}\n'), "the query has no _id or id"),
        (_write("queries.jsonl", '["q1", "sky"]\n'), "is no JSON object"),
        (_write("queries.jsonl", '{"_id": "Q1", "text": "sky"}\n'), "no query of sky has a relevant document"),
        (_write("qrels/test.tsv", "q1\t001\t0\nq2\t001\t-1\n"), "no query of sky has a relevant document"),
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
    write_lines(tmp_path / "corpus.jsonl", CORPUS)
    write_lines(tmp_path / "valid_queries.jsonl", QUERIES)
    write_lines(tmp_path / "valid_qrels.jsonl", [{"qid": "q1", "docid": "001", "relevance": 1}, row])
    with pytest.raises(InputError, match=message):
        read_judged(tmp_path)


def write_text(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def write_miracl(folder: Path) -> Path:
    own = folder / "miracl-v1.0-de"
    write_text(own / "topics" / "topics.miracl-v1.0-de-dev.tsv", "7#0\tWas ist Zucker?\n8#0\tnicht bewertet\n")
    write_text(own / "topics" / "topics.miracl-v1.0-de-testA.tsv", "9#0\tohne Urteile\n")
    write_text(own / "qrels" / "qrels.miracl-v1.0-de-dev.tsv", "7#0\tQ0\t12#3\t1\n7#0\tQ0\t12#4\t0\n")
    for shard, row in enumerate(
        [{"docid": "12#3", "title": "Zucker", "text": "ist süß."}, {"docid": "12#4", "text": "x"}]
    ):
        write_text(folder / "miracl-corpus-v1.0-de" / f"docs-{shard}.jsonl.gz", json.dumps(row))
    return own


def write_mr_tydi(folder: Path) -> Path:
    own = folder / "mrtydi-v1.1-finnish"
    write_text(own / "topic.test.tsv", "7\tMitä sokeri on?\n")
    write_text(own / "qrels.test.txt", "7 Q0 12#3 1\n")
    rows = [{"id": "12#3", "contents": "Sokeri on makeaa."}, {"id": "12#4", "contents": "x"}]
    write_text(own / "collection" / "docs.jsonl.gz", "".join(json.dumps(row) + "\n" for row in rows))
    return own


def write_mldr(folder: Path) -> Path:
    own = folder / "mldr-v1.0-fr"
    passages = {"positive_passages": [{"docid": "a", "text": "x"}], "negative_passages": [{"docid": "b", "text": "y"}]}
    row = {"query_id": "q-fr-1", "query": "Qu'est-ce que le sucre ?", **passages}
    write_text(own / "test.jsonl.gz", json.dumps(row))
    write_text(own / "corpus.jsonl.gz", "".join(json.dumps({"docid": name, "text": name * 9}) + "\n" for name in "ab"))
    return own


def write_ms_marco(folder: Path) -> Path:
    own = folder / "msmarco"
    write_text(own / "collection.tsv", "0\tSugar is sweet.\n1\tRain falls.\n")
    write_text(own / "queries.dev.small.tsv", "100\twhat is sugar\n")
    write_text(own / "qrels.dev.small.tsv", "100\t0\t0\t1\n")
    return own


@pytest.mark.parametrize(
    ("write", "query", "document", "relevance"),
    [
        (write_miracl, JudgedQuery("7#0", "Was ist Zucker?", language="de"), Document("12#3", "ist süß.", "Zucker"),
         {"12#3": 1, "12#4": 0}),
        (write_mr_tydi, JudgedQuery("7", "Mitä sokeri on?", language="finnish"), Document("12#3", "Sokeri on makeaa."),
         {"12#3": 1}),
        (write_mldr, JudgedQuery("q-fr-1", "Qu'est-ce que le sucre ?", language="fr"), Document("a", "a" * 9),
         {"a": 1, "b": 0}),
        (write_ms_marco, JudgedQuery("100", "what is sugar", language="en"), Document("0", "Sugar is sweet."),
         {"0": 1}),
    ],
    ids=["miracl", "mr-tydi", "mldr", "ms-marco"],
)  # fmt: skip
def test_official_layouts(
    write: Callable[[Path], Path], query: JudgedQuery, document: Document, relevance: dict[str, int], tmp_path: Path
) -> None:
    folder = write(tmp_path)
    judged = read_judged(folder)
    assert (judged.name, judged.queries, judged.relevance) == (folder.name, [query], {query.id: relevance})
    assert judged.documents[0] == document
    assert len(judged.documents) == 2
    with pytest.raises(InputError, match=r"add the judgements \(it has (dev|test|dev\.small)\)"):
        read_judged(folder, "valid")


def test_what_is_missing_of_an_official_layout_is_named(tmp_path: Path) -> None:
    own = write_miracl(tmp_path)
    (tmp_path / "miracl-corpus-v1.0-de").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match=r"has no miracl-corpus-v1\.0-de/docs-0\.jsonl\.gz in it or beside it"):
        read_judged(own)
    marco = write_ms_marco(tmp_path)
    write_text(marco / "collection.tsv", "0\tSugar.\n1 no tab\n")
    with pytest.raises(InputError, match=r"collection\.tsv:2: '1 no tab' is no passage"):
        read_judged(marco)
    write_text(write_mldr(tmp_path) / "test.jsonl.gz", '{"query": "x"}')
    with pytest.raises(InputError, match="is no query of MLDR"):
        read_judged(tmp_path / "mldr-v1.0-fr")
    write_text(write_mr_tydi(tmp_path) / "topic.test.tsv", "7 no tab\n")
    with pytest.raises(InputError, match=r"topic\.test\.tsv:1: query '7 no tab' has no text"):
        read_judged(tmp_path / "mrtydi-v1.1-finnish")


def test_what_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"there is no .*nowhere: give a folder"):
        read_judged(tmp_path / "nowhere")
