"""Memory does not grow with the file: ten times the data must not need twice the memory."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from trivec.data import describe, prepare, read_examples, write_examples
from trivec.data.statistics import describe_examples

SMALL, LARGE = 400, 4_000


def row(number: int) -> dict[str, object]:
    return {"query": f"query {number}", "positive": f"text {number} " * 20, "negative": "other " * 20}


def write_lines(path: Path, count: int) -> Path:
    path.write_text("".join(json.dumps(row(i)) + "\n" for i in range(count)))
    return path


def write_gzip(path: Path, count: int) -> Path:
    data = write_lines(path, count).read_bytes()
    path.write_bytes(gzip.compress(data, 1))
    return path


def write_zstd(path: Path, count: int) -> Path:
    data = write_lines(path, count).read_bytes()
    path.write_bytes(zstandard.compress(data, 1))
    return path


def write_list(path: Path, count: int) -> Path:
    path = path.with_suffix(".json")
    path.write_text(json.dumps([row(i) for i in range(count)]))
    return path


def write_table(path: Path, count: int) -> Path:
    path = path.with_suffix(".tsv")
    lines = ("\t".join(map(str, row(i).values())) + "\n" for i in range(count))
    path.write_text("\t".join(row(0)) + "\n" + "".join(lines))
    return path


def write_beir(path: Path, count: int) -> Path:
    folder = path.with_suffix("")
    folder.mkdir()
    ids = range(count)
    (folder / "corpus.jsonl").write_text(
        "".join(json.dumps({"_id": f"d{i}", "text": "word " * 40}) + "\n" for i in ids)
    )
    (folder / "queries.jsonl").write_text("".join(json.dumps({"_id": f"q{i}", "text": "word"}) + "\n" for i in ids))
    (folder / "qrels.tsv").write_text("".join(f"q{i}\td{i}\t1\n" for i in ids))
    return folder


def peak(work: Callable[[], object]) -> int:
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def drain(path: Path) -> int:
    return sum(1 for _ in read_examples([path]))


@pytest.mark.parametrize("write", [write_lines, write_gzip, write_zstd, write_list, write_table, write_beir])
def test_reading(tmp_path: Path, write: Callable[[Path, int], Path]) -> None:
    small, large = write(tmp_path / "small.jsonl", SMALL), write(tmp_path / "large.jsonl", LARGE)
    assert (drain(small), drain(large)) == (SMALL, LARGE)
    assert peak(lambda: drain(large)) < 2 * peak(lambda: drain(small))


def test_preparing_looking_up_and_counting(tmp_path: Path) -> None:
    small, large = (write_lines(tmp_path / f"{n}.jsonl", n) for n in (SMALL, LARGE))

    def work(path: Path, cache: str) -> None:
        prepared = prepare([path], tmp_path / cache)
        assert sum(len(example.query) > 0 for example in prepared) == len(prepared)

    drain(small)
    assert peak(lambda: work(large, "b")) < 2 * peak(lambda: work(small, "a"))
    prepared = prepare([large], tmp_path / "b")
    assert peak(lambda: describe(prepared)) < 100 * LARGE + 2_000_000


def test_writing_and_counting_a_stream(tmp_path: Path) -> None:
    small, large = (write_lines(tmp_path / f"{n}.jsonl", n) for n in (SMALL, LARGE))
    write_examples(tmp_path / "warm.jsonl.gz", read_examples([small]))
    peaks = [peak(lambda p=p: write_examples(tmp_path / "out.jsonl.gz", read_examples([p]))) for p in (small, large)]
    assert peaks[1] < 2 * peaks[0]
    assert peak(lambda: describe_examples("all", read_examples([large]), None)) < 100 * LARGE + 1_000_000
