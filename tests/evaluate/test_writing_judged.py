"""Judged sets written in BEIR's layout: the same set comes back, whatever layout it was in."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedQuery, JudgedSet
from trivec.evaluate.layouts import mkqa, read_judged
from trivec.evaluate.layouts.writing import write_judged
from trivec.types import Document

from miniatures import MINIATURES, write_mkqa, write_mteb_languages

SKY = JudgedSet("sky", [JudgedQuery("q1", "colour")], [Document("d1", "blue")], {"q1": {"d1": 1}})


@pytest.mark.parametrize(
    ("write", "layout"),
    [pair for pair in MINIATURES if pair[1] is not mkqa],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_the_same_set_comes_back(write: Callable[[Path], Path], layout: ModuleType, tmp_path: Path) -> None:
    judged = read_judged(write(tmp_path), "fra/test" if write is write_mteb_languages else None)
    write_judged(judged, tmp_path / "new" / judged.name)
    assert read_judged(tmp_path / "new" / judged.name) == judged


def test_whatever_json_can_hold_comes_back(tmp_path: Path) -> None:
    documents = [
        Document(
            "d 1\u2028", "two\nlines\u2028\u0085\r\n\ufeff", "Title", {"year": 1999, "tags": ["a", "b"], "id": None}
        ),
        Document("\ufeff2", "x"),
    ]
    query = JudgedQuery("q\x85 1", "what\tis\nit", language="de")
    judged = JudgedSet("odd", [query], documents, {query.id: {"d 1\u2028x": 3, "\ufeff2": -1}})
    write_judged(judged, tmp_path / "odd", "dev")
    assert (tmp_path / "odd" / "qrels" / "dev.tsv").is_file()
    assert read_judged(tmp_path / "odd") == judged


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"documents": []}, "sky has no documents"),
        ({"queries": [JudgedQuery("q1", "colour", prompt="query: ")]}, "query 'q1' of sky has a prompt of its own"),
        ({"relevance": {"q1": {"d\t1": 1}}}, r"the id 'd\\t1' is empty, or has tabs"),
        ({"relevance": {"q1": {" d1": 1}}}, "the id ' d1' is empty, or has tabs, line ends or outer blanks"),
        ({"documents": [Document("d1", "\ud800")]}, "d1: cannot be written as JSON"),
    ],
)
def test_what_the_layout_cannot_hold_is_refused(changes: dict[str, object], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=message):
        write_judged(dataclasses.replace(SKY, **changes), tmp_path / "sky")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_answers_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="mkqa-de has answers instead of judgements"):
        write_judged(read_judged(write_mkqa(tmp_path)), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_there_stays(tmp_path: Path) -> None:
    write_judged(SKY, tmp_path / "sky")
    with pytest.raises(InputError, match="sky exists: choose a new folder"):
        write_judged(SKY, tmp_path / "sky")
    assert read_judged(tmp_path / "sky") == SKY
