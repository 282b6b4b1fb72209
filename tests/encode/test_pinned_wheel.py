"""Folders that several processes make at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from trivec.encode.pinned_wheel import whole_folder


def test_a_folder_that_several_make_at_once_is_whole(tmp_path: Path) -> None:
    def make(number: int) -> None:
        for _ in range(30):
            with whole_folder(tmp_path / "model") as folder:
                folder.mkdir()
                for name in ("one", "other"):
                    (folder / name).write_text(str(number))

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(make, range(4)))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model" / "one").read_text() == (tmp_path / "model" / "other").read_text()


def test_a_folder_whose_making_fails_stays_as_it_was(tmp_path: Path) -> None:
    with whole_folder(tmp_path / "model") as folder:
        folder.mkdir()
        (folder / "file").write_text("old")
    with pytest.raises(ZeroDivisionError), whole_folder(tmp_path / "model") as folder:
        folder.mkdir()
        raise ZeroDivisionError
    with pytest.raises(FileNotFoundError), whole_folder(tmp_path / "other"):
        pass  # nothing was made
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert (tmp_path / "model" / "file").read_text() == "old"
