"""Folders in BEIR's layout: texts by id, judgements, triples and runs."""

from __future__ import annotations

import gzip
import json
import random
from pathlib import Path
from typing import Any

import pytest

from trivec.data import BadLines, Example, read_examples
from trivec.data.beir_rows import RUN_DEPTH
from trivec.errors import InputError


def folder(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/").replace("_DOT_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return root


def rows(*items: dict[str, Any]) -> str:
    return "".join(json.dumps(item) + "\n" for item in items)


CORPUS = rows(
    {"_id": "d1", "title": "Title", "text": "one"},
    {"_id": "d2", "title": "", "text": "two"},
    {"_id": "d3", "text": "three"},
    {"_id": "d4", "text": "four"},
)
QUERIES = rows(
    {"_id": "q2", "text": "second", "lang": "en"}, {"_id": "q1", "text": "first"}, {"_id": "q3", "text": "x"}
)
QRELS = "query-id\tcorpus-id\tscore\nq1\td2\t1\nq1\td1\t2\nq1\td3\t0\nq2\td4\t1\n"
CORPUS_NAME, QUERIES_NAME = "corpus_DOT_jsonl", "queries_DOT_jsonl"
BASE = {CORPUS_NAME: CORPUS, QUERIES_NAME: QUERIES}


def test_queries_with_their_judged_passages(tmp_path: Path) -> None:
    found = list(read_examples([folder(tmp_path, **BASE, qrels__train_DOT_tsv=QRELS)]))
    assert found == [
        Example("second", ("four",), query_id="q2", positive_ids=("d4",), extra={"lang": "en"}),
        Example(
            "first", ("two", "Title one"), ("three",),
            query_id="q1", positive_ids=("d2", "d1"), negative_ids=("d3",),
        ),
    ]  # fmt: skip
    assert found[0].place == f"{tmp_path / 'queries.jsonl'}:1"


def test_compressed_files_and_the_columns_of_trec(tmp_path: Path) -> None:
    plain = list(read_examples([folder(tmp_path / "plain", **BASE, qrels_DOT_tsv=QRELS)]))
    trec = "".join(f"{q} 0 {d} {s}\n" for q, d, s in (line.split("\t") for line in QRELS.splitlines()[1:]))
    packed = tmp_path / "packed"
    packed.mkdir()
    for name, text in {"corpus.jsonl.gz": CORPUS, "queries.jsonl.gz": QUERIES, "train.qrels.gz": trec}.items():
        (packed / name).write_bytes(gzip.compress(text.encode()))
    assert list(read_examples([packed])) == plain


def test_a_run_gives_negatives_by_rank(tmp_path: Path) -> None:
    run = "q1 Q0 d4 1 9.5 bm25\nq1 Q0 d1 2 9 bm25\nq2 Q0 d3 1 5 bm25\nq2 Q0 d1 2 4 bm25\nq9 Q0 gone 1 4 bm25\n"
    run += f"q2 Q0 d2 {RUN_DEPTH + 1} 1 bm25\n"
    found = list(read_examples([folder(tmp_path, **BASE, qrels__train_DOT_tsv=QRELS, bm25_DOT_trec=run)]))
    assert [example.negative_ids for example in found] == [("d3", "d1"), ("d3", "d4")]
    assert found[0].negatives == ("three", "Title one")


def test_triples_of_ids_alone(tmp_path: Path) -> None:
    triples = "q1\td1\td2\nq1\td1\td3\nq1\td4\td3\nq2\td2\n"
    found = list(read_examples([folder(tmp_path, **BASE, triples_DOT_train_DOT_tsv=triples)]))
    assert [(e.query_id, e.positive_ids, e.negative_ids) for e in found] == [
        ("q2", ("d2",), ()), ("q1", ("d1", "d4"), ("d2", "d3")),
    ]  # fmt: skip


def test_called_positive_by_anyone_it_is_positive(tmp_path: Path) -> None:
    files = {"qrels_DOT_tsv": "q1\td1\t1\nq1\td2\t0\n", "triples_DOT_tsv": "q1\td2\td1\n"}
    [found] = read_examples([folder(tmp_path, **BASE, **files)])
    assert (found.positive_ids, found.negative_ids) == (("d1", "d2"), ())


def test_as_put_together_in_memory(tmp_path: Path) -> None:
    choose = random.Random(3)
    passages = {f"d{i}": f"text {i}" for i in range(200)}
    queries = {f"q{i}": f"query {i}" for i in range(50)}
    pairs = [(choose.choice(list(queries)), choose.choice(list(passages)), choose.randint(0, 2)) for _ in range(400)]
    qrels = "".join(f"{q}\t{d}\t{score}\n" for q, d, score in pairs)
    corpus = rows(*({"_id": name, "text": text} for name, text in passages.items()))
    asked = rows(*({"_id": name, "text": text} for name, text in queries.items()))
    expected = []
    for query in queries:
        grades: dict[str, int] = {}
        for _, passage, score in (pair for pair in pairs if pair[0] == query):
            grades[passage] = max(score, grades.get(passage, 0))
        right, wrong = ([d for d, score in grades.items() if (score > 0) is is_right] for is_right in (True, False))
        if right:
            expected.append((query, tuple(right), tuple(passages[d] for d in right), tuple(wrong)))
    files = {CORPUS_NAME: corpus, QUERIES_NAME: asked, "qrels_DOT_tsv": qrels}
    found = list(read_examples([folder(tmp_path, **files)]))
    assert [(e.query_id, e.positive_ids, e.positives, e.negative_ids) for e in found] == expected


def test_judgements_of_other_splits_are_not_trained_on(tmp_path: Path) -> None:
    with pytest.raises(
        InputError, match=r"neither qrels/train\.tsv nor .*: name so the judgements that may be trained"
    ):
        read_examples([folder(tmp_path, **BASE, qrels__test_DOT_tsv=QRELS)])


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"qrels_DOT_tsv": QRELS + "q1\td9\t1\n"}, r"qrels\.tsv:6: no passage 'd9' in .*corpus\.jsonl: add it"),
        ({"qrels_DOT_tsv": QRELS + "q9\td1\t1\n"}, r"qrels\.tsv:6: no query 'q9' in .*queries\.jsonl: add it"),
        ({"qrels_DOT_tsv": QRELS + "q1\td1\tx\n"}, r"qrels\.tsv:6: the score is 'x'"),
        ({"qrels_DOT_tsv": QRELS + "q1 d1\n"}, r"qrels\.tsv:6: 2 columns: give query id"),
        ({"a_DOT_run": "q1 d1 5\n"}, r"a\.run:1: no line of a run: give QUERY Q0"),
        ({"triples_DOT_tsv": "q1\n"}, r"triples\.tsv:1: 1 columns"),
        ({CORPUS_NAME: CORPUS + '{"_id": 5, "text": "x"}\n'}, r"jsonl:5: '_id' is a number"),
        ({CORPUS_NAME: CORPUS + '{"_id": "5"}\n'}, r"jsonl:5: 'text' is null"),
        ({CORPUS_NAME: CORPUS + "[]\n"}, r"jsonl:5: not an object but a list"),
        ({CORPUS_NAME: CORPUS + '{"_id": "5", "text": "x", "title": 1}\n'}, "'title' is a"),
        ({QUERIES_NAME: QUERIES + '{"_id": "q1", "text": "x"}\n'}, ":4: the id 'q1' is that"),
    ],
)  # fmt: skip
def test_bad_lines_of_every_file(tmp_path: Path, files: dict[str, str], words: str) -> None:
    path = folder(tmp_path, **(BASE | {"qrels_DOT_tsv": QRELS} | files))
    with pytest.raises(InputError, match=words):
        list(read_examples([path]))
    bad = BadLines(skip=True)
    assert [example.query_id for example in read_examples([path], bad=bad)] == ["q2", "q1"]
    assert bad.count == 1
