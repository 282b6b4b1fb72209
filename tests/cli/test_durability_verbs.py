"""``verify``, ``compact``, ``snapshot`` and ``restore``, and commands on a full disk."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from cli_runs import ROWS, Run, finish, write_jsonl

import trivec

LIMITED = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[1]), int(sys.argv[1])))
from trivec.cli import main
print(json.dumps([main(words) for words in json.loads(sys.argv[2])]))
"""
"""Runs commands that may write no file longer than so many bytes, which the kernel refuses as it does a full disk."""


@pytest.fixture
def native(run: Run, source: Path, model: Path) -> Path:
    """A library of `ROWS` in a native store."""
    assert run("index", source, "--out", "library", "--model", model, "--store", "native", "--quiet").code == 0
    return Path("library")


def limited(limit: int, *commands: list[object]) -> tuple[list[int], list[str]]:
    """Exit codes and lines on standard error."""
    text = json.dumps([[str(word) for word in words] for words in commands])
    command = [sys.executable, "-c", LIMITED, str(limit), text]
    outcome = finish(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
    assert outcome.code == 0, outcome.err
    return json.loads(outcome.out.splitlines()[-1]), outcome.err.splitlines()


def ids(library: Path) -> list[str]:
    with trivec.open(library, create=False) as collection:
        return [document.id for document in collection.documents()]


def test_a_whole_library(run: Run, native: Path) -> None:
    outcome = run("verify", native)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.splitlines()[-1].split() == ["result", "whole"]
    found = run("verify", native, "--json")
    assert found.code == 0
    assert found.json["whole"] is True
    assert found.json["problems"] == found.json["unchecked"] == []
    assert set(found.json) == {"library", "store", "files", "bytes", "problems", "unchecked", "whole"}


def test_every_damaged_or_missing_file_is_named(run: Run, native: Path) -> None:
    files = [path for path in sorted(native.rglob("*")) if path.is_file() and path.name != "lock"]
    assert {"library.json", "catalog.sqlite", "segment.safetensors"} <= {path.name for path in files}
    for path in files:
        whole = path.read_bytes()
        flipped = whole[: len(whole) // 2] + bytes([whole[len(whole) // 2] ^ 4]) + whole[len(whole) // 2 + 1 :]
        for broken in (flipped, whole[:-1], whole[: len(whole) // 2], b"", None):
            path.unlink() if broken is None else path.write_bytes(broken)
            outcome = run("verify", native, "--json")
            assert outcome.code == 1, (path, outcome.err)
            assert any(str(path) in problem for problem in outcome.json["problems"]), (path, outcome.out)
            path.write_bytes(whole)
    assert run("verify", native).code == 0


def test_the_embedded_store_says_what_it_cannot_check(run: Run, source: Path, model: Path) -> None:
    run("index", source, "--out", "library", "--model", model, "--store", "embedded")
    found = run("verify", "library", "--json")
    assert found.code == 0
    assert "no checksums" in found.json["unchecked"][0]
    (Path("library") / "store" / "store.json").write_text("{")
    outcome = run("verify", "library")
    assert outcome.code == 1
    assert "store.json" in outcome.out


def test_compact(run: Run, native: Path) -> None:
    run("delete", native, "--id", "paris")
    before = json.loads(run("info", native, "--json").out)
    report = run("compact", native, "--json").json
    assert set(report) == {"library", "passages", "bytes_before", "bytes_after"}
    assert report["passages"] == before["passages"]
    assert ids(native) == sorted(row["id"] for row in ROWS[1:])
    assert "size after" in run("compact", native).out
    assert run("compact", native, "--quiet").out == ""
    assert run("verify", native).code == 0


def test_there_and_back(run: Run, native: Path) -> None:
    report = run("snapshot", native, "monday.tar", "--json").json
    assert set(report) == {"snapshot", "library", "files", "bytes"}
    again = run("snapshot", native, "monday.tar")
    assert again.code == 2
    assert "exists already" in again.err
    assert "files" in run("restore", "monday.tar", "copy").out
    assert ids(Path("copy")) == ids(native)
    assert run("verify", "copy").code == 0
    refused = run("restore", "monday.tar", "copy")
    assert refused.code == 2
    assert "exists already" in refused.err
    missing = run("restore", "nowhere.tar", "other")
    assert missing.code == 2
    assert "nowhere.tar" in missing.err
    assert sorted(path.name for path in Path().iterdir() if path.name[0] != ".") == [
        "copy", "docs.jsonl", "library", "monday.tar",
    ]  # fmt: skip


@pytest.mark.parametrize("verb", ["verify", "compact", "snapshot"])
def test_what_is_no_library(verb: str, run: Run, workplace: Path) -> None:
    outcome = run(verb, workplace, *(["x.tar"] if verb == "snapshot" else []))
    assert outcome.code == 2
    assert "is no library" in outcome.err


@pytest.mark.parametrize("limit", [9_000, 20_000])
def test_a_full_disk_is_told_and_costs_nothing(limit: int, run: Run, native: Path, workplace: Path) -> None:
    before = ids(native)
    more = write_jsonl(workplace / "more.jsonl", [{"id": f"n{n}", "text": f"water {n} " * 30} for n in range(300)])
    run("snapshot", native, "whole.tar")
    add, restore = ["add", native, more, "--quiet"], ["restore", "whole.tar", "copy", "--quiet"]
    codes, told = limited(limit, add, ["snapshot", native, "new.tar", "--quiet"], restore)
    assert codes == [2, 2, 2], told
    assert ["full disk" in line or "free space" in line for line in told] == [True] * 3, told
    assert not Path("new.tar").exists()
    assert not Path("copy").exists()
    assert run("verify", native).code == 0
    assert set(before) <= set(ids(native))
    for words in (add, ["compact", native], ["snapshot", native, "new.tar"], restore):
        assert run(*words).code == 0
    assert len(ids(native)) == len(before) + 300
    assert ids(Path("copy")) == before
    left = [path.name for path in workplace.rglob("*") if path.name.endswith((".tmp", ".unfinished"))]
    assert left == []
