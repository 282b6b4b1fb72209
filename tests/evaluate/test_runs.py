"""Run files and judgements: what is written is read, and what is wrong is named with its line."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from trivec.errors import InputError
from trivec.evaluate.measures import ranked
from trivec.evaluate.runs import Run, read_relevance, read_run, write_run


def test_a_run_comes_back_with_the_same_scores(tmp_path: Path) -> None:
    values = np.random.default_rng(0).standard_normal(200).astype(np.float32)
    ranking = {f"d{number}#é": float(value) for number, value in enumerate(values)}
    write_run(Run("ours", {"q1": ranking, "007": {"b": 0.5, "a": 0.5}}), tmp_path / "ours.run")
    read = read_run(tmp_path / "ours.run")
    assert read.name == "ours"
    assert {document: np.float32(score) for document, score in read.rankings["q1"].items()} == dict(
        zip(ranking, values, strict=True)
    )
    assert list(read.rankings["q1"]) == ranked(ranking)
    assert list(read.rankings["007"]) == ["b", "a"]


def test_the_rank_column_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "run"
    path.write_text("q Q0 a 1 0.1 x\nq\tQ0\tb\t2\t0.9\tx\n")
    assert ranked(read_run(path).rankings["q"]) == ["b", "a"]


def test_compressed_files_are_read(tmp_path: Path) -> None:
    path = tmp_path / "bm25.run.gz"
    path.write_bytes(gzip.compress(b"q Q0 a 1 2.5\n"))
    assert read_run(path) == Run("bm25", {"q": {"a": 2.5}})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("q Q0 a 1\n", "run:1: 4 columns"),
        ("q Q0 a 1 0.5 x\nq Q0 b 2 much x\n", "run:2: the score 'much' is no number"),
        ("q Q0 a 1 nan x\n", "run:1: the score 'nan' is no number"),
        ("q Q0 a 1 0.5 x\nq Q0 a 2 0.4 x\n", "run:2: 'a' stands twice"),
        ("\n", "is empty"),
    ],
)
def test_what_is_no_run_is_named(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "run").write_text(content)
    with pytest.raises(InputError, match=message):
        read_run(tmp_path / "run")


def test_ids_with_blanks_cannot_be_written(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="'a b' is empty or has blanks"):
        write_run(Run("x", {"q": {"a b": 1.0}}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "content",
    [
        "query-id\tcorpus-id\tscore\nq 1\td\t2\nq 1\te\t-1\n",
        "q 1\t0\td\t2\nq 1\t0\te\t-1\r\n",
        "\ufeffq 1\td\t2\n\nq 1\te\t-1.0\n",
    ],
)
def test_judgements_in_any_of_their_forms(content: str, tmp_path: Path) -> None:
    (tmp_path / "qrels").write_text(content)
    assert read_relevance(tmp_path / "qrels") == {"q 1": {"d": 2, "e": -1}}


def test_judgements_by_blanks(tmp_path: Path) -> None:
    (tmp_path / "qrels").write_text("q 0 d 1\nq 0 d 1\nr Q0 d 0\n")
    assert read_relevance(tmp_path / "qrels") == {"q": {"d": 1}, "r": {"d": 0}}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("q d 1\nq d\n", "qrels:2: 'q d' is no judgement"),
        ("q d 1\nq e high\n", "qrels:2: 'q e high' is no judgement"),
        ("q d 0.5\n", "qrels:1: 'q d 0.5' is no judgement"),
        ("q d 1\nq d 2\n", "qrels:2: document 'd' is judged 1 and 2 for query 'q'"),
        ("query document grade\n", "holds no judgements"),
    ],
)
def test_what_is_no_judgement_is_named(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "qrels").write_text(content)
    with pytest.raises(InputError, match=message):
        read_relevance(tmp_path / "qrels")


def test_missing_and_binary_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no file"):
        read_run(tmp_path / "none")
    (tmp_path / "run").write_bytes(b"q Q0 \xff 1 1 x\n")
    with pytest.raises(InputError, match=r"run:1: not utf-8 \(byte 6\)"):
        read_run(tmp_path / "run")
