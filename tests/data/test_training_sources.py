"""Which data sets files and folders hold, and Arrow's formats."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from trivec.data import Example, read_examples
from trivec.data.sources import find_sources
from trivec.errors import InputError

LINE = '{"query": "q", "pos": ["p"]}\n'
ROWS = [{"query": f"q{i}", "pos": [f"p{i}", "p"], "neg": [], "pos_scores": [0.5, i]} for i in range(1200)]
EXAMPLES = [Example(f"q{i}", (f"p{i}", "p"), (), (0.5, float(i))) for i in range(1200)]


def touch(path: Path, text: str = LINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


def save_to_disk(folder: Path, rows: list[dict[str, Any]], shards: int = 2, **state: Any) -> None:
    """The layout of Hugging Face's ``Dataset.save_to_disk``."""
    folder.mkdir(parents=True)
    table = pa.Table.from_pylist(rows)
    names = [f"data-{i:05d}-of-{shards:05d}.arrow" for i in range(shards)]
    size = -(-len(rows) // shards)
    for i, name in enumerate(names):
        with pa.OSFile(str(folder / name), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table.slice(i * size, size), max_chunksize=1000)
    content = {"_data_files": [{"filename": name} for name in names], "_split": None, **state}
    touch(folder / "state.json", json.dumps(content))
    touch(folder / "dataset_info.json", "{}")


def test_data_sets_of_a_folder_in_order_of_names(tmp_path: Path) -> None:
    for name in ("b.jsonl", "a.json", "sub/c.csv.gz", "sub/d.parquet", ".hidden.jsonl", ".git/x.jsonl", "README.md"):
        touch(tmp_path / name)
    assert [source.name for source in find_sources([tmp_path])] == ["a", "b", "sub/c", "sub/d"]
    assert [source.format.name for source in find_sources([tmp_path])] == ["json", "jsonl", "csv", "parquet"]
    assert [source.name for source in find_sources([tmp_path], "csv")] == ["sub/c"]


def test_names_are_unique(tmp_path: Path) -> None:
    first, second = touch(tmp_path / "x" / "qa.en.jsonl.gz"), touch(tmp_path / "y" / "qa.en.jsonl")
    assert [source.name for source in find_sources([first, second, first])] == ["qa.en", "qa.en (2)", "qa.en (3)"]


def test_names_that_keep_examples_to_their_own_group(tmp_path: Path) -> None:
    names = ("a.jsonl", "b_no_in_batch_neg.jsonl.gz", "sub_no_in_batch_neg/c.jsonl", "no_in_batch_neg.d.jsonl")
    for name in names:
        touch(tmp_path / "data" / name)
    found = {source.name: source.own_group_only for source in find_sources([tmp_path / "data"])}
    assert found == {
        "a": False, "b_no_in_batch_neg": True, "no_in_batch_neg.d": False, "sub_no_in_batch_neg/c": True,
    }  # fmt: skip
    assert find_sources([tmp_path / "data" / "sub_no_in_batch_neg"])[0].own_group_only
    assert not next(read_examples([tmp_path / "data" / "b_no_in_batch_neg.jsonl.gz"])).in_batch_negatives


@pytest.mark.parametrize(
    ("name", "format_name", "words"),
    [
        ("missing.jsonl", "auto", "cannot be read .*check that the file exists"),
        ("a.docx", "auto", r"unknown kind of file '\.docx': rename it to one of \.jsonl"),
        ("a.txt", "auto", "unknown kind of file '.txt'.*or name its format"),
        ("empty", "auto", r"no training data in this folder: it must hold \.jsonl"),
        ("empty", "triples", r"it must hold \.tsv, \.txt"),
        ("empty", "beir", "it must hold corpus.jsonl and queries.jsonl"),
        ("a.docx", "word", "unknown format 'word': choose one of auto, jsonl"),
    ],
)
def test_what_is_no_source(tmp_path: Path, name: str, format_name: str, words: str) -> None:
    touch(tmp_path / "a.docx")
    touch(tmp_path / "a.txt")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=words):
        read_examples([tmp_path / name], format_name)


