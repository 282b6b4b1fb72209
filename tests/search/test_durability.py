"""Verifying, compacting, snapshots and formats of libraries: what is damaged is named, what is written is whole."""

from __future__ import annotations

import errno
import io
import json
import os
import shutil
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import trivec
from trivec import Collection, Document, Encoder
from trivec.errors import InputError, LibraryBusyError, LibraryError, LibraryMismatchError
from trivec.index import NativeStore
from trivec.index.lock import FolderLock
from trivec.search import migrations, scratch, snapshots
from trivec.search.adding import PENDING
from trivec.search.manifest import Manifest
from trivec.search.options import SearchOptions
from trivec.search.sealed_json import seal
from trivec.search.snapshots import restore_snapshot
from trivec.search.stores import KINDS
from trivec.search.verification import verify_library

DOCUMENTS = [
    Document("paris", "Paris is the capital of France.", "Paris", {"lang": "en", "year": 2020}),
    Document("rom", "Rom ist die Hauptstadt von Italien.", metadata={"lang": "de"}),
    Document("tokyo", "東京は日本の首都です。"),
    Document("water", "Water and night, river and mountain. " * 30),
]


@pytest.fixture(scope="module")
def encoder(load_tiny: Callable[..., Encoder]) -> Encoder:
    return load_tiny("m3")


@pytest.fixture(scope="module", params=KINDS)
def ready(request: pytest.FixtureRequest, encoder: Encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ready") / "library"
    with trivec.open(folder, model=encoder, store=request.param) as library:
        library.add(DOCUMENTS[:2])
        library.add(DOCUMENTS[2:])
        library.delete(["rom"])
        library.add([DOCUMENTS[1]])
    return folder


native_only = pytest.mark.parametrize("ready", ["native"], indirect=True)
"""For what does not depend on the store."""


@pytest.fixture
def folder(ready: Path, tmp_path: Path) -> Path:
    """A library of `DOCUMENTS`, closed."""
    return Path(shutil.copytree(ready, tmp_path / "library"))


@pytest.fixture
def library(folder: Path, encoder: Encoder) -> Iterator[Collection]:
    with trivec.open(folder, model=encoder) as opened:
        yield opened


def content(folder: Path) -> list[Document]:
    with trivec.open(folder, create=False) as library:
        return list(library.documents())


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


# -- verify ----------------------------------------------------------------------------------------------------


def test_a_library_as_it_was_written_is_whole(folder: Path, encoder: Encoder) -> None:
    found = verify_library(folder)
    assert found.whole
    assert found.problems == ()
    assert found.files >= 3
    with trivec.open(folder, model=encoder) as library:
        library.add([Document("more", "science")])
        assert library.verify().whole
    assert verify_library(folder).whole


@native_only
def test_every_flipped_byte_of_the_manifest_is_noticed(folder: Path) -> None:
    path = folder / "library.json"
    whole = path.read_bytes()
    for place in range(0, len(whole), 7):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ (1 << place % 8)]) + whole[place + 1 :])
        assert "library.json" in _problem(folder), place
    for end in (len(whole) - 1, len(whole) // 2, 0):
        path.write_bytes(whole[:end])
        assert "library.json" in _problem(folder), end
    path.unlink()
    assert "library.json" in _problem(folder)


def _problem(folder: Path) -> str:
    try:
        return " ".join(verify_library(folder).problems)
    except LibraryMismatchError as error:
        return f"library.json {error}"


@native_only
def test_a_damaged_note_of_pending_work_is_named(folder: Path) -> None:
    (folder / PENDING).write_text('{"doubtful"')
    found = verify_library(folder)
    assert [PENDING in problem for problem in found.problems] == [True]


@native_only
def test_what_cannot_be_verified(folder: Path, tmp_path: Path, encoder: Encoder) -> None:
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "empty", tmp_path / "nowhere", tmp_path):
        with pytest.raises(LibraryError, match="is no library"):
            verify_library(place)
    with trivec.open(":memory:", model=encoder) as library:
        for action in (library.verify, lambda: library.snapshot(tmp_path / "x.tar")):
            with pytest.raises(InputError, match="in memory"):
                action()


# -- compact ---------------------------------------------------------------------------------------------------


