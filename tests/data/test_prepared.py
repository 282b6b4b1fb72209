"""Prepared data: the same examples by number, made once, whole or not at all."""

from __future__ import annotations

import gzip
import logging
import os
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from trivec.data import BadLines, DatasetPart, Example, Prepared, prepare, read_examples, write_examples
from trivec.data import prepared as prepared_module
from trivec.errors import InputError


def some(name: str, count: int) -> list[Example]:
    return [Example(f"{name}{i} ü", (f"p{i}" * (i % 7 + 1),), prompt="to: ", extra={"n": i}) for i in range(count)]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    write_examples(tmp_path / "data" / "a.jsonl", some("a", 30))
    write_examples(tmp_path / "data" / "b.jsonl.gz", some("b", 20))
    return tmp_path / "data"


def test_any_example_by_its_number(data: Path, tmp_path: Path) -> None:
    streamed = list(read_examples([data]))
    prepared = prepare([data], tmp_path / "cache")
    assert len(prepared) == 50
    assert list(prepared) == streamed
    assert [prepared[i] for i in (49, 0, 30, 29, -1)] == [streamed[i] for i in (49, 0, 30, 29, -1)]
    assert prepared[28:32] == streamed[28:32]
    assert prepared[31].place == streamed[31].place == f"{data / 'b.jsonl.gz'}:2"
    assert prepared.datasets == (DatasetPart("a", 0, 30), DatasetPart("b", 30, 50))
    assert [len(part) for part in prepared.datasets] == [30, 20]
    assert [prepared.dataset_of(i) for i in (0, 29, 30, 49)] == [0, 0, 1, 1]
    for outside in (50, -51):
        with pytest.raises(IndexError):
            prepared[outside]


def test_it_is_made_once(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = prepare([data], tmp_path / "cache")
    with monkeypatch.context() as patch:
        patch.setattr(prepared_module, "SpoolWriter", None)
        again = prepare([data], tmp_path / "cache")
    assert again.fingerprint == first.fingerprint
    assert again.folder == first.folder
    write_examples(data / "b.jsonl.gz", some("c", 20))
    changed = prepare([data], tmp_path / "cache")
    assert changed[30].query == "c0 ü"
    assert changed.fingerprint != first.fingerprint
    assert first[30].query == "b0 ü"


def test_the_fingerprint_is_of_the_examples_alone(data: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.jsonl.gz").write_bytes(gzip.compress((data / "a.jsonl").read_bytes()))
    (other / "b.jsonl").write_bytes(gzip.decompress((data / "b.jsonl.gz").read_bytes()))
    first, second = (prepare([path], tmp_path / "cache") for path in (data, other))
    assert first.fingerprint == second.fingerprint
    assert first.folder != second.folder
    assert prepare([other / "b.jsonl", data / "a.jsonl"], tmp_path / "cache").fingerprint != first.fingerprint


def test_bad_lines_are_told_again(data: Path, tmp_path: Path) -> None:
    with (data / "a.jsonl").open("a") as file:
        file.write("{}\n" * 15)
    with pytest.raises(InputError, match=r"a\.jsonl:31: no query"):
        prepare([data], tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
    first, again = BadLines(skip=True), BadLines(skip=True)
    assert len(prepare([data], tmp_path / "cache", bad=first)) == 50
    assert len(prepare([data], tmp_path / "cache", bad=again)) == 50
    assert first.count == again.count == 15
    assert first.messages == again.messages


def test_data_sets_without_examples_are_left_out(data: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (data / "aa.jsonl").write_text("\n")
    (data / "z.jsonl").write_text("")
    with caplog.at_level(logging.WARNING):
        prepared = prepare([data], tmp_path / "cache")
    assert [part.name for part in prepared.datasets] == ["a", "b"]
    assert [record.getMessage() for record in caplog.records] == [
        "aa has no examples and is left out",
        "z has no examples and is left out",
    ]
    assert len(list(prepared.folder.iterdir())) == 3
    with pytest.raises(InputError, match="no examples in z: name files that hold some"):
        prepare([data / "z.jsonl"], tmp_path / "cache")
    (data / "z.jsonl").write_text("{}\n")
    with pytest.raises(InputError, match=r"no examples in z: all lines are bad, the first: .*no query"):
        prepare([data / "z.jsonl"], tmp_path / "cache", bad=BadLines(skip=True))


@pytest.mark.parametrize("ending", ["examples", "offsets"])
def test_what_is_damaged_is_made_anew(data: Path, tmp_path: Path, ending: str) -> None:
    expected = list(prepare([data], tmp_path / "cache"))
    folder = prepare([data], tmp_path / "cache").folder
    os.truncate(folder / ending, 8)
    with pytest.raises(InputError, match="no whole prepared training data: prepare it again"):
        Prepared(folder)
    assert list(prepare([data], tmp_path / "cache")) == expected
    (folder / ending).unlink()
    assert list(prepare([data], tmp_path / "cache")) == expected
    (folder / "contents").write_text("{}")
    assert list(prepare([data], tmp_path / "cache")) == expected
    assert [path.name for path in (tmp_path / "cache").iterdir()] == [folder.name]


def test_it_travels_to_other_threads_and_processes(data: Path, tmp_path: Path) -> None:
    prepared = prepare([data], tmp_path / "cache")
    assert list(pickle.loads(pickle.dumps(prepared))) == list(prepared)
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(prepared.__getitem__, list(range(50)) * 10)) == list(prepared) * 10


def test_several_at_once(data: Path, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: prepare([data], tmp_path / "cache").fingerprint, range(8)))
    assert len(set(found)) == 1
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_the_cache_is_no_training_data(data: Path) -> None:
    assert len(prepare([data], data / "cache")) == 50
    assert len(prepare([data], data / "cache")) == 50
