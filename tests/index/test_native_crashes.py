"""The store in our own files: what survives killing and breaking off."""

from __future__ import annotations

import errno
import os
import signal
from contextlib import closing
from pathlib import Path

import pytest
from native_cases import BUSY, STILL, Crash, check, crashing, fill, many, segment_folders, start

from trivec.index import NativeStore
from trivec.index.native.checking import verify_store

from store_cases import Model, embeddings

KILLED_WHILE_WRITING = """
    import sys
    from store_cases import embeddings
    from trivec.index import NativeStore
    from trivec.types import Passage

    store = NativeStore.open(sys.argv[1])
    for batch in range(10_000):
        ids = range(batch * 20, batch * 20 + 20)
        passages = [Passage(f"d{i}", f"text {i}", metadata={"tenth": i % 10}) for i in ids]
        store.upsert(passages, embeddings(batch * 20, 20), remove=[f"d{batch * 20 - 20}#0"])
        print(batch, flush=True)
"""


@pytest.mark.parametrize("acknowledged", [3, 45])
def test_nothing_acknowledged_is_lost_when_the_process_is_killed(folder: Path, acknowledged: int) -> None:
    model = Model({}, {})
    with closing(NativeStore.create(folder, options=BUSY)) as store:
        fill(store, model, 1, first=10**6)
    process = start(KILLED_WHILE_WRITING, str(folder))
    assert process.stdout is not None
    last = -1
    for line in process.stdout:
        last = int(line)
        if last == acknowledged:
            process.send_signal(signal.SIGKILL)
    process.communicate()
    with closing(NativeStore.open(folder)) as store:
        assert store.verify() == []
        last += store.fetch([f"d{(last + 1) * 20 + 1}#0"]) != [None]
        for batch in range(last + 1):
            model.upsert(many(20, batch * 20), embeddings(batch * 20, 20))
            model.delete([f"d{batch * 20 - 20}#0"])
        check(store, model)
        fill(store, model, 3, first=10**7)
        store._rewriter.wait()
        check(store, model)
        assert len(segment_folders(folder)) == len(store._contents.current.members)
        assert store.verify() == []


@pytest.mark.parametrize(
    "point",
    [
        "trivec.index.native.segment_writing.write_columns",
        "trivec.tensorfile.TensorWriter.finish",
        "trivec.index.native.writer.seal",
        "os.replace",
        "trivec.index.native.files.sync_folder",
        "trivec.index.native.changes.Changes.remove_passages",
        "trivec.index.native.changes.Changes.add_passages",
        "trivec.index.native.changes.Changes.put_segment",
        "trivec.index.native.changes.Changes.save_counters",
    ],
)
def test_a_write_that_breaks_off_anywhere_changes_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    model = Model({}, {})
    with closing(NativeStore.create(folder, options=STILL)) as store:
        fill(store, model, 10)
        with monkeypatch.context() as patch, pytest.raises(Crash):
            patch.setattr(point, crashing)
            store.upsert(many(10, 5), embeddings(77, 10), remove=["d1#0"])
        check(store, model)
        assert verify_store(folder) == []
        with closing(NativeStore.open(folder)) as reader:
            check(reader, model)
        fill(store, model, 10, first=5, seed=78)
        check(store, model)
    assert verify_store(folder) == []
    assert len(segment_folders(folder)) == 2


def test_an_interruption_after_the_commit_leaves_the_new_segment(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model({}, {})
    with closing(NativeStore.create(folder, options=STILL)) as store:
        fill(store, model, 10)
        transaction = store._contents.catalog.transaction

        class Interrupted:
            def __enter__(self) -> object:
                self.inner = transaction()
                return self.inner.__enter__()

            def __exit__(self, *error: object) -> None:
                self.inner.__exit__(None, None, None)
                raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(store._contents.catalog, "transaction", Interrupted)
            store.upsert(many(5, 8), embeddings(1, 5))
        model.upsert(many(5, 8), embeddings(1, 5))
        check(store, model)
        assert store.verify() == []


def test_an_interruption_while_the_change_is_read_hides_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model({}, {})
    with closing(NativeStore.create(folder, options=STILL)) as store:
        fill(store, model, 10)

        def interrupted() -> object:
            raise KeyboardInterrupt

        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(store._contents, "reload", interrupted)
            store.upsert(many(5, 8), embeddings(1, 5))
        model.upsert(many(5, 8), embeddings(1, 5))
        fill(store, model, 3, first=10, seed=9)
        check(store, model)
        assert store.verify() == []


@pytest.mark.parametrize(
    "point",
    [
        "trivec.index.native.segment_writing.merge_columns",
        "trivec.index.native.rewriting.seal",
        "os.replace",
        "trivec.index.native.changes.Changes.put_segment",
    ],
)
def test_merging_that_breaks_off_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch, point: str) -> None:
    model = Model({}, {})
    with closing(NativeStore.create(folder, options=STILL)) as store:
        for batch in range(4):
            fill(store, model, 10, first=8 * batch)
        with monkeypatch.context() as patch, pytest.raises(Crash):
            patch.setattr(point, crashing)
            store.optimize()
        check(store, model)
        assert store.verify() == []
        store.optimize()
        check(store, model)
        assert len(segment_folders(folder)) == 1


def test_an_error_while_merging_in_the_background_is_logged_and_tried_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    model = Model({}, {})
    with closing(NativeStore.create(folder, options=BUSY)) as store:
        with monkeypatch.context() as patch:
            patch.setattr("trivec.index.native.segment_writing.merge_columns", failing)
            for batch in range(4):
                fill(store, model, 10, first=10 * batch)
            store._rewriter.wait()
        assert "merging segments failed" in caplog.text
        check(store, model)
        fill(store, model, 10, first=100)
        store._rewriter.wait()
        check(store, model)
        assert len(segment_folders(folder)) < 4


def test_what_a_killed_writer_left_behind_is_removed_by_the_next(folder: Path) -> None:
    model = Model({}, {})
    with closing(NativeStore.create(folder, options=STILL)) as store:
        fill(store, model, 5)
    (folder / "segments" / ".00000007.tmp").mkdir()
    (folder / "segments" / "00000002").mkdir()
    (folder / "segments" / "00000002" / "segment.safetensors").touch()
    (folder / "segments" / "00000001" / "graph.faiss").write_bytes(b"half a graph")
    with closing(NativeStore.open(folder)) as store:
        check(store, model)
        assert len(segment_folders(folder)) == 3
        fill(store, model, 5, first=20)
        check(store, model)
    assert segment_folders(folder) == ["00000001", "00000002"]
    assert os.listdir(folder / "segments" / "00000001") == ["segment.safetensors"]