def test_compacting_changes_nothing_that_can_be_asked(library: Collection) -> None:
    library.add([Document(f"n{number}", f"water number {number}") for number in range(40)])
    library.delete([f"n{number}" for number in range(0, 40, 2)])
    options = SearchOptions(weights={"dense": 1.0, "bm25": 1.0})
    before = list(library.documents()), [hit.id for hit in library.search("water number 7", k=5, options=options)]
    report = library.compact()
    after = list(library.documents()), [hit.id for hit in library.search("water number 7", k=5, options=options)]
    assert after == before
    assert report.passages == library.store.count()
    assert report.bytes_before > 0
    assert report.bytes_after == library.store.stats().bytes
    assert library.verify().whole


@native_only
def test_compacting_removes_what_killed_processes_left(library: Collection, tmp_path: Path) -> None:
    folder = tmp_path / "library"
    (folder / f".snapshot.1{scratch._ENDING}").mkdir()
    for name in ("store-8", "store-9"):
        NativeStore.create(folder / name).close()
    lock = FolderLock(folder / "store-9")
    library.compact()
    assert names(folder) == ["library.json", "store", "store-9"]
    lock.release()
    library.compact()
    assert names(folder) == ["library.json", "store"]
    assert library.verify().whole


@native_only
def test_a_library_that_another_has_rewritten_is_opened_again(folder: Path, encoder: Encoder) -> None:
    with trivec.open(folder, model=encoder) as stale:
        with trivec.open(folder, model=encoder) as library:
            shutil.copytree(folder / "store", folder / "store-2")
            library.switch_store(NativeStore.open(folder / "store-2"), "native", "store-2", library.compression)
        for write in (
            lambda: stale.add([Document("more", "x")]),
            lambda: stale.delete(["rom"]),
            lambda: stale.configure(SearchOptions()),
            stale.compact,
        ):
            with pytest.raises(LibraryError, match="open it again"):
                write()
    assert [document.id for document in content(folder)] == ["paris", "rom", "tokyo", "water"]


# -- snapshots -------------------------------------------------------------------------------------------------


def test_a_restored_snapshot_is_the_library(library: Collection, tmp_path: Path, encoder: Encoder) -> None:
    library.configure(SearchOptions(fusion="rrf"))
    expected = [(hit.id, hit.score) for hit in library.search("capital of France", k=4)]
    report = library.snapshot(tmp_path / "library.tar")
    assert names(tmp_path) == ["library", "library.tar"]
    assert not [name for name in names(tmp_path / "library") if name.endswith(".unfinished")]
    restored = restore_snapshot(tmp_path / "library.tar", tmp_path / "new" / "copy")
    assert (restored.files, restored.bytes) == (report.files, report.bytes)
    assert names(tmp_path / "new") == ["copy"]
    assert verify_library(tmp_path / "new" / "copy").whole
    with trivec.open(tmp_path / "new" / "copy", model=encoder) as copy:
        assert list(copy.documents()) == list(library.documents())
        assert [(hit.id, hit.score) for hit in copy.search("capital of France", k=4)] == expected
        copy.add([Document("only here", "x")])
    assert library.get("only here") is None


@native_only
def test_a_snapshot_is_a_plain_tar_with_checksums(library: Collection, tmp_path: Path) -> None:
    library.snapshot(tmp_path / "library.tar")
    with tarfile.open(tmp_path / "library.tar", "r:") as tar:
        members = tar.getnames()
        manifest = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
    assert members[-1] == "manifest.json"
    assert members[:-1] == sorted(f"library/{name}" for name in manifest["files"])
    assert "library.json" in manifest["files"]
    assert not [name for name in members if "lock" in Path(name).name]


@native_only
def test_a_snapshot_while_another_thread_writes(library: Collection, tmp_path: Path) -> None:
    stop, failures = threading.Event(), []

    def write() -> None:
        number = 0
        while not stop.is_set():
            try:
                library.add([Document("count", f"number {number}"), Document(f"n{number}", "water")])
            except Exception as error:
                failures.append(error)
                return
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(3):
            library.snapshot(tmp_path / f"{number}.tar")
    finally:
        stop.set()
        writer.join()
    assert not failures
    for number in range(3):
        restore_snapshot(tmp_path / f"{number}.tar", tmp_path / str(number))
        assert verify_library(tmp_path / str(number)).whole
        found = {document.id for document in content(tmp_path / str(number))}
        assert {document.id for document in DOCUMENTS} <= found
        assert len([name for name in found if name.startswith("n")]) in range(10_000)


