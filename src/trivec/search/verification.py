"""Is every file of a library what was written? Told by checksums where there are any, else by reading everything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from trivec.errors import LibraryBusyError, LibraryError, LibraryMismatchError, TrivecError
from trivec.index import NativeStore, Store
from trivec.index.files import folder_bytes
from trivec.index.native.catalog import CATALOG
from trivec.index.native.checking import verify_store
from trivec.index.schema import check_values
from trivec.search.adding import PENDING
from trivec.search.manifest import FILE, Manifest
from trivec.search.stores import open_store

_CHUNK = 500
_STORE_FILES = {"native": CATALOG, "embedded": "store.json"}
"""The file without which there is no store."""


@dataclass(frozen=True)
class Verification:
    """What `verify_library` found.

    Attributes:
        library: its folder.
        store: its kind; empty if that could not be told.
        files: how many files the library has.
        bytes: what they take on disk.
        problems: one line for each damaged or missing file, naming it.
        unchecked: what could not be checked, and why.
    """

    library: str
    store: str
    files: int
    bytes: int
    problems: tuple[str, ...]
    unchecked: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


def verify_library(folder: Path, store: Store | None = None) -> Verification:
    """Check every file of a library. Writes nothing, needs no model, and reads all bytes.

    Args:
        folder: of the library.
        store: the library's store, if it is open already.

    Raises:
        LibraryError: there is no library.
        LibraryBusyError: another process has it open, and its store is one that only one may open.
        LibraryMismatchError: a newer trivec wrote it.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        raise LibraryError(f"{folder} is no library: name the folder of one")
    manifest, problems = _check_manifest(folder)
    known = manifest is not None and manifest.store in _STORE_FILES
    kind, place = (manifest.store, folder / manifest.folder) if manifest and known else _guess(folder)
    problems += _check_pending(folder)
    unchecked: list[str] = []
    if store is not None:
        _check_store(store, place, problems, unchecked)
    elif kind:
        _open_and_check(kind, place, problems, unchecked)
    else:
        unchecked.append(f"the store: nothing in {folder} says of which kind it is")
    files = sum(path.is_file() for path in folder.rglob("*"))
    return Verification(str(folder), kind, files, folder_bytes(folder), tuple(problems), tuple(unchecked))


def _check_manifest(folder: Path) -> tuple[Manifest | None, list[str]]:
    try:
        return Manifest.read(folder), Manifest.check_file(folder)
    except LibraryMismatchError:
        raise
    except LibraryError as error:
        if (folder / FILE).exists():
            return None, [str(error)]
        if _guess(folder) == ("", folder):
            raise
        return None, [f"{folder / FILE} is missing: restore it from a copy, or index again"]


def _guess(folder: Path) -> tuple[str, Path]:
    """The store of a library that no longer says what it has."""
    for kind, name in _STORE_FILES.items():
        for path in sorted(folder.glob(f"*/{name}")):
            return kind, path.parent
    return "", folder


def _check_pending(folder: Path) -> list[str]:
    path = folder / PENDING
    try:
        if path.exists():
            _ = json.loads(path.read_text(encoding="utf-8"))["doubtful"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        return [f"{path} cannot be read ({error!r})"]
    return []


def _open_and_check(kind: str, place: Path, problems: list[str], unchecked: list[str]) -> None:
    if not (place / _STORE_FILES[kind]).is_file():
        problems.append(f"{place / _STORE_FILES[kind]} is missing: restore the library from a snapshot, or index again")
        return
    if kind == "native":  # its files can be checked even where it cannot be opened
        problems += _check_native(place)
        return
    try:
        store = open_store(kind, place)
    except (LibraryBusyError, LibraryMismatchError):
        raise
    except (TrivecError, OSError) as error:
        problems.append(str(error))
        return
    try:
        _check_store(store, place, problems, unchecked)
    finally:
        store.close()


def _check_store(store: Store, place: Path, problems: list[str], unchecked: list[str]) -> None:
    if isinstance(store, NativeStore):
        problems += _check_native(place)
        return
    unchecked.append(
        f"bytes of vectors and texts in {place}: this kind of store keeps no checksums that can be asked for"
    )
    try:
        problems += [f"{place}: {problem}" for problem in _read_everything(store)]
    except (TrivecError, OSError) as error:
        problems.append(f"{place}: {error}")


def _check_native(folder: Path) -> list[str]:
    """Lines that name no file are about what the catalogue says, and so are values of another kind than was written."""
    try:
        problems = verify_store(folder)
    except (ValueError, TypeError, AttributeError) as error:
        problems = [f"it cannot be read ({error}): restore it from a snapshot, or index again"]
    return [line if str(folder) in line else f"{folder / CATALOG}: {line}" for line in problems]


def _read_everything(store: Store) -> list[str]:
    """What is wrong with passages and vectors that can be read."""
    passages, problems, count = store.select(), [], 0
    while names := [passage.id for passage in islice(passages, _CHUNK)]:
        count += len(names)
        problems += _read_vectors(store, names)
    if count != store.count():
        problems.append(f"{store.count()} passages are counted, {count} can be read")
    return problems


def _read_vectors(store: Store, names: Sequence[str]) -> list[str]:
    try:
        check_values(store.vectors(names))
    except TrivecError as error:
        return [f"vectors of passages {names[0]} to {names[-1]}: {error}"]
    return []
