"""Segment folders on disk: made under another name, synced, renamed, and never changed afterwards."""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path

from trivec.index.files import sync_file, sync_folder
from trivec.index.native.records import FileRecord, SegmentRecord
from trivec.index.native.shared_work import SharedWork

_BLOCK = 1 << 20


class SegmentFolders:
    """The folder ``segments`` of a store."""

    def __init__(self, store: Path) -> None:
        self.root = store / "segments"

    def folder(self, number: int) -> Path:
        """Where a segment lies once it is published."""
        return self.root / f"{number:08d}"

    @contextlib.contextmanager
    def staged(self, number: int) -> Iterator[Path]:
        """A folder to write a segment in. It is gone when the block ends, unless it was published."""
        if not self.root.is_dir():
            self.root.mkdir()
            sync_folder(self.root.parent)
        folder = self._staging(number)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def publish(self, number: int) -> None:
        """Give a staged segment, whose files are sealed, its name."""
        os.replace(self._staging(number), self.folder(number))
        sync_folder(self.root)

    def remove(self, numbers: Iterable[int]) -> None:
        """Remove segments. Who has them open can go on reading."""
        for number in numbers:
            shutil.rmtree(self.folder(number), ignore_errors=True)

    def remove_leftovers(self, known: Iterable[SegmentRecord]) -> None:
        """Remove everything that the catalogue does not name: it was being written when a process was killed."""
        wanted = {self.folder(record.number): set(record.files) for record in known}
        for path in self.root.iterdir() if self.root.is_dir() else ():
            if path not in wanted:
                shutil.rmtree(path, ignore_errors=True)
                continue
            for file in path.iterdir():
                if file.name not in wanted[path]:
                    file.unlink(missing_ok=True)

    def copy(self, record: SegmentRecord, target: SegmentFolders) -> None:
        """Copy a segment to another store: by hard links where the file system can."""
        folder = target.folder(record.number)
        folder.mkdir(parents=True)
        for name in record.files:
            link_or_copy(self.folder(record.number) / name, folder / name)
        sync_folder(folder)

    def _staging(self, number: int) -> Path:
        return self.root / f".{number:08d}.tmp"


def seal(folder: Path, known: Mapping[str, FileRecord] | None = None) -> dict[str, FileRecord]:
    """Make the files of a folder last, and describe them. The disk writes while their hashes are computed.

    Args:
        folder: of a segment.
        known: files that were sealed in another folder before.
    """
    found = dict(known or {})
    paths = sorted(path for path in folder.iterdir() if path.name not in found)
    syncing = SharedWork([partial(sync_file, path) for path in paths])
    found |= {path.name: describe(path) for path in paths}
    syncing.results()
    sync_folder(folder)
    return found


def describe(path: Path) -> FileRecord:
    """Size and hash of a file."""
    return FileRecord(path.stat().st_size, sha256(path))


def sha256(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def wrong_sizes(folder: Path, files: Mapping[str, FileRecord]) -> list[str]:
    """Files that are missing or have another size than they were written with, in words."""
    problems = []
    for name, record in files.items():
        size = size_of(folder / name)
        if size is None:
            problems.append(f"{folder / name} is missing")
        elif size != record.bytes:
            problems.append(f"{folder / name} has {size} bytes, not the {record.bytes} that were written")
    return problems


def size_of(path: Path) -> int | None:
    """Bytes of a file, None if there is none."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return None


def link_or_copy(source: Path, target: Path) -> None:
    """Give a file that never changes a second name; a copy of it, synced, where the file system has no links.

    Raises:
        OSError: the file is not there, or the copy cannot be written.
    """
    try:
        os.link(source, target)
    except FileNotFoundError:
        raise
    except OSError:
        _copy_file(source, target)


def _copy_file(source: Path, target: Path) -> None:
    with source.open("rb") as reader, target.open("wb") as writer:
        shutil.copyfileobj(reader, writer, _BLOCK)
        writer.flush()
        os.fsync(writer.fileno())
