"""Folders for unfinished work: gone with it, and whole or not there when they are made."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import trivec
from trivec import Document, Encoder
from trivec.errors import LibraryError
from trivec.search import scratch
from trivec.search.scratch import filling, scratch_folder

DOCUMENTS = [Document("paris", "Paris is the capital of France."), Document("tokyo", "東京は日本の首都です。")]


@pytest.fixture(scope="module")
def encoder(load_tiny: Callable[..., Encoder]) -> Encoder:
    return load_tiny("m3")


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_scratch_folders_are_removed_unless_another_works_in_them(tmp_path: Path) -> None:
    for name in (f".copy.1{scratch._ENDING}", ".copy.2"):
        (tmp_path / name / "inside").mkdir(parents=True)
    with scratch_folder(tmp_path, "copy") as work, scratch_folder(tmp_path, "copy") as other:
        (work / "file").write_text("x")
        assert names(tmp_path) == sorted([work.name, other.name, ".copy.2"])
        (work / "file").rename(tmp_path / "kept")
        other.rename(tmp_path / "moved")
    assert names(tmp_path) == [".copy.2", "kept", "moved"]
    with pytest.raises(ZeroDivisionError), scratch_folder(tmp_path, "copy"):
        raise ZeroDivisionError
    assert names(tmp_path) == [".copy.2", "kept", "moved"]


def test_scratch_folders_of_one_name_come_and_go_at_once(tmp_path: Path) -> None:
    def come_and_go(_: int) -> None:
        for _ in range(30):
            with scratch_folder(tmp_path, "copy") as work:
                assert work.is_dir()

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(come_and_go, range(4)))
    assert names(tmp_path) == []


def test_a_library_whose_making_was_cut_off_is_made_anew(tmp_path: Path, encoder: Encoder) -> None:
    folder = tmp_path / "library"
    with pytest.raises(ZeroDivisionError), filling(folder):
        (folder / "store").mkdir()
        (folder / "store" / "half").write_text("x")
        (folder / "file").write_text("x")
        raise ZeroDivisionError
    with pytest.raises(LibraryError, match="is no library"):
        trivec.open(folder, create=False)
    with trivec.open(folder, model=encoder, store="native") as library:
        library.add(DOCUMENTS)
    assert names(folder) == ["library.json", "store"]
    (folder / scratch._MARK).touch()  # killed just before it was taken away
    with trivec.open(folder, create=False) as library:
        assert len(list(library.documents())) == len(DOCUMENTS)
    assert names(folder) == ["library.json", "store"]
    with pytest.raises(LibraryError, match="exists and is no library"), filling(folder):
        pytest.fail("a full folder may not be filled")
