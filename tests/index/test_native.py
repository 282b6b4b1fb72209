"""The store in our own files: what survives killing, crashing and copying, and who may use it at the same time."""

from __future__ import annotations

import errno
import json
import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trivec import scoring
from trivec.embeddings import Embeddings
from trivec.errors import InputError, LibraryBusyError, LibraryError, LibraryMismatchError
from trivec.index import NativeOptions, NativeStore, VectorSchema, parse_filter
from trivec.index.fixed_encoding import FixedEncoder
from trivec.index.native.catalog import CATALOG
from trivec.index.native.changes import checksum
from trivec.index.native.checking import verify_store
from trivec.index.native.connections import Connections
from trivec.index.native.dense import DenseOptions, build_graph
from trivec.index.native.settings import MergeOptions
from trivec.ragged import Ragged
from trivec.tensorfile import TensorWriter
from trivec.types import FloatArray, Passage

from store_cases import Model, check_store, embeddings

HERE = Path(__file__).parent
EXACT = NativeOptions(DenseOptions("float32"), "float32")
STILL = replace(EXACT, merge=MergeOptions(small_segments=1000, factor=1000, max_dead_share=1))
"""Exact codecs, and no merging unless asked."""
BUSY = replace(EXACT, merge=MergeOptions(small_rows=20, small_segments=2, factor=2, max_dead_share=0.2))
"""Exact codecs, and merging after nearly every write."""


def many(count: int, first: int = 0) -> list[Passage]:
    return [Passage(f"d{i}", f"text {i}", metadata={"tenth": i % 10}) for i in range(first, first + count)]


def fill(store: NativeStore, model: Model, count: int, first: int = 0, seed: int | None = None) -> None:
    vectors = embeddings(first if seed is None else seed, count)
    store.upsert(many(count, first), vectors)
    model.upsert(many(count, first), vectors)


def remove(store: NativeStore, model: Model, numbers: range) -> None:
    ids = [f"d{i}#0" for i in numbers]
    store.delete(ids)
    model.delete(ids)


def check(store: NativeStore, model: Model) -> None:
    for where in (None, {"tenth": 3}):
        check_store(store, model, embeddings(99, 1), parse_filter(where), 10)


