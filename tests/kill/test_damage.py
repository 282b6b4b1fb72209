"""One flipped bit, or a tail that was cut off: the file is named, whichever it is and wherever the bit."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import killed_work
import pytest

import trivec
from trivec import Document
from trivec.errors import LibraryMismatchError
from trivec.index.native import token_merging
from trivec.search.verification import verify_library


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory, load_tiny: Callable[..., trivec.Encoder]) -> Path:
    """A library with all kinds of files: one segment with token vectors in a file of their own, and one without."""
    folder = tmp_path_factory.mktemp("damage")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(token_merging, "OWN_FILES_FROM", 0)
        with trivec.open(folder / "library", model=load_tiny("m3"), store="native") as library:
            changes = [step for step in killed_work.steps(seed=3) if step.verb in ("add", "delete")]
            for step in changes[:-1]:
                killed_work.take(library, step, folder)
            library.compact()
            killed_work.take(library, killed_work.Step("add", (Document("last", "the night"),)), folder)
    return folder / "library"


@pytest.mark.parametrize("bits", [25, pytest.param(500, marks=pytest.mark.slow)])
def test_one_flipped_bit_is_noticed(bits: int, ready: Path, tmp_path: Path) -> None:
    library = Path(shutil.copytree(ready, tmp_path / "library"))
    rng = random.Random(bits)
    for path in files(library):
        whole = path.read_bytes()
        content = rows(path)
        for _ in range(bits):
            place, bit = rng.randrange(len(whole)), rng.randrange(8)
            path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << bit)]) + whole[place + 1 :])
            assert is_named(library, path) or rows(path) == content, (path, place, bit)
        path.write_bytes(whole)
    assert verify_library(library).whole


@pytest.mark.parametrize("cuts", [5, pytest.param(100, marks=pytest.mark.slow)])
def test_a_tail_that_was_cut_off_is_noticed(cuts: int, ready: Path, tmp_path: Path) -> None:
    library = Path(shutil.copytree(ready, tmp_path / "library"))
    rng = random.Random(cuts)
    for path in files(library):
        whole = path.read_bytes()
        content = rows(path)
        for length in [0, 1, len(whole) - 1, *(rng.randrange(len(whole)) for _ in range(cuts))]:
            path.write_bytes(whole[:length])
            assert is_named(library, path) or rows(path) == content, (path, length)
        path.unlink()
        assert is_named(library, path), path
        path.write_bytes(whole)
    assert verify_library(library).whole


def files(library: Path) -> list[Path]:
    found = [path for path in sorted(library.rglob("*")) if path.is_file() and path.name != "lock"]
    kinds = {path.name.partition("-")[0] for path in found}  # tokens-00, tokens-01 ...
    assert kinds == {"library.json", "catalog.sqlite", "segment.safetensors", "tokens"}
    return found


def is_named(library: Path, path: Path) -> bool:
    try:
        return any(str(path) in problem for problem in verify_library(library).problems)
    except LibraryMismatchError as error:  # the bit was in the number of the format
        return str(library) in str(error)


def rows(path: Path) -> object:
    """What a catalogue holds. A part of its file that SQLite does not use may change without any effect.

    Other files give something that equals nothing: no part of them is unused.
    """
    if path.suffix != ".sqlite":
        return float("nan")
    with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        tables = ("settings", "segments", "passages")
        return [connection.execute(f"SELECT * FROM {table} ORDER BY 1").fetchall() for table in tables]
