"""Fixtures of the command line's tests: a tiny model, a library, and `run`; no test sees the user's cache."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from cli_runs import ROWS, Outcome, Run, write_jsonl

from trivec.cli import main
from trivec.index.files import copy_folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs a command in this process."""

    def command(*words: object) -> Outcome:
        capsys.readouterr()
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return Outcome(code, captured.out, captured.err)

    return command


@pytest.fixture(autouse=True)
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Every test runs in an empty folder, with an empty cache."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIVEC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.delenv("TRIVEC_DEBUG", raising=False)
    return tmp_path


@pytest.fixture
def model(tiny: Callable[[str], Path]) -> Path:
    return tiny("m3")


@pytest.fixture(scope="session")
def _ready_library(tiny: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("library")
    source = write_jsonl(folder / "docs.jsonl", ROWS)
    assert main(["index", str(source), "--out", str(folder / "library"), "--model", str(tiny("m3")), "--quiet"]) == 0
    return folder / "library"


@pytest.fixture
def library(_ready_library: Path, workplace: Path) -> Path:
    """A library of `ROWS`, called ``library``, in the folder of the test."""
    copy_folder(_ready_library, workplace / "library", leave_out=set())
    return Path("library")


@pytest.fixture
def source(workplace: Path) -> Path:
    """`ROWS` as ``docs.jsonl``."""
    return write_jsonl(workplace / "docs.jsonl", ROWS).relative_to(workplace)
