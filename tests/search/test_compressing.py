"""A library made smaller: what is left, what is measured, and that nothing is lost on the way."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trivec
from trivec.encode.compression import Compression
from trivec.encode.encoder import Encoder
from trivec.errors import InputError, LibraryError
from trivec.search import compressing
from trivec.search.collection import Collection
from trivec.search.compressing import CompressOptions, compress
from trivec.search.manifest import Manifest
from trivec.types import Document

DOCUMENTS = [
    Document(str(number), f"Water number {number}. Second line.", metadata={"n": number}) for number in range(30)
]
DOCUMENTS += [Document("long", "capital of France and water " * 60, "A title")]


@pytest.fixture(scope="module")
def encoder(load_tiny: Callable[..., Encoder]) -> Encoder:
    return load_tiny("m3")


@pytest.fixture(params=["native", "embedded"])
def library(request: pytest.FixtureRequest, tmp_path: Path, encoder: Encoder) -> Collection:
    made = trivec.open(tmp_path / "library", model=encoder, store=request.param)
    made.add(DOCUMENTS)
    request.addfinalizer(made.close)
    return made


def test_lossless_compression_changes_nothing_but_the_store(library: Collection) -> None:
    before = [library.search(query, k=5) for query in ("water number 3", "capital")]
    report = compress(library, CompressOptions(dense="float32", tokens="float32", sample=10))
    assert report.kept and report.queries == 10
    assert {mode: loss.overlap for mode, loss in report.losses.items()} == dict.fromkeys(
        ["hybrid", "dense", "sparse", "bm25", "multi"], 1.0
    )
    assert all(loss.found_before == loss.found_after for loss in report.losses.values())
    after = [library.search(query, k=5) for query in ("water number 3", "capital")]
    assert [[hit.id for hit in hits] for hits in after] == [[hit.id for hit in hits] for hits in before]
    assert sorted(library.documents(), key=lambda d: d.id) == sorted(DOCUMENTS, key=lambda d: d.id)


def test_what_was_left_out_stays_out(library: Collection, encoder: Encoder) -> None:
    assert library.folder is not None
    compression = Compression(dimensions=4, pool_tokens=2, sparse_weights=3)
    report = compress(library, CompressOptions("int8", "int4", compression, queries=("capital of France", "water")))
    assert report.kept and report.losses["dense"].found_before is None
    folder = library.folder
    library.close()
    with trivec.open(folder) as again:
        assert again.manifest.store == "native" and again.compression == compression
        assert [path.name for path in folder.glob("store*")] == [again.manifest.folder]
        again.add([Document("new", "one two three four five six seven")])
        vectors = again.store.vectors(["new#0", "3#0"])
        assert vectors.dense is not None and vectors.multi is not None and vectors.sparse is not None
        assert vectors.dense.shape == (2, 4) and np.diff(vectors.sparse.indptr).max() <= 3
        whole = encoder.encode_documents(["one two three four five six seven"]).multi
        assert whole is not None and vectors.multi.lengths[0] == -(-int(whole.lengths[0]) // 2)
        (hit,) = again.search("one two three", k=1)
        assert hit.explain().alignments
        compress(again, CompressOptions(compression=Compression(dimensions=2)))
        assert again.compression == Compression(2, 2, 3)
        with pytest.raises(InputError, match="2 dimensions cannot keep 3"):
            compress(again, CompressOptions(compression=Compression(dimensions=3)))
        assert [path.name for path in folder.glob("store*")] == [again.manifest.folder]


def test_too_large_a_loss_leaves_the_library_as_it_was(library: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    assert library.folder is not None
    manifest = json.loads((library.folder / "library.json").read_text())
    report = compress(library, CompressOptions(compression=Compression(dimensions=1), max_loss=0.0))
    assert report.losses["dense"].overlap < 1
    if report.losses["hybrid"].overlap < 1:
        assert not report.kept
        assert json.loads((library.folder / "library.json").read_text()) == manifest
        assert len(list(library.folder.glob("store*"))) == 1
        assert library.search("water", k=3)


def test_a_death_on_the_way_leaves_the_old_library(library: Collection, monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*args: object) -> None:
        raise KeyboardInterrupt

    assert library.folder is not None
    (library.folder / "store-9").mkdir()
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(compressing, "_losses", die)
        compress(library, CompressOptions(dense="int8"))
    assert [path.name for path in library.folder.glob("store*")] == [library.manifest.folder]
    assert len(library) == len(DOCUMENTS)
    assert compress(library, CompressOptions(dense="int8")).kept


def test_nonsense_is_refused(encoder: Encoder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="max_loss is a share between 0 and 1, got 2"):
        CompressOptions(max_loss=2)
    with pytest.raises(InputError, match="sample must be at least 1"):
        CompressOptions(sample=0)
    with trivec.open(":memory:", model=encoder) as library, pytest.raises(InputError, match="in memory"):
        compress(library, CompressOptions())
    with trivec.open(tmp_path / "empty", model=encoder) as library, pytest.raises(InputError, match="is empty"):
        compress(library, CompressOptions())


def test_nothing_that_was_acknowledged_meanwhile_is_lost(
    library: Collection, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Documents added while the loss is measured are refused, or there afterwards."""
    assert library.folder is not None
    folder, measure, outcomes = library.folder, compressing._losses, []

    def attempt(add: Callable[[], object]) -> None:
        try:
            add()
            outcomes.append("added")
        except LibraryError as error:
            outcomes.append(type(error).__name__)

    def from_elsewhere() -> None:
        with trivec.open(folder, model=encoder) as other:
            other.add([Document("elsewhere", "one two three")])

    def interrupted(*args: Any) -> Any:
        for add in (lambda: library.add([Document("thread", "one two three")]), from_elsewhere):
            thread = threading.Thread(target=attempt, args=(add,))
            thread.start()
            thread.join()
        return measure(*args)

    monkeypatch.setattr(compressing, "_losses", interrupted)
    if library.manifest.store == "native":
        assert compress(library, CompressOptions(dense="int8")).kept
        assert outcomes == ["LibraryBusyError", "LibraryBusyError"]
    else:
        with pytest.raises(LibraryError, match="added or deleted meanwhile"):
            compress(library, CompressOptions(dense="int8"))
        assert outcomes == ["added", "LibraryBusyError"]
        assert library.get("thread") is not None
    library.add([Document("later", "one two three")])
    assert library.get("later") is not None


