"""Folders for unfinished work, which never outlive it for long, and new folders that are filled as one step."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

from trivec.errors import LibraryError
from trivec.index.files import sync_folder

_ENDING = ".unfinished"
_MARK = ".new.unfinished"


@contextlib.contextmanager
def scratch_folder(parent: Path, name: str) -> Iterator[Path]:
    """An empty folder that is gone when the block ends, unless it was renamed; what was moved out of it stays.

    What a killed process left under the same name is removed first, see `remove_abandoned`.

    Args:
        parent: an existing folder, which the scratch folder will stand in.
        name: what the work is about; part of the folder's name.
    """
    remove_abandoned(parent, name)
    folder = parent / f".{name}.{uuid.uuid4().hex[:12]}{_ENDING}"
    with contextlib.ExitStack() as held:
        with _locked(parent):
            folder.mkdir()
            held.enter_context(_locked(folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def remove_abandoned(parent: Path, name: str) -> None:
    """Remove the scratch folders of this name that no living process holds.

    A lock that ends with its process tells them from those that another process is still working in.
    """
    with _locked(parent):
        for path in parent.iterdir():
            if path.name.startswith(f".{name}.") and path.name.endswith(_ENDING):
                # its owner may just have finished with it
                with contextlib.suppress(FileNotFoundError), _locked(path, wait=False) as is_free:
                    if is_free:
                        shutil.rmtree(path, ignore_errors=True)


def can_be_filled(folder: Path) -> bool:
    """Whether nothing is there, or an empty folder, or what a process killed in `filling` left."""
    return not folder.exists() or (folder.is_dir() and ((folder / _MARK).exists() or not any(folder.iterdir())))


@contextlib.contextmanager
def filling(folder: Path) -> Iterator[None]:
    """Fill a new folder as one step: a process killed in the block leaves a mark, and the next one begins anew.

    An empty folder that is there is kept, since it may be a mounted disk.

    Raises:
        LibraryError: there is something else in the folder.
    """
    with contextlib.suppress(FileExistsError):
        folder.mkdir(parents=True)
    with _locked(folder):
        if not can_be_filled(folder):
            raise LibraryError(f"{folder} exists and is no library: choose another place, or remove it")
        (folder / _MARK).touch()
        sync_folder(folder)
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != _MARK:
                path.unlink()
        yield
        forget_mark(folder)


def forget_mark(folder: Path) -> None:
    """Take the mark of `filling` away, if there is one and the folder can be written."""
    if (folder / _MARK).exists():
        with contextlib.suppress(OSError):
            (folder / _MARK).unlink()
            sync_folder(folder)


@contextlib.contextmanager
def _locked(folder: Path, wait: bool = True) -> Iterator[bool]:
    """Hold the lock on a folder; gives False if it is another's, or if the file system has no such locks."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            is_held = True
        except OSError:
            is_held = False
        yield is_held
    finally:
        os.close(handle)
