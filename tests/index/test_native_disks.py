"""The store in our own files: full disks, damaged files, and how they are found."""

from __future__ import annotations

import errno
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from native_cases import STILL, check, fill, remove

from trivec.errors import LibraryBusyError, LibraryError
from trivec.index import NativeStore
from trivec.index.native.catalog import CATALOG
from trivec.index.native.checking import verify_store
from trivec.index.native.connections import Connections
from trivec.index.native.dense import DenseOptions
from trivec.tensorfile import TensorWriter
from trivec.types import Passage

from store_cases import Model, embeddings


def test_a_full_disk_is_named_and_the_store_goes_on(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    model = Model({}, {})
    with closing(NativeStore.create(folder, options=STILL)) as store:
        fill(store, model, 10)
        for write in ("stream", "finish"):
            with monkeypatch.context() as patch, pytest.raises(LibraryError, match=r"No space left.*free space"):
                patch.setattr(TensorWriter, write, full)
                fill(store, Model({}, {}), 10, first=5)
        check(store, model)
        fill(store, model, 10, first=5)
        check(store, model)
    assert verify_store(folder) == []


def test_a_disk_that_is_full_for_the_catalogue_alone(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model({}, {})
    with closing(NativeStore.create(folder, options=STILL)) as store:
        fill(store, model, 10)
        connections = store._contents.catalog._connections
        connections.retire()
        connections._retired = False

        def opened(self: Connections) -> sqlite3.Connection:
            connection = open_(self)
            connection.execute("PRAGMA max_page_count = 1")
            return connection

        open_ = Connections.open
        with monkeypatch.context() as patch, pytest.raises(LibraryError, match="full"):
            patch.setattr(Connections, "open", opened)
            store.upsert([Passage("long", "x" * 10**6)], embeddings(0, 1))
        check(store, model)
        fill(store, model, 10, first=5)
        check(store, model)
    assert verify_store(folder) == []


def test_damaged_files_are_named_when_the_store_is_opened(folder: Path) -> None:
    with closing(NativeStore.create(folder, options=STILL)) as store:
        fill(store, Model({}, {}), 10)
    data = folder / "segments" / "00000001" / "segment.safetensors"
    content = data.read_bytes()
    for damaged in (content[:-1], b"\xff" * len(content), content[:8] + b"[" + content[9:]):
        data.write_bytes(damaged)
        with pytest.raises(LibraryError, match=str(data)):
            NativeStore.open(folder)
        assert any(str(data) in problem for problem in verify_store(folder))
    data.unlink()
    with pytest.raises(LibraryError, match=f"{data} is missing"):
        NativeStore.open(folder)
    data.write_bytes(content)
    NativeStore.open(folder).close()
    catalog = folder / CATALOG
    catalog.write_bytes(b"no database" * 1000)
    with pytest.raises(LibraryError, match=f"{catalog} is damaged"):
        NativeStore.open(folder)
    assert "is damaged" in verify_store(folder)[0]


def test_folders_without_a_store_are_refused(tmp_path: Path) -> None:
    with pytest.raises(LibraryError, match="there is no store"):
        NativeStore.open(tmp_path / "nothing")
    (tmp_path / "file").touch()
    with pytest.raises(LibraryError, match="is not empty"):
        NativeStore.create(tmp_path)


def test_verify_finds_a_flipped_byte_in_every_file(folder: Path) -> None:
    options = replace(STILL, dense=DenseOptions("float32", graph_from=5))
    with closing(NativeStore.create(folder, options=options)) as store:
        fill(store, Model({}, {}), 300)
        store._rewriter.wait()
        remove(store, Model({}, {}), range(7))
        assert store.verify() == []
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
    assert sorted(path.name for path in files) == [CATALOG, "graph.faiss", "segment.safetensors"]
    for path in files:
        content = path.read_bytes()
        for place in (100, len(content) // 3, len(content) - 1) if path.name != CATALOG else in_use(content):
            path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
            assert verify_store(folder), (path, place)
        path.write_bytes(content)
    assert verify_store(folder) == []


def in_use(content: bytes) -> Iterator[int]:
    """Places in the catalogue where a passage's text, an id, the deletions and a hash lie."""
    for piece in (b'"text":"text 42"', b"d77#0", b"sha", b"exact", b"dense float32"):
        place = content.find(piece)
        if place >= 0:
            yield place + len(piece) - 2


def test_verify_compares_the_catalogue_with_the_segments(folder: Path) -> None:
    with closing(NativeStore.create(folder, options=STILL)) as store:
        fill(store, Model({}, {}), 10)
    with closing(sqlite3.connect(folder / CATALOG)) as catalog:
        catalog.execute("DELETE FROM passages WHERE id = ?", (b"d3#0",))
        catalog.execute("UPDATE passages SET number = 77 WHERE id = ?", (b"d4#0",))
        catalog.commit()
    problems = verify_store(folder)
    assert "passage 'd3#0' is in a segment and not in the catalogue" in problems
    assert "passage 'd4#0' is in the catalogue and in no segment" in problems


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("passages", "id", "text instead of bytes"),
        ("passages", "id", 7),
        ("passages", "id", b"\xff\xfe"),
        ("passages", "payload", 3.5),
        ("passages", "checksum", "none"),
        ("passages", "number", (1 << 63) - 1),
        ("segments", "dead", 1),
        ("segments", "first", "x"),
        ("segments", "files", "[1]"),
        ("settings", "value", 1),
    ],
)
def test_verify_names_the_catalogue_whatever_a_damaged_row_holds(
    folder: Path, table: str, column: str, value: object
) -> None:
    with closing(NativeStore.create(folder, options=STILL)) as store:
        fill(store, Model({}, {}), 10)
    with closing(sqlite3.connect(folder / CATALOG)) as catalog:
        catalog.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = (SELECT max(rowid) FROM {table})", (value,))
        catalog.commit()
    assert any(CATALOG in problem for problem in verify_store(folder))


def test_a_frozen_store_is_changed_by_nobody(folder: Path) -> None:
    with closing(NativeStore.create(folder, options=STILL)) as store:
        fill(store, Model({}, {}), 10)
        with store.frozen():
            with pytest.raises(LibraryBusyError, match="just being rewritten in this process"):
                fill(store, Model({}, {}), 1, 50)
            with pytest.raises(LibraryBusyError, match="just being rewritten in this process"):
                store.delete(["d1#0"])
            with pytest.raises(LibraryBusyError, match="just being rewritten in this process"), store.frozen():
                pass
            with closing(NativeStore.open(folder)) as other, pytest.raises(LibraryBusyError):
                other.delete(["d1#0"])
            store.optimize()
        store.delete(["d1#0"])
        assert store.count() == 9