def test_an_interruption_after_the_switch_keeps_the_new_store(
    tmp_path: Path, encoder: Encoder, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, write = tmp_path / "library", Manifest.write

    def interrupted(manifest: Manifest, home: Path) -> None:
        write(manifest, home)
        raise KeyboardInterrupt

    with trivec.open(folder, model=encoder) as library:
        library.add(DOCUMENTS)
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(Manifest, "write", interrupted)
            compress(library, CompressOptions(dense="int8"))
    with trivec.open(folder, model=encoder) as again:
        assert again.manifest.folder == "store-2" and len(again) == len(DOCUMENTS)


def test_who_has_a_rewritten_library_open_is_told_to_open_it_again(tmp_path: Path, encoder: Encoder) -> None:
    folder = tmp_path / "library"
    with trivec.open(folder, model=encoder) as library:
        library.add(DOCUMENTS)
        with trivec.open(folder, model=encoder) as reader:
            assert reader.search("water", k=1)
            compress(library, CompressOptions(dense="int8", sample=5))
            assert [path.name for path in folder.glob("*store*")] == ["store-2"]
            for call in (
                lambda: reader.search("water", k=1),
                lambda: reader.get("1"),
                lambda: reader.add(DOCUMENTS[:1]),
                lambda: reader.delete(["1"]),
                lambda: compress(reader, CompressOptions()),
            ):
                with pytest.raises(LibraryError, match="open it again"):
                    call()
        assert library.search("water", k=1)
