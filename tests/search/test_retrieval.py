"""Ranked passages against a plain recomputation of everything, for every mode, rule, filter and store."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trivec.embeddings import Embeddings
from trivec.errors import InputError
from trivec.index import EmbeddedStore, MemoryStore, Store
from trivec.index.conditions import Filter
from trivec.index.queries import term_counts
from trivec.search.fusion import FUSIONS
from trivec.search.options import MODES, SearchOptions
from trivec.search.retrieval import RankedPassage, retrieve
from trivec.types import Passage, Signal

import store_cases as cases

ALL: dict[Signal, float] = {"dense": 1.0, "sparse": 0.5, "bm25": 2.0, "multi": 1.5}


@contextmanager
def any_store(kind: str) -> Iterator[Store]:
    if kind == "memory":
        yield MemoryStore()
        return
    folder = Path(mkdtemp())
    store = EmbeddedStore.create(folder / "store")
    try:
        yield store
    finally:
        store.close()
        shutil.rmtree(folder)


def expected(
    model: cases.Model, store: Store, query: Embeddings, k: int, where: Filter | None, options: SearchOptions
) -> tuple[list[tuple[str, float]], dict[str, float]]:
    """The best k, and every allowed passage's score; what no first-stage signal can propose is left out."""
    scores = {signal: model.scores(signal, query) for signal in ("dense", "sparse", "bm25", "multi")}
    if options.fusion == "rrf" and options.mode == "hybrid":  # ranks see the last bit of a sum, so take the store's own
        own = {signal: store.score(signal, query, list(model.passages)) for signal in scores}
        scores = {signal: dict(zip(model.passages, values.tolist(), strict=True)) for signal, values in own.items()}
    most = sum(store.term_weights(query).values())
    scores["bm25"] = {name: value / most if most else 0.0 for name, value in scores["bm25"].items()}
    names = [passage.id for passage in model.select(where)]
    if options.mode in ("sparse", "bm25"):
        names = [name for name in names if scores[options.mode][name] > 0]
    used = list(ALL) if options.mode == "hybrid" else [options.mode]
    columns = {signal: np.asarray([scores[signal][name] for name in names], np.float32) for signal in used}
    if options.mode == "hybrid":
        columns = options.rule().contributions(columns)
    totals = np.sum([np.zeros(len(names)), *columns.values()], axis=0)
    ranked = sorted(zip(names, totals.tolist(), strict=True), key=lambda pair: (-round(pair[1], 5), pair[0]))
    every = dict(ranked)
    if not options.per_passage:
        best: dict[str, tuple[str, float]] = {}
        for name, total in ranked:
            best.setdefault(name.rpartition("#")[0], (name, total))
        ranked = list(best.values())
    return ranked[:k], every


def check(found: list[RankedPassage], wanted: list[tuple[str, float]], every: dict[str, float]) -> None:
    assert [f.score for f in found] == pytest.approx([score for _, score in wanted], abs=2e-5)
    for hit, (_, total) in zip(found, wanted, strict=True):
        alike = {name for name, score in every.items() if abs(score - total) < 4e-5}
        assert hit.passage.id in alike or abs(hit.score - wanted[-1][1]) < 4e-5  # a tie across the cut
        assert sum(hit.contributions.values()) == pytest.approx(hit.score, abs=1e-5)


@pytest.mark.parametrize("kind", ["memory", "embedded"])
@settings(max_examples=25)
@given(data=st.data())
def test_every_mode_rule_and_filter_equals_brute_force(kind: str, data: st.DataObject) -> None:
    passages = data.draw(st.lists(cases.passages, min_size=1, max_size=12, unique_by=lambda p: p.id))
    model = cases.Model({}, {})
    with any_store(kind) as store:
        vectors = cases.embeddings(data.draw(st.integers(0, 999)), len(passages))
        store.upsert(passages, vectors)
        model.upsert(passages, vectors)
        gone = data.draw(st.lists(st.sampled_from([p.id for p in passages]), max_size=4))
        store.delete(gone)
        model.delete(gone)
        query = cases.embeddings(data.draw(st.integers(0, 999)), 1)
        where = data.draw(st.one_of(st.none(), cases.filters))
        k = data.draw(st.integers(1, 8))
        for mode in MODES:
            for fusion in FUSIONS if mode == "hybrid" else ["rrf"]:
                options = SearchOptions(mode, fusion, ALL, per_passage=data.draw(st.booleans()))
                found = retrieve(store, query, k, where, options)
                check(found, *expected(model, store, query, k, where, options))