def test_no_paths_at_all() -> None:
    with pytest.raises(InputError, match="name at least one file or folder"):
        read_examples([])


def test_parquet(tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist(ROWS), tmp_path / "a.parquet", row_group_size=500)
    found = list(read_examples([tmp_path / "a.parquet"]))
    assert found == EXAMPLES
    assert found[1000].place == f"{tmp_path / 'a.parquet'}, row 1001"


def test_columns_that_json_has_no_words_for_are_left(tmp_path: Path) -> None:
    kept = {"lang": pa.array(["en"]).dictionary_encode(), "n": pa.array([1]), "deep": pa.array([{"a": [1.5]}])}
    left = {"raw": pa.array([b"x"]), "day": pa.array([0], pa.date32()), "deep_raw": pa.array([{"a": [b"x"]}])}
    table = pa.table({"anchor": ["q"], "positive": ["p"], **kept, **left})
    pq.write_table(table, tmp_path / "a.parquet")
    [found] = read_examples([tmp_path / "a.parquet"])
    assert found == Example("q", ("p",), extra={"lang": "en", "n": 1, "deep": {"a": [1.5]}})


@pytest.mark.parametrize("write", [pa.ipc.new_stream, pa.ipc.new_file])
def test_arrow_files_of_both_forms(tmp_path: Path, write: Any) -> None:
    table = pa.Table.from_pylist(ROWS)
    with pa.OSFile(str(tmp_path / "a.arrow"), "wb") as file, write(file, table.schema) as writer:
        writer.write_table(table, max_chunksize=700)
    assert list(read_examples([tmp_path / "a.arrow"])) == EXAMPLES


def test_a_saved_data_set(tmp_path: Path) -> None:
    save_to_disk(tmp_path / "saved", ROWS)
    assert list(read_examples([tmp_path / "saved"])) == EXAMPLES
    assert [source.name for source in find_sources([tmp_path / "saved"])] == ["saved"]
    assert [source.name for source in find_sources([tmp_path])] == ["saved"]


def test_of_several_splits_that_for_training_is_read(tmp_path: Path) -> None:
    save_to_disk(tmp_path / "saved" / "train", ROWS[:3])
    save_to_disk(tmp_path / "saved" / "test", ROWS[3:])
    touch(tmp_path / "saved" / "dataset_dict.json", '{"splits": ["train", "test"]}')
    assert list(read_examples([tmp_path / "saved"])) == EXAMPLES[:3]
    touch(tmp_path / "saved" / "dataset_dict.json", '{"splits": ["dev", "test"]}')
    with pytest.raises(InputError, match=r"no split 'train' among \['dev', 'test'\]: name the folder of a split"):
        read_examples([tmp_path / "saved"])


def test_saved_data_sets_that_cannot_be_read(tmp_path: Path) -> None:
    save_to_disk(tmp_path / "index", ROWS[:3], _indices_files=[{"filename": "indices.arrow"}])
    with pytest.raises(InputError, match="chosen by an index: save the data set after flatten_indices"):
        read_examples([tmp_path / "index"])
    save_to_disk(tmp_path / "half", ROWS[:3])
    (tmp_path / "half" / "data-00001-of-00002.arrow").unlink()
    with pytest.raises(InputError, match=r"no file 'data-00001-of-00002\.arrow', of which it speaks"):
        read_examples([tmp_path / "half"])
    touch(tmp_path / "half" / "state.json", "{")
    with pytest.raises(InputError, match=r"state\.json: cannot be read"):
        read_examples([tmp_path / "half"])


@pytest.mark.parametrize("name", ["a.parquet", "a.arrow"])
def test_damaged_and_foreign_tables(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="no readable"):
        list(read_examples([touch(tmp_path / name, "x" * 500)]))
    table = pa.table({"text": ["q"], "other": ["p"]})
    if name.endswith("parquet"):
        pq.write_table(table, tmp_path / name)
    else:
        with pa.OSFile(str(tmp_path / name), "wb") as file, pa.ipc.new_stream(file, table.schema) as writer:
            writer.write_table(table)
    with pytest.raises(InputError, match="no query: there are 'text', 'other'"):
        list(read_examples([tmp_path / name]))
