"""Folders of a store: what they weigh, and how they are copied."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from trivec.errors import InputError


def folder_bytes(folder: Path) -> int:
    """Bytes that the files of a folder take on disk. Holes in files, which Edge makes, take none."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def copy_folder(source: Path, target: Path, leave_out: set[str]) -> None:
    """Copy a folder to a new place, whole or not at all; holes stay holes.

    Args:
        source: what to copy.
        target: must not exist.
        leave_out: names of files at the top of ``source``.

    Raises:
        InputError: the target exists.
    """
    if target.exists():
        raise InputError(f"{target} exists already: name a folder that does not exist yet")
    target.parent.mkdir(parents=True, exist_ok=True)
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        shutil.copytree(
            source,
            unfinished,
            ignore=lambda folder, names: leave_out & set(names) if Path(folder) == source else set(),
            copy_function=_copy_file,
        )
        unfinished.rename(target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _copy_file(source: str, target: str) -> None:
    with open(source, "rb") as reader, open(target, "wb") as writer:
        size = os.fstat(reader.fileno()).st_size
        writer.truncate(size)
        end = 0
        while (start := _next_data(reader.fileno(), end, size)) < size:
            end = os.lseek(reader.fileno(), start, os.SEEK_HOLE)
            _copy_range(reader.fileno(), writer.fileno(), start, end)
        os.fsync(writer.fileno())


def _next_data(handle: int, place: int, size: int) -> int:
    try:
        return os.lseek(handle, place, os.SEEK_DATA)
    except OSError:
        return size


def _copy_range(reader: int, writer: int, start: int, end: int) -> None:
    while start < end:
        block = os.pread(reader, min(1 << 22, end - start), start)
        start += os.pwrite(writer, block, start)


def sync_file(path: Path) -> None:
    """Wait until everything that was written to a file is on disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_folder(folder: Path) -> None:
    """Make it last that files in a folder came or went."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