def segment_folders(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "segments").iterdir())


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Another process that runs Python code."""
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


# -- what is kept ----------------------------------------------------------------------------------------------


def test_everything_is_there_after_closing_and_opening(folder: Path) -> None:
    model = Model({}, {})
    with closing(NativeStore.create(folder, options=EXACT)) as store:
        fill(store, model, 50)
    for round_ in range(3):
        with closing(NativeStore.open(folder)) as store:
            check(store, model)
            remove(store, model, range(round_, round_ + 1))
            fill(store, model, 5, first=100 * round_ + 40)
            check(store, model)
    assert verify_store(folder) == []


def test_options_and_schema_are_kept(folder: Path) -> None:
    options = NativeOptions(DenseOptions("int8", graph_from=7), "int4", "fixed-encoding")
    with closing(NativeStore.create(folder, VectorSchema({"dense": 3}), options)) as store:
        assert store.signals == ("dense",)
    with closing(NativeStore.open(folder)) as store:
        assert store.options == options
        assert store.signals == ("dense",)
        with pytest.raises(LibraryMismatchError):
            store.upsert(many(1), embeddings(0, 1))


@pytest.mark.parametrize(
    "change",
    [
        lambda settings: settings.update(version=2),
        lambda settings: settings["options"].update(colour="red"),
        lambda settings: settings["options"]["dense"].update(shape="round"),
        lambda settings: settings["options"].update(tokens="int1"),
    ],
)
def test_a_store_of_a_newer_version_is_refused(folder: Path, change: Callable[[dict[str, object]], None]) -> None:
    NativeStore.create(folder).close()
    with closing(sqlite3.connect(folder / CATALOG)) as catalog:
        (text,) = catalog.execute("SELECT value FROM settings WHERE name = 'store'").fetchone()
        settings = json.loads(text)
        change(settings)
        text = json.dumps(settings)
        update = "UPDATE settings SET value = ?, checksum = ? WHERE name = 'store'"
        catalog.execute(update, (text, checksum("store", text)))
        catalog.commit()
    with pytest.raises(LibraryMismatchError, match=rf"{CATALOG}: .*upgrade trivec"):
        NativeStore.open(folder)


def test_options_that_contradict_themselves_are_refused() -> None:
    for wrong in ({"tokens": "int1"}, {"multi_first_stage": "second"}, {"multi_candidates": 0}):
        with pytest.raises(InputError, match=r"use one of|one passage"):
            NativeOptions(**wrong)  # type: ignore[arg-type]
    for wrong in ({"factor": 1}, {"max_rows": 0}, {"max_dead_share": 0}):
        with pytest.raises(InputError):
            MergeOptions(**wrong)  # type: ignore[arg-type]


def unit(rng: np.random.Generator, *shape: int) -> FloatArray:
    values = rng.standard_normal(shape, dtype=np.float32)
    return np.asarray(values / np.linalg.norm(values, axis=-1, keepdims=True), np.float32)


def texts(rng: np.random.Generator, count: int) -> Embeddings:
    return Embeddings(dense=unit(rng, count, 64), multi=Ragged.from_rows([unit(rng, 9, 32) for _ in range(count)], 32))


def test_codecs_can_be_changed_later_and_scores_stay_close(folder: Path) -> None:
    rng = np.random.default_rng(0)
    vectors, query, passages = texts(rng, 100), texts(rng, 1), many(100)
    ids = [passage.id for passage in passages]
    with closing(NativeStore.create(folder, options=STILL)) as store:
        for rows in (slice(0, 60), slice(60, 100)):
            store.upsert(passages[rows], vectors[rows])
        sizes = []
        for options, limit in (
            (STILL, 1e-6),
            (NativeOptions(DenseOptions("int8"), "int8"), 0.02),
            (NativeOptions(DenseOptions("int8"), "int4"), 0.1),
        ):
            store.recode(options)
            assert store.options == options
            np.testing.assert_allclose(
                store.score("dense", query, ids), scoring.dense_scores(query, vectors)[0], atol=limit
            )
            np.testing.assert_allclose(
                store.score("multi", query, ids), scoring.maxsim_scores(query, vectors)[0], atol=limit
            )
            assert len(segment_folders(folder)) == 1
            sizes.append(store.stats().bytes)
        assert sizes == sorted(sizes, reverse=True)
        assert store.verify() == []


def test_a_first_stage_of_fixed_encodings_proposes_what_is_then_scored_exactly(folder: Path) -> None:
    rng = np.random.default_rng(0)
    vectors, passages = texts(rng, 300).with_heads("multi"), many(300)
    staged = replace(STILL, multi_first_stage="fixed-encoding", multi_candidates=60)
    with closing(NativeStore.create(folder, options=staged)) as store:
        store.upsert(passages[:200], vectors[:200])
        store.upsert(passages[200:], vectors[200:])
        for query in vectors[:5]:
            found = store.search("multi", query, 5)
            np.testing.assert_allclose(found.scores, store.score("multi", query, found.ids), atol=1e-6)
        for row in range(0, 300, 50):
            best = store.search("multi", vectors[row], 1)
            assert best.ids == [f"d{row}#0"]
        store.recode(replace(STILL, multi_first_stage="exact"))
        exact = store.search("multi", vectors[7], 10)
        store.recode(staged)
        assert set(store.search("multi", vectors[7], 10).ids) & set(exact.ids)
        store.optimize()
        assert store.search("multi", vectors[7], 1).ids == exact.ids[:1]


def test_fixed_encodings_are_made_around_the_mean_of_the_first_vectors(folder: Path) -> None:
    rng = np.random.default_rng(0)
    vectors, passages = texts(rng, 60).with_heads("multi"), many(60)
    assert vectors.multi is not None
    staged = replace(STILL, multi_first_stage="fixed-encoding", dense=DenseOptions("float32", graph_from=5))
    with closing(NativeStore.create(folder, options=staged)) as store:
        store.upsert(passages[:40], vectors[:40])
        store.upsert(passages[40:], vectors[40:])
        store.optimize()
        center = store._contents.current.state.settings.center
        expected = vectors[:40].multi.values.mean(axis=0)  # type: ignore[union-attr]
        np.testing.assert_allclose(center, expected, atol=1e-6)
        (segment,) = (member.segment for member in store._contents.current.members)
        assert segment.fde is not None and list(segment.record.files) == ["segment.safetensors"]
        encoder = FixedEncoder(vectors.multi.values.shape[1], staged.fixed_encoding, np.asarray(center, np.float32))
        wanted = encoder.encode_passage_tokens(vectors.multi)
        np.testing.assert_allclose(segment.fde.vectors(np.arange(60)), wanted, atol=0.02 * np.abs(wanted).max())
        store.recode(replace(STILL, multi_first_stage="exact"))
        assert not store.capabilities.multi_first_stage
    with closing(NativeStore.open(folder)) as store:
        store.recode(staged)
        assert store.capabilities.multi_first_stage
        assert store._contents.current.state.settings.center == center


def test_a_graph_is_built_in_the_background_and_finds_nearly_all(folder: Path) -> None:
    rng = np.random.default_rng(0)
    vectors = Embeddings(dense=unit(rng, 3000, 16))
    with closing(NativeStore.create(folder, options=NativeOptions(DenseOptions("float32", graph_from=1000)))) as store:
        store.upsert(many(3000), vectors)
        store._rewriter.wait()
        (number,) = segment_folders(folder)
        assert (folder / "segments" / number / "graph.faiss").is_file()
        store.delete([f"d{i}#0" for i in range(100)])
        for where, rows in ((None, np.arange(100, 3000)), ("tenth = 3", np.arange(103, 3000, 10))):
            found = 0
            for query in vectors[:20]:
                best, _ = scoring.search(query, vectors[rows], 20, by="dense")
                got = store.search("dense", query, 20, parse_filter(where)).ids
                found += len({f"d{rows[row]}#0" for row in best[0]} & set(got))
            assert found >= 0.9 * 400
        store.optimize()
        assert segment_folders(folder) != [number]
        assert store.verify() == []
        (number,) = segment_folders(folder)
        assert (folder / "segments" / number / "graph.faiss").is_file()


def test_rows_deleted_while_a_graph_is_built_stay_deleted(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = Embeddings(dense=unit(np.random.default_rng(0), 600, 8))
    build = build_graph

    def building(*arguments: Any) -> bool:
        store.delete(["d1#0", "d2#0"])
        return build(*arguments)

    monkeypatch.setattr("trivec.index.native.rewriting.build_graph", building)
    options = replace(STILL, dense=DenseOptions("float32", graph_from=500))
    with closing(NativeStore.create(folder, options=options)) as store:
        store.upsert(many(600), vectors)
        store._rewriter.wait()
        assert store.count() == 598
        assert store.fetch(["d1#0"]) == [None]
        assert store.search("dense", vectors[1], 1).ids != ["d1#0"]
        assert store.verify() == []
        assert len(os.listdir(folder / "segments" / "00000001")) == 2


def test_recoding_that_broke_off_is_taken_up_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = Model({}, {})
    limit = replace(STILL, merge=replace(STILL.merge, max_rows=12))
    with closing(NativeStore.create(folder, options=replace(limit, tokens="int8"))) as store:
        for batch in range(3):
            fill(store, model, 10, first=10 * batch)
        with monkeypatch.context() as patch, pytest.raises(Crash):
            patch.setattr("trivec.index.native.rewriting.merge_segments", crashing)
            store.recode(limit)
    with closing(NativeStore.open(folder)) as store:
        assert store.options == limit
        store.recode(limit)
        tokens = [member.segment.multi for member in store._contents.current.members]
        assert {part.codec for held in tokens if held for part in held.parts} == {"float32"}
        assert len(segment_folders(folder)) == 3
        before = segment_folders(folder)
        store.optimize()
        assert segment_folders(folder) == before
        assert store.count() == 30
        assert store.verify() == []


# -- crashes ---------------------------------------------------------------------------------------------------

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


class Crash(BaseException):
    """As if the process ended here."""


def crashing(*_: object, **__: object) -> None:
    raise Crash


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


# -- disks -----------------------------------------------------------------------------------------------------


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


# -- together --------------------------------------------------------------------------------------------------

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


# -- copies and closing ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("links", [True, False])
def test_a_snapshot_is_a_store_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, links: bool) -> None:
    def no_links(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    if not links:
        monkeypatch.setattr(os, "link", no_links)
    model = Model({}, {})
    with closing(NativeStore.create(tmp_path / "store", options=EXACT)) as store:
        fill(store, model, 30)
        fill(store, model, 10, first=25)
        store.snapshot(tmp_path / "copies" / "copy")
        fill(store, Model({}, {}), 30, first=1000)
        store.optimize()
        with pytest.raises(InputError, match="exists already"):
            store.snapshot(tmp_path / "copies" / "copy")
    assert verify_store(tmp_path / "copies" / "copy") == []
    with closing(NativeStore.open(tmp_path / "copies" / "copy")) as copy:
        check(copy, model)
        fill(copy, model, 5, first=500)
        check(copy, model)
    assert [path.name for path in (tmp_path / "copies").iterdir()] == ["copy"]


def test_snapshots_are_whole_while_segments_come_and_go(tmp_path: Path) -> None:
    done = threading.Event()
    with closing(NativeStore.create(tmp_path / "store", options=BUSY)) as store:
        fill(store, Model({}, {}), 10)

        def write() -> None:
            for batch in range(1, 30):
                fill(store, Model({}, {}), 10, first=10 * batch)
            done.set()

        writer = threading.Thread(target=write)
        writer.start()
        copies = 0
        while not done.is_set() or copies == 0:
            store.snapshot(tmp_path / f"copy{copies}")
            assert verify_store(tmp_path / f"copy{copies}") == []
            copies += 1
        writer.join()


def test_a_closed_store_says_so(folder: Path) -> None:
    store = NativeStore.create(folder)
    fill(store, Model({}, {}), 1)
    store.close()
    store.close()
    for use in (store.count, lambda: store.fetch(["a"]), lambda: fill(store, Model({}, {}), 1), store.optimize):
        with pytest.raises(LibraryError, match="is closed"):
            use()


def test_every_text_and_number_comes_back_as_it_was(folder: Path) -> None:
    class Float(float):
        pass

    passages = [
        Passage("a\0b", "\0 text \0", "ti\0tle", {"": [1, 1.0, True, None, "x"], "n": -(2**63), "d": np.float64(0.1)}),
        Passage("日本#1", "🎉", metadata={"a.b": -0.0, "c": Float(1.5), "e": []}, number=3, count=4, start=5, end=6),
    ]
    with closing(NativeStore.create(folder)) as store:
        store.upsert(passages, embeddings(0, 2))
        assert store.fetch(["a\0b#0", "日本#1#3"]) == passages
        values = next(store.select()).metadata[""]
        assert isinstance(values, list)
        assert [type(value) for value in values] == [int, float, bool, type(None), str]


def test_ids_that_are_no_unicode_are_unknown(folder: Path) -> None:
    with closing(NativeStore.create(folder)) as store:
        store.upsert(many(2), embeddings(0, 2))
        assert store.fetch(["\udc00#0", "d1#0"]) == [None, many(2)[1]]
        assert store.score("multi", embeddings(0, 1), ["\udc00#0"]).tolist() == [0]
        store.delete(["\udc00#0"])
        assert store.count() == 2
