"""Exceptions to one line and an exit code; other processes, signals and closed pipes."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import signal
import subprocess
import threading
from pathlib import Path

import pytest
from cli_runs import ROWS, TRIVEC, Run, finish, start, write_jsonl

import trivec
from trivec.cli.failures import describe, guarded
from trivec.errors import InputError, LibraryBusyError


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (InputError("wrong"), 2, "wrong"),
        (LibraryBusyError("busy"), 2, "busy"),
        (OSError(errno.ENOSPC, "No space left on device", "/x"), 2, "/x: No space left on device: make room"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 2, "/x: Permission denied: check its permissions"),
        (KeyboardInterrupt(), 130, "stopped"),
        (KeyboardInterrupt("stopped: it holds 3"), 130, "stopped: it holds 3"),
        (ValueError("odd\nlines"), 1, "unexpected ValueError: odd (set TRIVEC_DEBUG=1"),
        (ZeroDivisionError(), 1, "unexpected ZeroDivisionError (set TRIVEC_DEBUG=1"),
    ],
)
def test_what_is_told(error: BaseException, code: int, message: str, capsys: pytest.CaptureFixture[str]) -> None:
    def fail() -> int:
        raise error

    assert guarded(fail) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith(f"trivec: {message}")
    assert captured.err.count("\n") == 1
    assert describe(error)[1] == code


def test_debug_shows_the_traceback(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIVEC_DEBUG", "1")
    outcome = run("info", "nowhere")
    assert outcome.code == 2
    assert "Traceback" in outcome.err
    assert outcome.err.splitlines()[-1].startswith("trivec: nowhere is no library")
    monkeypatch.setenv("TRIVEC_DEBUG", "0")
    assert "Traceback" not in run("info", "nowhere").err


def test_another_process_writes_to_the_library(library: Path) -> None:
    with trivec.open(library) as collection:
        collection.delete(["tokyo"])
        assert finish(start("search", library, "q")).code == 0
        outcome = finish(start("delete", library, "--id", "paris"))
        assert outcome.code == 2
        assert f"is open in process {os.getpid()}" in outcome.err
    assert finish(start("info", library, "--json")).json["documents"] == 3


def test_another_process_has_a_library_with_an_embedded_store(source: Path, model: Path, run: Run) -> None:
    assert run("index", source, "--out", "other", "--model", model, "--store", "embedded").code == 0
    with trivec.open("other"):
        for words in (["search", "other", "q"], ["info", "other"], ["delete", "other", "--id", "paris"]):
            outcome = finish(start(*words))
            assert outcome.code == 2
            assert f"is open in process {os.getpid()}" in outcome.err
    assert finish(start("info", "other", "--json")).json["documents"] == 4


def test_ctrl_c_keeps_what_was_added(model: Path, workplace: Path) -> None:
    """A writer never stops, so only the signal ends the command."""
    process = start("index", "-", "--out", "library", "--model", model, stdin=subprocess.PIPE)
    assert process.stdin is not None
    feeder = threading.Thread(target=_feed, args=(process,), daemon=True)
    feeder.start()
    _wait_until_stored(workplace / "library", process)
    process.send_signal(signal.SIGINT)
    code = process.wait(timeout=120)
    assert process.stdout is not None and process.stderr is not None
    err = process.stderr.read()
    assert process.stdout.read() == ""
    feeder.join(timeout=60)
    process.stdout.close(), process.stderr.close()
    assert code == 130, err
    told = re.search(r"library library holds ([\d,]+) documents; run the same command again", err)
    assert told is not None, err
    assert err.count("\n") == 1
    info = finish(start("info", "library", "--json"))
    assert info.code == 0
    assert info.json["documents"] == int(told[1].replace(",", "")) > 0
    assert finish(start("search", "library", "text", "--json")).code == 0


def _feed(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    with contextlib.suppress(BrokenPipeError):
        for number in range(10_000_000):
            process.stdin.write(json.dumps({"id": f"{number:07}", "text": f"text {number}"}) + "\n")
    with contextlib.suppress(BrokenPipeError):
        process.stdin.close()


def _wait_until_stored(library: Path, process: subprocess.Popen[str]) -> None:
    """Until the second window of documents is surely begun: the store's files have grown."""
    store = library / "store"
    seen = set()
    while process.poll() is None and len(seen) < 4:
        size = sum(path.stat().st_blocks for path in store.rglob("*") if path.is_file()) if store.is_dir() else 0
        seen.add(size)
        threading.Event().wait(0.2)


def test_a_closed_pipe_is_silent(library: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as closed:
        process = subprocess.Popen(
            [*TRIVEC, "search", str(library), "capital", "--json"], stdout=closed, stderr=subprocess.PIPE, text=True
        )
        outcome = finish(process)
    assert outcome.code == 141
    assert outcome.err == ""


def test_output_that_cannot_be_written(run: Run, library: Path, workplace: Path) -> None:
    folder = run("info", library, "-o", ".")
    assert folder.code == 2
    assert "is a folder" in folder.err
    below_a_file = run("info", library, "-o", "library/library.json/x")
    assert below_a_file.code == 2
    assert below_a_file.err.count("\n") == 1
    assert run("info", library, "-o", "new/folder/info.json").code == 0
    assert json.loads(Path("new/folder/info.json").read_text())["documents"] == 4
    assert run("info", library, "-o", "-").json["documents"] == 4


def test_a_terminal_without_unicode(library: Path, workplace: Path) -> None:
    write_jsonl(workplace / "docs.jsonl", ROWS)
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    result = subprocess.run(
        [*TRIVEC, "search", str(library), "首都", "-k", "1", "--json"],
        env=environment,
        capture_output=True,
        check=True,
    )
    assert json.loads(result.stdout)["query"] == "首都"
    subprocess.run(
        [*TRIVEC, "search", str(library), "首都", "--explain"], env=environment, check=True, capture_output=True
    )
