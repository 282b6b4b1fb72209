"""A whole library as one file, and back.

The file is an uncompressed tar with a fixed order and no times or owners in it:

    library/library.json       library/store/...       manifest.json

``manifest.json`` has the size and the SHA-256 of every other member, and its own. It comes last, so a file that was cut
off has none. Both ways, work goes on under another name, and the result appears at its place by one rename.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

from trivec.errors import InputError, LibraryError, LibraryMismatchError
from trivec.index import Store
from trivec.index.files import sync_folder
from trivec.search.adding import PENDING
from trivec.search.manifest import Manifest
from trivec.search.scratch import remove_abandoned, scratch_folder
from trivec.search.sealed_json import seal, unseal

_FORMAT, _VERSION = "trivec.snapshot", 1
_MANIFEST = "manifest.json"
_ROOT = "library"
_COPY = "snapshot"
_BLOCK = 1 << 16
_MAX_MANIFEST_BYTES = 1 << 28


@dataclass(frozen=True)
class SnapshotReport:
    """What a snapshot file holds: how many files of a library, and their bytes."""

    snapshot: str
    library: str
    files: int
    bytes: int


def write_snapshot(folder: Path, store: Store, manifest: Manifest, target: Path) -> SnapshotReport:
    """Write a library, as of now, to one file. Reading and writing go on as the store allows.

    The store is copied first: inside the library's folder, where a store whose files never change copies by links; or
    beside the target where the library cannot be written. So there must be room for a second copy of other stores.

    Args:
        folder: of the library.
        store: the library's, open.
        manifest: the library's, as the store was opened by it.
        target: a file that does not exist yet.

    Raises:
        InputError: the target exists, or its folder does not.
        LibraryError: the store cannot be read, or the target cannot be written.
    """
    if target.exists() or not target.parent.is_dir():
        state = "exists already" if target.exists() else "lies in a folder that does not exist"
        raise InputError(f"{target} {state}: name a new file, in a folder that is there")
    place = folder if os.access(folder, os.W_OK) else target.parent
    with (
        _writing(target, "snapshot"),
        scratch_folder(place, _COPY) as copy,
        scratch_folder(target.parent, target.name) as work,
    ):
        store.snapshot(copy / manifest.folder)
        manifest.write(copy)
        if (folder / PENDING).is_file():
            (copy / PENDING).write_bytes((folder / PENDING).read_bytes())
        with (work / "file").open("wb") as file:
            with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
                files = _pack(tar, copy)
            file.flush()
            os.fsync(file.fileno())
        (work / "file").rename(target)
        sync_folder(target.parent)
    return SnapshotReport(str(target), str(folder), len(files), sum(size for size, _ in files.values()))


def remove_unfinished_snapshots(folder: Path) -> None:
    """Remove what killed snapshots left in a library's folder: links to its files, or a copy of its store."""
    remove_abandoned(folder, _COPY)


def restore_snapshot(source: Path, target: Path) -> SnapshotReport:
    """Make a library from a file of `write_snapshot`.

    The library appears at its place by one rename, after the checksum of every file was compared. A restore that is
    killed leaves nothing at the target, and what it left beside it is removed by the next one.

    Args:
        source: the file.
        target: a folder that does not exist yet. Folders above it are made.

    Raises:
        InputError: the target exists, or the source is no snapshot.
        LibraryError: the source is damaged, and the message names what; or the target cannot be written.
        LibraryMismatchError: a newer trivec wrote it.
    """
    if target.exists() or target.is_symlink():
        raise InputError(f"{target} exists already: restore to another place, or remove it first")
    with source.open("rb") as file, _writing(target, "restore"):
        target.parent.mkdir(parents=True, exist_ok=True)
        return _restore(source, file, target)


def _restore(source: Path, file: IO[bytes], target: Path) -> SnapshotReport:
    with scratch_folder(target.parent, target.name) as work:
        found, promised = _unpack(source, file, work)
        _compare(source, found, promised)
        Manifest.read(work)
        _sync_tree(work)
        if target.exists():
            raise InputError(f"{target} was made by someone else meanwhile: restore to another place")
        work.rename(target)
        sync_folder(target.parent)
    return SnapshotReport(str(source), str(target), len(found), sum(size for size, _ in found.values()))


