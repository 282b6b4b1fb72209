"""``kill -9`` at random moments: what was acknowledged is there, every file is whole, and the same work goes on.

A process takes the steps of a random history and notes each before it begins and after its call has returned. It is
killed by a clock, or just before its n-th change of a file. What is then in the library must be what the history says
after the last acknowledged step, or after the one that was under way.
"""

from __future__ import annotations

import json
import multiprocessing
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import killed_work
import pytest

import trivec
from trivec import Document
from trivec.search.snapshots import restore_snapshot
from trivec.search.verification import verify_library

from store_cases import MEMORY_FOLDER

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["trivec.search.collection", "onnx", "onnxruntime", "torch", "faiss"])

QUICK = [*range(4)]
SLOW = [pytest.param(seed, marks=pytest.mark.slow) for seed in range(4, 70)]
KILLS = 3
"""How often each history is interrupted."""

Content = dict[str, str]


@pytest.fixture
def folder() -> Iterator[Path]:
    """In memory, if possible: what a killed process has written stays there as well, and nothing waits for a disk."""
    with tempfile.TemporaryDirectory(dir=MEMORY_FOLDER) as name:
        yield Path(name)


def contents(seed: int) -> list[Content]:
    """What a library holds before the first step of a history, and after each one."""
    states: list[Content] = [{}]
    for step in killed_work.steps(seed):
        state = dict(states[-1])
        for document in step.documents:
            state.pop(document.id, None)
            if step.verb == "add":
                state[document.id] = document.text
        states.append(state)
    return states


def run(target: Callable[..., None], *arguments: object, kill_after_s: float | None = None) -> int | None:
    """Run something in a process of its own, killed after some time; its exit code."""
    process = CONTEXT.Process(target=target, args=arguments)
    process.start()
    process.join(kill_after_s)
    if process.is_alive():
        process.kill()
        process.join()
    code = process.exitcode
    process.close()
    return code


def progress(folder: Path) -> tuple[int, int]:
    """How many steps are acknowledged, and how many were begun."""
    notes = (folder / "notes").read_text().split("\n")[:-1] if (folder / "notes").exists() else []
    return sum(line.startswith("done") for line in notes), 1 + max(
        (int(line.split()[1]) for line in notes if line.startswith("begin")), default=-1
    )


def found(folder: Path) -> Content:
    with trivec.open(folder, create=False) as library:
        documents: list[Document] = list(library.documents())
        assert len(library) == len(documents)
        return {document.id: document.text for document in documents}


@pytest.mark.parametrize("seed", [*QUICK, *SLOW])
def test_nothing_acknowledged_is_lost(seed: int, folder: Path, tiny: Callable[[str], Path]) -> None:
    rng = random.Random(seed)
    states = contents(seed)
    for _ in range(KILLS):
        done, _ = progress(folder)
        by_clock = rng.random() < 0.5
        die_at = 0 if by_clock else int(10 ** rng.uniform(0, 2.7))
        seconds = rng.uniform(0.05, 1.0) if by_clock else None
        code = run(killed_work.work, folder, tiny("m3"), seed, done, die_at, kill_after_s=seconds)
        assert code in (0, -signal.SIGKILL), code
        done, begun = progress(folder)
        check_library(folder / "library", states[done], states[max(done, begun)])
        check_restore(rng, folder, states[: begun + 1])
    done, _ = progress(folder)
    assert run(killed_work.work, folder, tiny("m3"), seed, done, 0) == 0
    check_library(folder / "library", states[-1], states[-1])
    check_no_leftovers(folder, tiny("m3"))


def check_library(folder: Path, before: Content, after: Content) -> None:
    """The library holds what it held before the step that was under way, or after."""
    if not (folder / "library.json").exists():
        assert before == {}
        return
    assert verify_library(folder).problems == ()
    assert found(folder) in (before, after)


def check_no_leftovers(folder: Path, model: Path) -> None:
    """What killed processes left takes no space for long."""
    (folder / "copy.tar").unlink(missing_ok=True)
    with trivec.open(folder / "library", model=model) as library:
        library.compact()
        library.snapshot(folder / "copy.tar")
    left = [path.relative_to(folder) for path in folder.rglob("*") if path.name.endswith((".tmp", ".unfinished"))]
    assert [path for path in left if ".json." not in path.name] == []
    assert len([path for path in (folder / "library").iterdir() if path.is_dir()]) == 1


def check_restore(rng: random.Random, folder: Path, states: list[Content]) -> None:
    """Kill a restore: nothing is at its place, or all of it; the next one ends well."""
    if not (folder / "copy.tar").exists():
        return
    target = folder / "restored"
    run(killed_work.restore, folder, int(10 ** rng.uniform(0, 2)))
    if not target.exists():
        assert run(killed_work.restore, folder, 0) == 0
    assert verify_library(target).problems == ()
    assert found(target) in states
    assert [path.name for path in folder.iterdir() if path.name.startswith(".restored")] == []
    shutil.rmtree(target)


def test_a_reader_takes_snapshots_while_another_process_writes(folder: Path, tiny: Callable[[str], Path]) -> None:
    seed, copies = 1000, 0
    states = contents(seed)
    process = CONTEXT.Process(target=killed_work.work, args=(folder, tiny("m3"), seed, 0, 0))
    process.start()
    while process.is_alive():
        if (folder / "library" / "library.json").exists():
            with trivec.open(folder / "library", create=False) as library:
                library.snapshot(folder / f"{copies}.tar")
            restore_snapshot(folder / f"{copies}.tar", folder / "restored")
            assert verify_library(folder / "restored").problems == ()
            assert verify_library(folder / "library").problems == ()
            assert found(folder / "restored") in states
            shutil.rmtree(folder / "restored")
            copies += 1
    process.join()
    assert process.exitcode == 0
    assert copies


def test_the_same_command_goes_on_after_a_kill(folder: Path, tiny: Callable[[str], Path]) -> None:
    rng = random.Random(7)
    source = folder / "docs.jsonl"
    rows = [{"id": f"n{number}", "text": f"water and night, number {number}. " * 20} for number in range(700)]
    source.write_text("".join(json.dumps(row) + "\n" for row in rows))
    command = [sys.executable, "-m", "trivec.cli", "index", source, "--out", folder / "library", "--store", "native"]
    command += ["--model", tiny("m3"), "--quiet"]
    held = 0
    for _ in range(2):
        process = subprocess.Popen(list(map(str, command)))
        segments = folder / "library" / "store" / "segments"
        while process.poll() is None and len(list(segments.glob("0*"))) <= (held > 0):
            time.sleep(0.01)
        time.sleep(rng.uniform(0, 0.2))
        process.kill()
        process.wait()
        before, held = held, len(found(folder / "library"))
        assert verify_library(folder / "library").problems == ()
        assert held >= before
    assert subprocess.run(list(map(str, command)), check=False).returncode == 0
    assert found(folder / "library") == {row["id"]: row["text"] for row in rows}
