"""The store in our own files: who may use it at the same time."""

from __future__ import annotations

import os
import threading
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from native_cases import BUSY, EXACT, STILL, check, fill, many, remove, segment_folders, start, unit

from trivec.embeddings import Embeddings
from trivec.errors import LibraryBusyError, LibraryError
from trivec.index import NativeOptions, NativeStore, parse_filter
from trivec.index.native.catalog import CATALOG
from trivec.index.native.checking import verify_store
from trivec.index.native.dense import DenseOptions

from store_cases import Model, embeddings

READING = """
    import sys
    from store_cases import embeddings
    from trivec.index import NativeStore, parse_filter

    store = NativeStore.open(sys.argv[1])
    for line in sys.stdin:
        count = int(line)
        while (seen := store.count()) < count:
            pass
        for signal in store.signals:
            found = store.search(signal, embeddings(5, 1), 5, parse_filter("tenth > 2"))
            scores = store.score(signal, embeddings(5, 1), found.ids)
            assert None not in store.fetch(found.ids), found.ids
            assert abs(scores - found.scores).max(initial=0) < 1e-5
        ids = [passage.id for passage in store.select()]
        assert ids == sorted(ids)
        print(seen, flush=True)
    store.close()
"""


def test_other_processes_read_what_one_writes(folder: Path) -> None:
    model = Model({}, {})
    with closing(NativeStore.create(folder, options=BUSY)) as store:
        readers = [start(READING, str(folder)) for _ in range(2)]
        for batch in range(12):
            fill(store, model, 20, first=batch * 20)
            for reader in readers:
                assert reader.stdin is not None and reader.stdout is not None
                reader.stdin.write(f"{store.count()}\n")
                reader.stdin.flush()
            assert [int(reader.stdout.readline()) for reader in readers if reader.stdout] == [20 * batch + 20] * 2
        for reader in readers:
            assert reader.communicate()[0] == ""
            assert reader.returncode == 0
        check(store, model)


WRITING = """
    import sys
    from store_cases import embeddings
    from trivec.index import NativeStore
    from trivec.types import Passage

    store = NativeStore.open(sys.argv[1])
    store.upsert([Passage("other", "text")], embeddings(0, 1))
    print(1, flush=True)
    input()
"""


def test_a_second_writer_is_refused_and_readers_are_not(folder: Path) -> None:
    NativeStore.create(folder, options=EXACT).close()
    writer = start(WRITING, str(folder))
    assert writer.stdout is not None and writer.stdout.readline() == "1\n"
    with closing(NativeStore.open(folder)) as store:
        assert store.count() == 1
        for write in (lambda: fill(store, Model({}, {}), 1), lambda: store.delete(["other#0"]), store.optimize):
            with pytest.raises(LibraryBusyError, match=f"open in process {writer.pid}"):
                write()
        assert [passage.document_id for passage in store.select()] == ["other"]
        writer.kill()
        writer.communicate()
        fill(store, Model({}, {}), 2)
        assert store.count() == 3
        with closing(NativeStore.open(folder)) as other, pytest.raises(LibraryBusyError, match="in this process"):
            assert other.count() == 3
            other.delete(["other#0"])


def test_a_reader_sees_each_write_and_takes_over_when_the_writer_closes(folder: Path) -> None:
    model = Model({}, {})
    with closing(NativeStore.create(folder, options=BUSY)) as writer, closing(NativeStore.open(folder)) as reader:
        assert reader.signals == ()
        for batch in range(6):
            fill(writer, model, 15, first=10 * batch)
            check(reader, model)
            remove(writer, model, range(10 * batch, 10 * batch + 3))
            check(reader, model)
        writer.optimize()
        check(reader, model)
        writer.close()
        fill(reader, model, 15, first=3)
        check(reader, model)


def test_files_that_a_merge_removed_before_they_were_opened_are_looked_for_in_the_next_view(folder: Path) -> None:
    rng = np.random.default_rng(0)
    options = NativeOptions(DenseOptions("float32", graph_from=500))
    vectors = Embeddings(dense=unit(rng, 1000, 8))
    with closing(NativeStore.create(folder, options=options)) as writer:
        writer.upsert(many(1000), vectors)
        writer._rewriter.wait()
        with closing(NativeStore.open(folder)) as reader:
            stale = reader._contents.current
            writer.delete(["d3#0"])
            writer.optimize()
            refreshed = iter([stale])
            really = reader._contents.refreshed
            reader._contents.refreshed = lambda: next(refreshed, None) or really()  # type: ignore[method-assign]
            assert reader.search("dense", vectors[5], 1).ids == ["d5#0"]


