"""BM25 over changing passages is the formula over what is there now."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from trivec.errors import CorruptModelError, InputError
from trivec.index import Bm25Index, Bm25Options

from store_cases import dict_of, naive_bm25

TERMS = 8
names = st.sampled_from([f"p{i}" for i in range(12)])
counts = st.dictionaries(st.integers(0, TERMS - 1), st.integers(1, 5), max_size=4)
additions = st.dictionaries(names, counts, min_size=1, max_size=6)
histories = st.lists(st.one_of(additions, st.lists(names, max_size=6)), max_size=8)
options = st.builds(Bm25Options, st.sampled_from([0.0, 0.9, 2.0]), st.sampled_from([0.0, 0.4, 1.0]))


def matrix(rows: list[dict[int, int]]) -> sp.csr_array:
    dense = np.zeros((len(rows), TERMS), np.float32)
    for row, terms in zip(dense, rows, strict=True):
        row[list(terms)] = list(terms.values())
    return sp.csr_array(dense)


@given(histories, st.dictionaries(st.integers(0, TERMS + 1), st.integers(1, 3)), options)
@settings(max_examples=200, deadline=None)
def test_scores_are_those_of_the_formula_after_any_history(
    history: list[dict[str, dict[int, int]] | list[str]], query: dict[int, int], chosen: Bm25Options
) -> None:
    index = Bm25Index(chosen)
    held: dict[str, dict[int, int]] = {}
    for event in history:
        if isinstance(event, dict):
            index.add(list(event), matrix(list(event.values())))
            held |= event
        else:
            index.remove(event)
            held = {name: terms for name, terms in held.items() if name not in event}
    expected = naive_bm25(query, held, chosen)
    assert len(index) == len(held)
    np.testing.assert_allclose(index.score_passages(query, list(held)), list(expected.values()), rtol=1e-5)
    above = {name for name, score in zip(index.ids, index.score(query), strict=True) if score > 0}
    assert above == {name for name, score in expected.items() if score > 0}


def test_a_hand_worked_example() -> None:
    index = Bm25Index()
    index.add(["short", "long"], matrix([{0: 1}, {0: 1, 1: 2}]))
    idf_0, idf_1 = np.log(1 + 0.5 / 2.5), np.log(1 + 1.5 / 1.5)
    norms = [0.9 * (0.6 + 0.4 * 1 / 2), 0.9 * (0.6 + 0.4 * 3 / 2)]
    expected = [idf_0 / (1 + norms[0]), idf_0 / (1 + norms[1]) + 2 * idf_1 * 2 / (2 + norms[1])]
    np.testing.assert_allclose(index.score({0: 1, 1: 2, 7: 1}), expected, rtol=1e-6)
    assert index.weights({0: 1, 1: 2, 7: 1}) == pytest.approx({0: idf_0, 1: 2 * idf_1})


@given(additions, additions, st.lists(names, max_size=4))
@settings(max_examples=30, deadline=None)
def test_a_saved_index_goes_on_where_it_was(
    tmp_path_factory: pytest.TempPathFactory,
    first: dict[str, dict[int, int]],
    second: dict[str, dict[int, int]],
    removed: list[str],
) -> None:
    path = tmp_path_factory.mktemp("bm25") / "bm25.safetensors"
    index = Bm25Index()
    index.add(list(first), matrix(list(first.values())))
    index.remove(removed)
    index.save(path)
    loaded = Bm25Index.load(path)
    for copy in (index, loaded):
        copy.add(list(second), matrix(list(second.values())))
        copy.remove(removed[:1])
    query = {term: 1.0 for term in range(TERMS)}
    assert loaded.ids == index.ids
    np.testing.assert_array_equal(loaded.score(query), index.score(query))


def test_many_small_batches_score_like_one_large_batch() -> None:
    rng = np.random.default_rng(0)
    rows = sp.csr_array(rng.poisson(0.3, (300, 40)).astype(np.float32))
    ids = [f"p{i}" for i in range(300)]
    whole, pieces = Bm25Index(), Bm25Index()
    whole.add(ids, rows)
    for i, name in enumerate(ids):
        pieces.add([name], rows[[i]])
    query = dict_of(rows[[7]])
    np.testing.assert_array_equal(pieces.score(query), whole.score(query))


def test_counts_given_twice_for_a_term_add_up() -> None:
    index = Bm25Index()
    twice = sp.csr_array((np.ones(2, np.float32), np.array([3, 3]), np.array([0, 2])), shape=(1, TERMS))
    index.add(["a"], twice)
    other = Bm25Index()
    other.add(["a"], matrix([{3: 2}]))
    assert index.score({3: 1}).tolist() == other.score({3: 1}).tolist()


def test_an_empty_index_scores_nothing_and_can_be_saved(tmp_path: Path) -> None:
    index = Bm25Index()
    assert index.score({1: 1.0}).shape == (0,)
    index.save(tmp_path / "empty")
    assert len(Bm25Index.load(tmp_path / "empty")) == 0


def test_a_damaged_file_and_odd_options_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad").write_bytes(b"12345678")
    with pytest.raises(CorruptModelError):
        Bm25Index.load(tmp_path / "bad")
    with pytest.raises(InputError, match="b between 0 and 1"):
        Bm25Options(b=2)
