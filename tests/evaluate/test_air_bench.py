"""AIR-Bench as it is downloaded: dev is measured, test is not public."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedQuery
from trivec.evaluate.layouts import read_judged
from trivec.types import Document

from miniatures import write_air_bench


def test_judgements_beside_the_folder(tmp_path: Path) -> None:
    judged = read_judged(write_air_bench(tmp_path))
    assert judged.name == "qa_web_en-default"
    assert judged.queries == [JudgedQuery("q1", "colour of the sky", language="en")]
    assert judged.documents == [Document("001", "It is blue."), Document("d#2", "Rain falls.")]
    assert judged.relevance == {"q1": {"001": 1}}


def test_judgements_next_to_the_queries(tmp_path: Path) -> None:
    own = write_air_bench(tmp_path)
    beside = tmp_path / "qrels-qa_web_en-dev"
    shutil.move(beside / "AIR-Bench_24.05" / "default" / "dev_qrels.jsonl", own)
    assert read_judged(own).relevance == {"q1": {"001": 1}}
    with pytest.raises(InputError, match="test splits are not public"):
        read_judged(own, "test")


def test_a_folder_further_up(tmp_path: Path) -> None:
    own = write_air_bench(tmp_path)
    for folder in (own.parent, own.parent.parent):
        assert read_judged(folder).name == "qa_web_en-default"
    shutil.copytree(own, own.parent.with_name("AIR-Bench_24.04") / "default")
    with pytest.raises(InputError, match=r"several sets .* one of AIR-Bench_24\.04/default, AIR-Bench_24\.05/default"):
        read_judged(own.parent.parent)


def test_what_cannot_be_measured_is_told(tmp_path: Path) -> None:
    own = write_air_bench(tmp_path)
    with pytest.raises(InputError, match=r"neither .*test_qrels\.jsonl, nor qrels-qa_web_en-test .* are not public"):
        read_judged(own, "test")
    with pytest.raises(InputError, match=r"has no train_qrels\.jsonl: add the judgements \(it has dev\)"):
        read_judged(own, "train")
    shutil.rmtree(tmp_path / "qrels-qa_web_en-dev")
    with pytest.raises(InputError, match=r"neither .*dev_qrels\.jsonl, nor qrels-qa_web_en-dev .*: put the judgements"):
        read_judged(own)
    (own / "dev_queries.jsonl").unlink()
    with pytest.raises(InputError, match="test splits are not public"):
        read_judged(own)