def test_a_folder_that_cannot_be_written_can_be_read(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model({}, {})
    access = os.access
    with closing(NativeStore.create(folder, options=EXACT)) as store:
        fill(store, model, 20)
        monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK and access(path, mode))
        with closing(NativeStore.open(folder)) as reader:
            check(reader, model)
            fill(store, model, 5, first=15)
            check(reader, model)
    assert not list(folder.glob(f"{CATALOG}-*"))
    with closing(NativeStore.open(folder)) as reader:
        check(reader, model)
        assert not list(folder.glob(f"{CATALOG}-*"))
        with pytest.raises(LibraryError, match="readonly"):
            reader.delete(["d1#0"])
        reader._writer.close()
        with monkeypatch.context() as patch:
            patch.setattr(os, "access", access)
            writer = NativeStore.open(folder)
        fill(writer, model, 5, first=30)
        check(reader, model)
        writer.close()
        check(reader, model)
    assert verify_store(folder) == []


def test_threads_read_while_others_write_and_segments_merge(folder: Path) -> None:
    model = Model({}, {})
    failures: list[BaseException] = []
    done = threading.Event()
    with closing(NativeStore.create(folder, options=BUSY)) as store:
        fill(store, model, 100)

        def search() -> None:
            try:
                while not done.is_set():
                    for name in store.signals:
                        found = store.search(name, embeddings(5, 1), 5, parse_filter("tenth > 2"))
                        store.score(name, embeddings(5, 1), found.ids)
                        store.fetch(found.ids)
                    assert all(passage.metadata["tenth"] == 3 for passage in store.select(parse_filter("tenth = 3")))
            except BaseException as error:
                failures.append(error)

        threads = [threading.Thread(target=search) for _ in range(3)]
        for thread in threads:
            thread.start()
        for batch in range(20):
            fill(store, model, 20, first=batch * 15, seed=batch)
            remove(store, model, range(batch * 15, batch * 15 + 2))
        store.optimize()
        done.set()
        for thread in threads:
            thread.join()
        assert not failures
        check(store, model)
        assert store.verify() == []


def test_rows_deleted_while_their_segments_merge_stay_deleted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model({}, {})
    seal = __import__("trivec.index.native.rewriting", fromlist=["seal"]).seal
    with closing(NativeStore.create(folder, options=STILL)) as store:
        for batch in range(4):
            fill(store, model, 10, first=10 * batch)
        remove(store, model, range(5))

        def sealing(path: Path, *known: object) -> object:
            monkeypatch.setattr("trivec.index.native.rewriting.seal", seal)
            remove(store, model, range(3, 14))  # one of the segments goes altogether
            fill(store, model, 10, first=25, seed=5)
            return seal(path, *known)

        monkeypatch.setattr("trivec.index.native.rewriting.seal", sealing)
        store.optimize()
        check(store, model)
        assert store.verify() == []
        assert len(segment_folders(folder)) == 2
        with closing(NativeStore.open(folder)) as reader:
            check(reader, model)

        def sealing_after_all(path: Path, *known: object) -> object:
            monkeypatch.setattr("trivec.index.native.rewriting.seal", seal)
            remove(store, model, range(100))
            return seal(path, *known)

        monkeypatch.setattr("trivec.index.native.rewriting.seal", sealing_after_all)
        store.optimize()
        assert store.count() == 0
        assert segment_folders(folder) == []
        assert store.verify() == []


def test_closing_breaks_off_a_large_merge(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trivec.index.native.rewriting._WAITED_FOR", 10)
    going = threading.Event()
    merge = __import__("trivec.index.native.segment_writing", fromlist=["merge_columns"]).merge_columns

    def slowly(*arguments: object) -> None:
        going.set()
        assert store._rewriter._stop.wait(30)
        merge(*arguments)

    model = Model({}, {})
    monkeypatch.setattr("trivec.index.native.segment_writing.merge_columns", slowly)
    store = NativeStore.create(folder, options=BUSY)
    fill(store, model, 15)
    fill(store, model, 15, first=15)
    assert going.wait(30)
    store.close()
    assert segment_folders(folder) == ["00000001", "00000002"]
    with closing(NativeStore.open(folder)) as store:
        check(store, model)
