"""Every store answers like brute force, whatever was written, replaced and deleted before."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from trivec.embeddings import Embeddings
from trivec.errors import InputError, LibraryMismatchError, MissingHeadError
from trivec.index import (
    EmbeddedOptions,
    EmbeddedStore,
    MemoryStore,
    NativeOptions,
    NativeStore,
    Store,
    VectorSchema,
    parse_filter,
)
from trivec.index.filters import Filter
from trivec.index.native.dense import DenseOptions
from trivec.index.native.settings import MergeOptions
from trivec.types import Passage

from store_cases import DENSE, MEMORY_FOLDER, Model, check_store, embeddings, filters, passages

seeds = st.integers(0, 2**32)
batches = st.tuples(st.lists(passages, min_size=1, max_size=12), seeds)
deletions = st.lists(passages.map(lambda passage: passage.id), max_size=6)
histories = st.lists(st.one_of(batches, deletions, st.none()), max_size=5)
"""Batches to write, ids to delete, and None where the store is to tidy up."""


def in_memory(folder: Path) -> Store:
    return MemoryStore()


def embedded(folder: Path) -> Store:
    return EmbeddedStore.create(folder / "store")


def embedded_with_field_indexes(folder: Path) -> Store:
    return EmbeddedStore.create(folder / "store", options=EmbeddedOptions(index_fields_from=0, exact_below=0))


def native(folder: Path) -> Store:
    """Without merging, so that every write is a segment."""
    options = NativeOptions(DenseOptions("float32"), "float32", merge=MergeOptions(small_segments=100))
    return NativeStore.create(folder / "store", options=options)


def native_that_merges(folder: Path) -> Store:
    """Merges all the time, in the background."""
    merge = MergeOptions(small_rows=4, small_segments=2, factor=2, max_dead_share=0.2)
    return NativeStore.create(folder / "store", options=NativeOptions(DenseOptions("float32"), "float32", merge=merge))


each_store = pytest.mark.parametrize(
    "make", [in_memory, embedded, embedded_with_field_indexes, native, native_that_merges]
)


@each_store
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(histories, batches, st.lists(st.one_of(st.none(), filters), min_size=1, max_size=6), seeds, st.integers(1, 12))
def test_any_history_of_writes_leaves_what_brute_force_expects(
    make: Callable[[Path], Store],
    history: list[tuple[list[Passage], int] | list[str] | None],
    last: tuple[list[Passage], int],
    wheres: list[Filter | None],
    seed: int,
    k: int,
) -> None:
    model = Model({}, {})
    with tempfile.TemporaryDirectory(dir=MEMORY_FOLDER) as folder, contextlib.closing(make(Path(folder))) as store:
        for event in [*history, last]:
            if event is None:
                store.optimize()
            elif isinstance(event, list):
                store.delete(event)
                model.delete(event)
            else:
                vectors = embeddings(event[1], len(event[0]))
                store.upsert(event[0], vectors)
                model.upsert(event[0], vectors)
        for where in wheres:
            check_store(store, model, embeddings(seed, 1), where, k)
        check_vectors(store, model)


def check_vectors(store: Store, model: Model) -> None:
    ids = list(model.vectors)
    stored = store.vectors(ids)
    expected = Embeddings.concatenate([model.vectors[name] for name in ids])
    np.testing.assert_array_equal(stored.dense, expected.dense)
    assert stored.multi is not None and expected.multi is not None
    np.testing.assert_array_equal(stored.multi.values, expected.multi.values)
    np.testing.assert_array_equal(stored.multi.offsets, expected.multi.offsets)
    for got, wanted in ((stored.sparse, expected.sparse), (stored.terms, expected.terms)):
        assert got is not None and wanted is not None
        np.testing.assert_array_equal(got.toarray(), wanted.toarray())


def many(count: int) -> list[Passage]:
    return [Passage(f"d{i}", f"text {i}", metadata={"third": i % 3, "even": i % 2 == 0}) for i in range(count)]


@each_store
def test_equal_scores_are_ordered_by_passage_id_also_at_the_cut(make: Callable[[Path], Store], tmp_path: Path) -> None:
    store = make(tmp_path)
    store.upsert(many(200), embeddings(1, 1).select(np.zeros(200, np.int64)))
    expected = sorted(passage.id for passage in many(200))
    query = embeddings(1, 1)
    for signal in store.signals:
        found = store.search(signal, query, 7)
        assert found.ids == (expected[:7] if found.scores.any() or signal in ("dense", "multi") else [])
    store.close()


@each_store
def test_large_collections_are_read_in_several_steps(make: Callable[[Path], Store], tmp_path: Path) -> None:
    store = make(tmp_path)
    model = Model({}, {})
    vectors = embeddings(3, 2500)
    store.upsert(many(2500), vectors)
    model.upsert(many(2500), vectors)
    store.optimize()
    query = embeddings(4, 1)
    check_store(store, model, query, None, 5)
    check_vectors(store, model)
    for where in ({"third": 1}, {"even": True, "third": [0, 2]}):
        check_store(store, model, query, parse_filter(where), 2000)
    store.close()


@each_store
def test_an_empty_store_gives_empty_answers(make: Callable[[Path], Store], tmp_path: Path) -> None:
    store = make(tmp_path)
    query = embeddings(0, 1)
    store.delete(["a#0"])
    store.flush()
    store.optimize()
    assert store.signals == ()
    assert store.count() == 0
    assert store.fetch(["a#0"]) == [None]
    assert len(store.search("dense", query, 3)) == 0
    assert store.score("multi", query, ["a#0"]).tolist() == [0]
    assert store.term_weights(query) == {}
    store.close()


@each_store
def test_all_passages_can_be_deleted_and_others_added(make: Callable[[Path], Store], tmp_path: Path) -> None:
    store = make(tmp_path)
    store.upsert(many(20), embeddings(0, 20))
    store.delete([passage.id for passage in many(20)])
    assert store.count() == 0
    assert len(store.search("bm25", embeddings(0, 1), 3)) == 0
    store.upsert(many(2), embeddings(0, 2))
    check_vectors(
        store,
        Model(
            dict(zip(["d0#0", "d1#0"], many(2), strict=True)),
            {"d0#0": embeddings(0, 2)[0], "d1#0": embeddings(0, 2)[1]},
        ),
    )
    store.close()


@each_store
def test_passages_are_removed_in_the_step_that_adds_others(make: Callable[[Path], Store], tmp_path: Path) -> None:
    store = make(tmp_path)
    store.upsert(many(4), embeddings(0, 4))
    store.upsert(many(6)[3:], embeddings(1, 3), remove=["d0#0", "d3#0", "d5#0", "no such"])
    assert [passage.id for passage in store.select()] == ["d1#0", "d2#0", "d3#0", "d4#0", "d5#0"]
    store.upsert([], embeddings(1, 0), remove=["d1#0"])
    assert store.count() == 4
    store.close()


@each_store
def test_what_does_not_fit_is_refused_with_a_reason(make: Callable[[Path], Store], tmp_path: Path) -> None:
    store = make(tmp_path)
    store.upsert(many(3), embeddings(0, 3).with_heads("dense"))
    query = embeddings(0, 1)
    with pytest.raises(InputError, match="2 passages and 3 vectors"):
        store.upsert(many(2), embeddings(0, 3))
    with pytest.raises(LibraryMismatchError, match="encode with the model"):
        store.upsert(many(3), embeddings(0, 3))
    with pytest.raises(MissingHeadError, match="'multi'"):
        store.search("multi", query, 1)
    with pytest.raises(MissingHeadError, match="'dense'"):
        store.search("dense", query.with_heads("multi"), 1)
    with pytest.raises(LibraryMismatchError, match="width"):
        store.search("dense", Embeddings(dense=np.ones((1, DENSE + 1), np.float32)), 1)
    with pytest.raises(InputError, match="one text"):
        store.search("dense", embeddings(0, 2), 1)
    with pytest.raises(InputError, match="k must be"):
        store.search("dense", query, 0)
    with pytest.raises(InputError, match="no such"):
        store.vectors(["no such"])
    assert store.count() == 3
    store.close()


@each_store
@pytest.mark.parametrize("value", [2**63, float("nan"), ("a",), {"b": 1}, [["c"]], "\ud800"])
def test_metadata_that_no_store_can_keep_is_refused(
    make: Callable[[Path], Store], tmp_path: Path, value: object
) -> None:
    store = make(tmp_path)
    with pytest.raises(InputError, match="document 'd'"):
        store.upsert([Passage("d", "", metadata={"field": value})], embeddings(0, 1))  # type: ignore[dict-item]
    store.close()


@each_store
def test_values_that_cannot_be_ranked_are_refused(make: Callable[[Path], Store], tmp_path: Path) -> None:
    store = make(tmp_path)
    with pytest.raises(InputError, match="NaN"):
        store.upsert(many(1), Embeddings(dense=np.full((1, DENSE), np.nan, np.float32)))
    store.upsert(many(1), embeddings(0, 1))
    with pytest.raises(InputError, match="'sparse' weight"):
        store.search("sparse", Embeddings(sparse=-embeddings(0, 1).sparse), 1)  # type: ignore[operator]
    store.close()


def test_a_schema_names_heads_and_signals_in_their_usual_order() -> None:
    schema = VectorSchema({"terms": 5, "dense": 2})
    assert schema.heads == ("dense", "terms")
    assert schema.signals == ("dense", "bm25")
    with pytest.raises(InputError, match="at least one head"):
        VectorSchema.of(Embeddings())
