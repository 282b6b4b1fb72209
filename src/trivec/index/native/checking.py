"""Looking after a store as a whole: whether its files are what was written, and copies of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path

import numpy as np

from trivec.errors import InputError, LibraryError, TrivecError
from trivec.index.files import sync_folder
from trivec.index.native.catalog import CATALOG, Catalog
from trivec.index.native.changes import checksum
from trivec.index.native.files import SegmentFolders, sha256, size_of, wrong_sizes
from trivec.index.native.records import SegmentRecord, State
from trivec.index.native.segment import Segment
from trivec.index.native.view import alive_rows

_END = (1 << 63, "")
"""A number above those of all passages."""
_CHUNK = 1000
_SHOWN = 20
"""Passages that are named when many are wrong."""


def verify_store(folder: Path) -> list[str]:
    """What is wrong with the files of a store, in words. Looks again if others write meanwhile."""
    try:
        with closing(Catalog(folder)) as catalog:
            while True:
                state = catalog.state()
                problems = list(_problems(folder, catalog, state))
                if not problems or catalog.version() == state.version:
                    return problems
    except TrivecError as error:
        return [str(error)]


def _problems(folder: Path, catalog: Catalog, state: State) -> Iterator[str]:
    yield from catalog.problems()
    segments: list[Segment] = []
    for record in state.segments:
        path = SegmentFolders(folder).folder(record.number)
        yield from _changed_files(path, record)
        try:
            segment = Segment(path, record, state.settings)
            _try_graphs(segment)
            segments.append(segment)
        except (TrivecError, OSError, RuntimeError, ValueError) as error:
            yield str(error)
    if len(segments) == len(state.segments):
        found = list(islice(_disagreements(catalog, segments), _SHOWN + 1))
        yield from found[:_SHOWN]
        if len(found) > _SHOWN:
            yield "there are more passages like these"


def _changed_files(folder: Path, record: SegmentRecord) -> Iterator[str]:
    yield from wrong_sizes(folder, record.files)
    for name, file in record.files.items():
        path = folder / name
        try:
            if size_of(path) == file.bytes and sha256(path) != file.sha256:
                yield f"{path} is not what was written: its SHA-256 has changed"
        except OSError as error:
            yield f"{path} cannot be read ({error.strerror or error})"


def _try_graphs(segment: Segment) -> None:
    for part in segment.dense_parts.values():
        part.search(np.ones(part.width, np.float32), 1, None)


def _disagreements(catalog: Catalog, segments: Sequence[Segment]) -> Iterator[str]:
    """Passages of the catalogue against live rows of the segments, both in the order of their numbers."""
    held = _live_passages(segments)
    number, name = next(held, _END)
    for wanted, expected, problem in _catalogued(catalog):
        if problem:
            yield f"{catalog.path}: passage {expected!r} {problem}"
        while number < wanted:
            yield f"passage {name!r} is in a segment and not in the catalogue"
            number, name = next(held, _END)
        if (number, name) != (wanted, expected):
            yield f"passage {expected!r} is in the catalogue and in no segment"
        if number == wanted:
            number, name = next(held, _END)
    while number < _END[0]:
        yield f"passage {name!r} is in a segment and not in the catalogue"
        number, name = next(held, _END)


def _live_passages(segments: Sequence[Segment]) -> Iterator[tuple[int, str]]:
    """Numbers and ids of live rows."""
    for segment in segments:
        alive = alive_rows(segment.record.dead, len(segment))
        rows = np.arange(len(segment)) if alive is None else np.flatnonzero(alive)
        for start in range(0, len(rows), _CHUNK):
            chunk = rows[start : start + _CHUNK]
            yield from zip(segment.numbers[chunk].tolist(), segment.names(chunk).tolist(), strict=True)


def _catalogued(catalog: Catalog) -> Iterator[tuple[int, str, str]]:
    """Numbers and ids of the catalogue's passages, and what is wrong with their rows."""
    first = 0
    while rows := catalog.rows_from(first):
        for number, name, payload, check in rows:
            damaged = checksum(number, name, payload) != check
            yield number, _readable(name), "is not what was written" if damaged else ""
        first = rows[-1][0] + 1
        if first >= _END[0]:
            return


def _readable(name: object) -> str:
    """The id under a key; a damaged one, which may be no text, as Python writes it."""
    try:
        return name.decode(errors="surrogatepass") if isinstance(name, bytes) else repr(name)
    except UnicodeDecodeError:
        return repr(name)


def copy_store(folder: Path, catalog: Catalog, target: Path) -> None:
    """Copy a store to a new place, whole or not at all, while others use it.

    Raises:
        InputError: the target exists.
        LibraryError: the copy cannot be written, or a file of the store is missing.
    """
    if target.exists():
        raise InputError(f"{target} exists already: name a folder that does not exist yet")
    unfinished = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        while not _copied(folder, catalog, unfinished):
            pass
        unfinished.rename(target)
        sync_folder(target.parent)
    except OSError as error:
        raise LibraryError(
            f"{target} cannot be written ({error.strerror or error}): free space, or choose another place"
        ) from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _copied(folder: Path, catalog: Catalog, target: Path) -> bool:
    """Copy the catalogue, then the segments it names; False if one has been merged away meanwhile."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    before = catalog.version()
    catalog.copy_to(target / CATALOG)
    with closing(Catalog(target)) as copy:
        segments = copy.state().segments
    try:
        for record in segments:
            SegmentFolders(folder).copy(record, SegmentFolders(target))
    except FileNotFoundError as error:
        if catalog.version() == before:
            raise LibraryError(f"{error.filename} is missing: run verify on the store") from error
        return False
    sync_folder(target)
    return True