@native_only
def test_targets_that_are_refused(library: Collection, tmp_path: Path) -> None:
    library.snapshot(tmp_path / "library.tar")
    with pytest.raises(InputError, match="exists already"):
        library.snapshot(tmp_path / "library.tar")
    with pytest.raises(InputError, match="does not exist"):
        library.snapshot(tmp_path / "nowhere" / "library.tar")
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    for target in (tmp_path / "library", tmp_path / "empty", tmp_path / "library.tar", tmp_path / "link"):
        with pytest.raises(InputError, match="exists already"):
            restore_snapshot(tmp_path / "library.tar", target)
    assert names(tmp_path) == ["empty", "library", "library.tar", "link"]


@native_only
def test_damage_anywhere_in_a_snapshot_is_noticed(library: Collection, tmp_path: Path) -> None:
    whole = tmp_path / "library.tar"
    library.snapshot(whole)
    places = {}
    with tarfile.open(whole, "r:") as tar:
        for member in tar:
            places[f"{member.name} head"] = member.offset + 150
            if member.size:
                places[member.name] = member.offset_data + member.size // 2
    broken = tmp_path / "broken.tar"
    shutil.copyfile(whole, broken)
    with broken.open("rb+") as file:
        for name, place in places.items():
            before = os.pread(file.fileno(), 1, place)
            os.pwrite(file.fileno(), bytes([before[0] ^ 0x10]), place)
            with pytest.raises((LibraryError, InputError)) as caught:
                restore_snapshot(broken, tmp_path / "copy")
            if not name.endswith("head"):
                assert name.removeprefix("library/") in str(caught.value)
            os.pwrite(file.fileno(), before, place)
    assert names(tmp_path) == ["broken.tar", "library", "library.tar"]
    with broken.open("rb+") as file:
        file.truncate(max(places.values()))
    with pytest.raises(LibraryError, match="damaged"):
        restore_snapshot(broken, tmp_path / "copy")
    restore_snapshot(whole, tmp_path / "copy")


