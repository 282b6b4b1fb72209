"""Examples are written whole or not at all, and equal ones give equal bytes."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
import zstandard

from trivec.data import Example, read_examples, write_examples
from trivec.errors import InputError

EXAMPLES = [Example(f"q{i}", (f"p{i} ü",), extra={"lang": "en"}) for i in range(200)]


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"])
def test_written_and_read(tmp_path: Path, name: str) -> None:
    path, again = tmp_path / name, tmp_path / f"again.{name}"
    assert write_examples(path, iter(EXAMPLES)) == 200
    assert list(read_examples([path])) == EXAMPLES
    write_examples(again, EXAMPLES)
    assert path.read_bytes() == again.read_bytes()


def test_the_suffix_compresses(tmp_path: Path) -> None:
    for name in ("a.jsonl", "a.jsonl.gz", "a.jsonl.zst"):
        write_examples(tmp_path / name, EXAMPLES)
    plain = (tmp_path / "a.jsonl").read_bytes()
    assert plain.startswith(b'{"query":"q0","pos":["p0 \xc3\xbc"],"neg":[],"lang":"en"}\n')
    assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()) == plain
    reader = zstandard.ZstdDecompressor().stream_reader((tmp_path / "a.jsonl.zst").read_bytes())
    assert reader.read() == plain
    assert (tmp_path / "a.jsonl.gz").read_bytes()[4:8] == bytes(4)  # no time


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"])
def test_stopped_in_the_middle_the_old_file_stays(tmp_path: Path, name: str) -> None:
    def stops() -> Iterator[Example]:
        yield EXAMPLES[0]
        raise KeyboardInterrupt

    path = tmp_path / name
    write_examples(path, EXAMPLES)
    before = path.read_bytes()
    with pytest.raises(KeyboardInterrupt):
        write_examples(path, stops())
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == [name]


def test_a_file_may_be_rewritten_from_itself(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    write_examples(path, EXAMPLES)
    assert write_examples(path, (example for example in read_examples([path]) if example.query != "q7")) == 199


def test_what_json_cannot_hold_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"f:3: cannot be written as JSON .*extra fields"):
        write_examples(tmp_path / "a.jsonl", [Example("q", ("p",), place="f:3", extra={"x": timedelta(1)})])
    assert not list(tmp_path.iterdir())
