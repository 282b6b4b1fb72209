"""The store in our own files: what it keeps, its copies, and its end."""

from __future__ import annotations

import errno
import json
import os
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from native_cases import BUSY, EXACT, STILL, Crash, check, crashing, fill, many, remove, segment_folders, unit

from trivec import scoring
from trivec.embeddings import Embeddings
from trivec.errors import InputError, LibraryError, LibraryMismatchError
from trivec.index import NativeOptions, NativeStore, VectorSchema, parse_filter
from trivec.index.fixed_encoding import FixedEncoder
from trivec.index.native.catalog import CATALOG
from trivec.index.native.changes import checksum
from trivec.index.native.checking import verify_store
from trivec.index.native.dense import DenseOptions, build_graph
from trivec.index.native.settings import MergeOptions
from trivec.ragged import Ragged
from trivec.types import Passage

from store_cases import Model, embeddings


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


# -- copies and closing ------------------------------------------------------------------------------------------


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