def passages_of(counts: dict[str, int]) -> list[Passage]:
    return [Passage(name, "text", number=n, count=count) for name, count in counts.items() for n in range(count)]


def test_a_document_with_many_passages_cannot_crowd_out_others() -> None:
    store = MemoryStore()
    passages = passages_of({"long": 50, "short": 1, "other": 1})
    dense = np.zeros((52, 2), np.float32)
    dense[:, 0] = np.linspace(1.0, 0.1, 52)
    store.upsert(passages, Embeddings(dense=dense))
    query = Embeddings(dense=np.array([[1, 0]], np.float32))
    options = SearchOptions("dense", candidates=3)
    found = retrieve(store, query, 3, None, options)
    assert [hit.passage.id for hit in found] == ["long#0", "short#0", "other#0"]


def test_equal_scores_come_in_the_order_of_their_ids() -> None:
    store = MemoryStore()
    store.upsert(passages_of({"b": 1, "c": 1, "a": 1}), Embeddings(dense=np.ones((3, 2), np.float32)))
    query = Embeddings(dense=np.ones((1, 2), np.float32))
    found = retrieve(store, query, 2, None, SearchOptions("dense"))
    assert [hit.passage.document_id for hit in found] == ["a", "b"]


def test_incomplete_scoring_counts_a_missing_signal_as_nothing() -> None:
    model_vectors = cases.embeddings(3, 6)
    store = MemoryStore()
    store.upsert(passages_of({f"d{n}": 1 for n in range(6)}), model_vectors)
    query = cases.embeddings(4, 1)
    weights: dict[Signal, float] = {"dense": 1.0, "bm25": 1.0}
    options = SearchOptions(weights=weights, candidates=1, complete=False)
    found = retrieve(store, query, 1, None, options)
    proposals = {signal: store.search(signal, query, 1) for signal in ("dense", "bm25")}
    signals = {signal for signal, ranking in proposals.items() if ranking.ids[:1] == [found[0].passage.id]}
    assert set(found[0].signals) == signals


def test_bm25_is_a_share_of_the_most_the_query_can_get() -> None:
    vectors = cases.embeddings(7, 5)
    store = MemoryStore()
    store.upsert(passages_of({f"d{n}": 1 for n in range(5)}), vectors)
    query = vectors[int(np.argmax(vectors.terms.sum(axis=1)))]  # type: ignore[union-attr]
    assert term_counts(query)
    found = retrieve(store, query, 5, None, SearchOptions("bm25"))
    assert found
    assert all(0 < hit.signals["bm25"] < 1 for hit in found)


def test_a_mode_without_its_signal_says_what_there_is() -> None:
    store = MemoryStore()
    store.upsert(passages_of({"a": 1}), Embeddings(dense=np.ones((1, 2), np.float32)))
    with pytest.raises(InputError, match=r"mode 'sparse'.*it has dense"):
        retrieve(store, Embeddings(dense=np.ones((1, 2), np.float32)), 1, None, SearchOptions("sparse"))


def test_multi_vectors_alone_are_searched_without_a_first_stage() -> None:
    vectors = cases.embeddings(1, 4).with_heads("multi")
    store = MemoryStore()
    store.upsert(passages_of({f"d{n}": 1 for n in range(4)}), vectors)
    query = cases.embeddings(2, 1).with_heads("multi")
    found = retrieve(store, query, 4, None, SearchOptions("multi"))
    scores = store.score("multi", query, [hit.passage.id for hit in found])
    assert [hit.score for hit in found] == pytest.approx(sorted(scores.tolist(), reverse=True))