@contextlib.contextmanager
def _writing(target: Path, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise LibraryError(
            f"{target} cannot be written ({error.strerror or error}): free space, or choose another place; nothing "
            f"is left of this {what}"
        ) from error


# -- packing -----------------------------------------------------------------------------------------------------


class _HashedReader:
    """A file that is hashed while it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self.digest.update(block)
        return block


def _pack(tar: tarfile.TarFile, folder: Path) -> dict[str, tuple[int, str]]:
    """Add all files of a folder, then the manifest; give size and hash of each."""
    files: dict[str, tuple[int, str]] = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        with path.open("rb") as file:
            entry = _entry(f"{_ROOT}/{name}", os.fstat(file.fileno()).st_size)
            reader = _HashedReader(file)
            tar.addfile(entry, reader)
        files[name] = (entry.size, reader.digest.hexdigest())
    described = {name: {"bytes": size, "sha256": digest} for name, (size, digest) in files.items()}
    text = seal({"format": _FORMAT, "version": _VERSION, "files": described}).encode()
    tar.addfile(_entry(_MANIFEST, len(text)), io.BytesIO(text))
    return files


def _entry(name: str, size: int) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.size = size
    return entry


# -- unpacking ---------------------------------------------------------------------------------------------------


def _unpack(
    source: Path, file: IO[bytes], work: Path
) -> tuple[dict[str, tuple[int, str]], Mapping[str, tuple[int, str]]]:
    """Write all files under ``work``; give size and hash of what was written, and of what the manifest promises."""
    written: dict[str, tuple[int, str]] = {}
    try:
        with tarfile.open(fileobj=file, mode="r:") as tar:
            for entry in tar:
                content = tar.extractfile(entry) if entry.isreg() and not entry.issparse() else None
                if content is None:
                    raise _unsafe(source, entry.name)
                if entry.name == _MANIFEST:
                    return written, _read_manifest(source, content.read(_MAX_MANIFEST_BYTES))
                name = _safe_name(source, entry.name)
                if name in written:
                    raise _unsafe(source, entry.name)
                written[name] = _write(content, work / name)
    except (tarfile.TarError, EOFError) as error:
        if not written:
            raise InputError(f"{source} is no snapshot ({error}): give a file that trivec snapshot wrote") from error
        raise _damaged(source, f"after {list(written)[-1]}: {error}") from error
    raise _damaged(source, f"it ends without {_MANIFEST}, so it was cut off")


def _safe_name(source: Path, name: str) -> str:
    """The path of a member inside the library.

    Raises:
        LibraryError: it would lie elsewhere.
    """
    path = PurePosixPath(name)
    parts = path.parts
    if str(path) != name or "\0" in name or parts[0] != _ROOT or len(parts) < 2 or {".", ".."} & set(parts):
        raise _unsafe(source, name)
    return "/".join(parts[1:])


def _write(content: IO[bytes], path: Path) -> tuple[int, str]:
    """Write a file; stretches of zeros become holes."""
    path.parent.mkdir(parents=True, exist_ok=True)
    digest, size = hashlib.sha256(), 0
    with path.open("xb") as file:
        for block in _blocks(content):
            digest.update(block)
            size += len(block)
            if block.count(0) == len(block):
                file.seek(size)
            else:
                file.write(block)
        file.truncate(size)
    return size, digest.hexdigest()


def _blocks(content: IO[bytes]) -> Iterator[bytes]:
    while block := content.read(_BLOCK):
        yield block


def _read_manifest(source: Path, text: bytes) -> Mapping[str, tuple[int, str]]:
    try:
        content, intact = unseal(text.decode())
        if not intact:
            raise ValueError("its checksum is wrong")
        if content["format"] != _FORMAT:
            raise ValueError(f"its format is {content['format']!r}")
        if content["version"] > _VERSION:
            raise LibraryMismatchError(
                f"{source} was written by a newer trivec (version {content['version']}, this one reads up to "
                f"{_VERSION}): upgrade trivec"
            )
        return {name: (entry["bytes"], entry["sha256"]) for name, entry in content["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise _damaged(source, f"{_MANIFEST} cannot be read: {error!r}") from error


def _compare(source: Path, found: Mapping[str, tuple[int, str]], promised: Mapping[str, tuple[int, str]]) -> None:
    """Refuse files that are not what the manifest promises."""
    problems = [f"{name} is missing" for name in promised.keys() - found.keys()]
    problems += [f"{name} is not in the manifest" for name in found.keys() - promised.keys()]
    problems += [f"{name} has changed" for name in found.keys() & promised.keys() if found[name] != promised[name]]
    if problems:
        raise _damaged(source, ", ".join(sorted(problems)))


def _sync_tree(folder: Path) -> None:
    """Wait until all files and folders are on disk."""
    for path in folder.rglob("*"):
        if path.is_dir():
            sync_folder(path)
        else:
            with path.open("rb+") as file:
                os.fsync(file.fileno())
    sync_folder(folder)


def _damaged(source: Path, what: str) -> LibraryError:
    return LibraryError(f"the snapshot {source} is damaged ({what}): take another copy of it; nothing was restored")


def _unsafe(source: Path, name: str) -> LibraryError:
    return LibraryError(
        f"the snapshot {source} has the member {name!r}, which trivec snapshot never writes: do not trust this file; "
        "nothing was restored"
    )