def write_tar(path: Path, *members: tuple[str, bytes] | tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
                continue
            info = tarfile.TarInfo(member[0])
            info.size = len(member[1])
            tar.addfile(info, io.BytesIO(member[1]))
    return path


def link(name: str, kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, "../../outside"
    return info


@pytest.mark.parametrize(
    "member",
    [
        ("library/../../outside", b"x"),
        ("../outside", b"x"),
        ("/outside", b"x"),
        ("library//x", b"x"),
        ("library/./x", b"x"),
        ("library", b"x"),
        ("other/x", b"x"),
        ("library/library.json", b"{}"),
        link("library/x", tarfile.SYMTYPE),
        link("library/x", tarfile.LNKTYPE),
        link("library/x", tarfile.DIRTYPE),
        link("library/x", tarfile.CHRTYPE),
        link("library/x", tarfile.FIFOTYPE),
    ],
    ids=lambda member: member[0] if isinstance(member, tuple) else f"type {member.type!r}",
)
def test_path_tricks_are_refused(member: tuple[str, bytes] | tarfile.TarInfo, tmp_path: Path) -> None:
    path = write_tar(tmp_path / "evil.tar", ("library/library.json", b"{}"), member)
    with pytest.raises(LibraryError, match="do not trust"):
        restore_snapshot(path, tmp_path / "new" / "copy")
    assert names(tmp_path) == ["evil.tar", "new"]
    assert names(tmp_path / "new") == []


def test_members_must_be_those_of_the_manifest(tmp_path: Path) -> None:
    manifest = {"format": "trivec.snapshot", "version": 1, "files": {"a": {"bytes": 1, "sha256": "0"}}}
    path = write_tar(tmp_path / "x.tar", ("library/b", b"x"), ("manifest.json", seal(manifest).encode()))
    with pytest.raises(LibraryError, match="a is missing, b is not in the manifest"):
        restore_snapshot(path, tmp_path / "copy")
    (tmp_path / "text.tar").write_text("no tar at all")
    (tmp_path / "empty.tar").write_text("")
    for name in ("text.tar", "empty.tar"):
        with pytest.raises(InputError, match="is no snapshot"):
            restore_snapshot(tmp_path / name, tmp_path / "copy")
    newer = seal(manifest | {"version": 2}).encode()
    with pytest.raises(LibraryMismatchError, match="newer trivec"):
        restore_snapshot(write_tar(tmp_path / "newer.tar", ("manifest.json", newer)), tmp_path / "copy")
    for wrong in (b"[]", b"{", b"\xff", json.dumps(manifest).encode(), seal({"format": 3}).encode()):
        with pytest.raises(LibraryError, match=r"manifest\.json cannot be read"):
            restore_snapshot(write_tar(tmp_path / "wrong.tar", ("manifest.json", wrong)), tmp_path / "copy")


@native_only
def test_a_snapshot_that_fails_leaves_nothing(
    library: Collection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = names(tmp_path / "library")
    with monkeypatch.context() as patched, pytest.raises(LibraryError, match="No space"):
        patched.setattr(snapshots, "_pack", _disk_is_full)
        library.snapshot(tmp_path / "library.tar")
    assert names(tmp_path) == ["library"]
    assert names(tmp_path / "library") == before
    library.snapshot(tmp_path / "library.tar")
    with monkeypatch.context() as patched, pytest.raises(LibraryError, match="No space"):
        patched.setattr(snapshots, "_write", _disk_is_full)
        restore_snapshot(tmp_path / "library.tar", tmp_path / "copy")
    assert names(tmp_path) == ["library", "library.tar"]


def _disk_is_full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# -- formats ---------------------------------------------------------------------------------------------------


@native_only
def test_an_older_library_is_read_and_brought_up_to_date_by_the_first_write(folder: Path, encoder: Encoder) -> None:
    path = folder / "library.json"
    now = json.loads(path.read_text())
    first = {name: now[name] for name in ("model", "fingerprint", "store", "search")} | {"format": 1}
    shutil.move(folder / now["folder"], folder / "store") if now["folder"] != "store" else None

    def age() -> str:
        path.write_text(json.dumps(first, indent=2) + "\n")
        return path.read_text()

    old = age()
    assert content(folder) == sorted(DOCUMENTS, key=lambda document: document.id)
    assert path.read_text() == old
    assert verify_library(folder).whole
    for change in (
        lambda library: library.add([Document("more", "x")]),
        lambda library: library.delete(["more"]),
        lambda library: library.compact(),
        lambda library: library.configure(SearchOptions()),
    ):
        age()
        with trivec.open(folder, model=encoder) as library:
            change(library)
        written = json.loads(path.read_text())
        assert written["format"] == migrations.FORMAT_VERSION
        assert (written["folder"], written["compression"]) == ("store", {})
        assert verify_library(folder).whole


@native_only
def test_formats_that_cannot_be_read(folder: Path, change_json: Callable[..., None]) -> None:
    change_json(folder / "library.json", format=migrations.FORMAT_VERSION + 1)
    for action in (Manifest.read, trivec.open, verify_library):
        with pytest.raises(LibraryMismatchError, match="newer trivec"):
            action(folder)
    for wrong in (0, -1, None, "x"):
        change_json(folder / "library.json", format=wrong)
        with pytest.raises(LibraryError, match="cannot be read"):
            Manifest.read(folder)


def test_migrations_are_taken_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sorted(migrations.MIGRATIONS) == list(range(1, migrations.FORMAT_VERSION))
    monkeypatch.setattr(migrations, "FORMAT_VERSION", 4)
    steps = {1: lambda c: c | {"a": 1}, 2: lambda c: c | {"b": c["a"] + 1}, 3: lambda c: {"c": c["b"] + 1}}
    monkeypatch.setattr(migrations, "MIGRATIONS", steps)
    assert migrations.migrate({"format": 1}) == {"c": 3, "format": 4}
    assert migrations.migrate({"format": 3, "b": 5}) == {"c": 6, "format": 4}
    assert migrations.migrate({"format": 4, "x": 1}) == {"format": 4, "x": 1}


def test_a_library_that_another_has_open_is_busy_not_damaged(library: Collection, folder: Path) -> None:
    if library.manifest.store == "embedded":
        with pytest.raises(LibraryBusyError):
            verify_library(folder)
    else:
        assert verify_library(folder).whole
