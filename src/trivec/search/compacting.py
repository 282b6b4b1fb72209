"""Making a library as small and as quick as it can be without changing what it holds."""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from trivec.errors import LibraryBusyError
from trivec.index import Store
from trivec.index.lock import FolderLock
from trivec.search.snapshots import remove_unfinished_snapshots


@dataclass(frozen=True)
class CompactReport:
    """What `compact_store` did: sizes on disk before and after."""

    passages: int
    bytes_before: int
    bytes_after: int


def compact_store(store: Store) -> CompactReport:
    """Merge what was written in pieces, drop what was deleted, and build search structures. Readers go on."""
    before = store.stats().bytes
    store.optimize()
    store.flush()
    after = store.stats()
    return CompactReport(after.passages, before, after.bytes)


def remove_leftovers(folder: Path, store: str) -> None:
    """Remove from a library's folder what killed processes left: unfinished snapshots, and stores that it does not use.

    Args:
        folder: of the library.
        store: the name of the folder that its manifest, as it is on disk, names. Others are kept if somebody writes
            to them.
    """
    remove_unfinished_snapshots(folder)
    for path in folder.glob("store*"):
        if path.name != store and path.is_dir():
            with contextlib.suppress(LibraryBusyError):
                lock = FolderLock(path)
                shutil.rmtree(path)
                lock.release()
