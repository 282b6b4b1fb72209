"""Retrieval sets of MTEB and C-MTEB, as they are downloaded from the hub."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from trivec.errors import InputError, MissingPackageError
from trivec.evaluate.judged_sets import JudgedQuery
from trivec.evaluate.layouts import read_judged
from trivec.types import Document

from miniatures import (
    rows,
    write,
    write_beir_on_the_hub,
    write_c_mteb,
    write_mteb,
    write_mteb_jsonl,
    write_mteb_languages,
)

SKY = [Document("001", "It is blue.", "Sky"), Document("d#2", "Rain falls.")]


def test_three_folders_of_parquet(tmp_path: Path) -> None:
    judged = read_judged(write_mteb(tmp_path))
    assert judged.name == "LEMBQMSumRetrieval"
    assert judged.queries == [JudgedQuery("q1", "colour of the sky")]
    assert judged.documents == SKY
    assert judged.relevance == {"q1": {"001": 1}}


def test_the_layout_of_c_mteb(tmp_path: Path) -> None:
    judged = read_judged(write_c_mteb(tmp_path))
    assert (judged.name, judged.queries) == ("T2Retrieval", [JudgedQuery("0", "天空的颜色")])
    assert judged.documents == [Document("001", "It is blue."), Document("d#2", "Rain falls.")]
    assert judged.relevance == {"0": {"001": 1, "d#2": 0}}


def test_a_language_is_named_with_its_split(tmp_path: Path) -> None:
    folder = write_mteb_languages(tmp_path)
    judged = read_judged(folder, "fra/test")
    assert (judged.name, judged.queries) == ("WebFAQRetrieval-fra", [JudgedQuery("1", "couleur du ciel")])
    with pytest.raises(InputError, match="has several subsets: name one with its split, of deu/test, fra/test"):
        read_judged(folder)
    with pytest.raises(InputError, match=r"\(it has deu/test, fra/test\)"):
        read_judged(folder, "test")


def test_lines_of_json_and_judgements_beside_the_folder(tmp_path: Path) -> None:
    judged = read_judged(write_mteb_jsonl(tmp_path))
    assert (judged.documents, judged.relevance) == (SKY, {"q1": {"001": 2}})
    hub = read_judged(write_beir_on_the_hub(tmp_path))
    assert (hub.documents, hub.relevance) == (SKY, {"1": {"001": 1}})


@pytest.mark.parametrize(
    ("corpus", "queries", "judgements"),
    [
        ("corpus/dev-00000-of-00001.parquet", "queries/dev-00000-of-00001.parquet", "data/dev-00000-of-00001.parquet"),
        ("corpus/corpus-00000-of-00001.parquet", "queries/queries-00000-of-00001.parquet", "default/dev/0000.parquet"),
        ("corpus.parquet", "queries.parquet", "qrels.parquet"),
        ("data/corpus.jsonl", "data/queries.jsonl.gz", "qrels/dev.jsonl"),
    ],
)
def test_other_names_of_files_and_columns(corpus: str, queries: str, judgements: str, tmp_path: Path) -> None:
    write(tmp_path / corpus, [{"corpus-id": 1, "text": "blue"}, {"corpus-id": 2, "text": "rain"}])
    write(tmp_path / queries, [{"query-id": 7, "query": "sky"}])
    write(tmp_path / judgements, [{"query_id": 7, "doc_id": 1}])
    judged = read_judged(tmp_path)
    assert judged.queries == [JudgedQuery("7", "sky")]
    assert [document.id for document in judged.documents] == ["1", "2"]
    assert judged.relevance == {"7": {"1": 1}}


def test_texts_of_the_same_split_are_read(tmp_path: Path) -> None:
    folder = write_mteb(tmp_path)
    write(folder / "corpus" / "dev-00000-of-00001.parquet", rows()[1:])
    assert read_judged(folder).documents == SKY
    write(folder / "qrels" / "train-00000-of-00001.parquet", [{"query-id": "q1", "corpus-id": "001", "score": 1}])
    with pytest.raises(InputError, match=r"has no corpus of train: add the table \(it has dev, test\)"):
        read_judged(folder, "train")


def test_what_is_missing_or_broken_is_named(tmp_path: Path) -> None:
    folder = write_mteb(tmp_path)
    judgements = folder / "qrels" / "test-00000-of-00001.parquet"
    write(judgements, [{"query-id": "q1", "corpus-id": "001", "score": 0.5}])
    with pytest.raises(InputError, match=r"test-00000-of-00001\.parquet, row 1: .* is no judgement: give qid"):
        read_judged(folder)
    judgements.write_bytes(b"PAR1 cut off")
    with pytest.raises(InputError, match=r"no readable parquet .*: write the file again"):
        read_judged(folder)
    judgements.unlink()
    with pytest.raises(InputError, match=r"has no qrels/SPLIT-\*\.parquet: add the judgements"):
        read_judged(folder)
    nameless = write_mteb_jsonl(tmp_path)
    write(nameless / "corpus.jsonl", [{"text": "blue"}])
    with pytest.raises(InputError, match=r"corpus\.jsonl:1: the document has no _id, id"):
        read_judged(nameless)


def test_without_pyarrow_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_mteb(tmp_path)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    with pytest.raises(MissingPackageError, match=r"pip install 'trivec\[docs\]'"):
        read_judged(folder)
