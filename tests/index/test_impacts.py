"""Term weights in a segment: exact search and scores, whichever implementation, after any merges."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from trivec.errors import InputError, LibraryError
from trivec.index.bm25 import Bm25Index, Bm25Options
from trivec.index.native import impacts_files, impacts_kernels, impacts_layout
from trivec.index.native.impacts import ImpactsPart, make_query
from trivec.index.native.impacts_files import merge_impacts, write_impacts
from trivec.tensorfile import TensorWriter, memory_map

BUILT = impacts_kernels._kernels
VOCABULARY = 250_002
needs_kernels = pytest.mark.skipif(BUILT is None, reason="the C kernels are not built")


@pytest.fixture(params=["numpy", "C"], autouse=True)
def implementation(request: pytest.FixtureRequest) -> Iterator[str]:
    if request.param == "C" and BUILT is None:
        pytest.skip("the C kernels are not built")
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "numpy":
            patch.setattr(impacts_kernels, "_kernels", None)
        yield request.param


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks of 8 rows and lists that are long early, so that small matrices reach every branch."""
    for module in (impacts_layout, impacts_files):
        monkeypatch.setattr(module, "BLOCK", 8)
    monkeypatch.setattr(impacts_layout, "_LONG", 1)
    monkeypatch.setattr(impacts_files, "_STRETCH", 20)
    monkeypatch.setattr(impacts_files, "_BATCH", 3)


def part_of(matrix: sp.csr_array) -> ImpactsPart:
    return written("sparse", lambda writer: write_impacts(writer, "sparse", matrix))


def merged(parts: Sequence[tuple[ImpactsPart, Any]]) -> ImpactsPart:
    return written("terms", lambda writer: merge_impacts(writer, "terms", parts))


def written(prefix: str, write: Callable[[TensorWriter], None]) -> ImpactsPart:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part"
        with closing(TensorWriter(path, {})) as writer:
            write(writer)
            writer.finish()
        return ImpactsPart(memory_map(path), prefix)


def ranking(scores: Any, k: int, allowed: Any = None) -> list[int]:
    chosen = [row for row in range(len(scores)) if scores[row] > 0 and (allowed is None or allowed[row])]
    return sorted(chosen, key=lambda row: (-scores[row], row))[:k]


def brute_scores(matrix: sp.csr_array, terms: Sequence[int], weights: Sequence[float]) -> np.ndarray[Any, Any]:
    """float32 sums in the order that `make_query` settles."""
    dense, query = matrix.toarray(), make_query(terms, weights)
    scores = np.zeros(len(dense), np.float32)
    for term, weight in zip(query.terms, query.weights, strict=True):
        if term < dense.shape[1]:
            scores += weight * dense[:, term]
    return scores


def zipf_matrix(rows: int, terms: int, seed: int, counts: bool = False) -> sp.csr_array:
    rng = np.random.default_rng(seed)
    held = rng.random((rows, terms)) < 1 / (1 + np.arange(terms)) ** 0.7
    values = rng.integers(1, 6, held.shape) if counts else rng.gamma(2, 0.2 * np.sqrt(1 + np.arange(terms)), held.shape)
    return sp.csr_array(np.where(held, values, 0).astype(np.float32))


values = st.sampled_from([0.0, 0.0, 0.0, 0.25, 0.5, 1.0, 1.1, 3.0])
matrices = hnp.arrays(np.float32, st.tuples(st.integers(0, 40), st.integers(1, 9)), elements=values).map(sp.csr_array)
queries = st.lists(
    st.tuples(st.integers(-2, 11), st.sampled_from([-0.5, 0.0, 0.3, 0.3, 1.0, 2.5])), max_size=7
)  # terms that do not occur, and the same term twice
masks = st.none() | st.integers(0, 2**32 - 1)
limits = st.sampled_from([1, 2, 3, 7, 100])


def mask_of(seed: int | None, rows: int) -> Any:
    return None if seed is None else np.random.default_rng(seed).random(rows) < (seed % 10) / 9


@given(matrices, queries, masks, limits)
@settings(max_examples=100, deadline=None)
def test_search_and_scores_are_those_of_brute_force(
    matrix: sp.csr_array, query: list[tuple[int, float]], seed: int | None, k: int
) -> None:
    part, allowed = part_of(matrix), mask_of(seed, matrix.shape[0])
    terms, weights = [term for term, _ in query], [weight for _, weight in query]
    expected = brute_scores(matrix, terms, weights)
    rows, scores = part.search(terms, weights, k, allowed)
    assert rows.tolist() == ranking(expected, k, allowed)
    assert scores.tolist() == expected[rows].tolist()
    assert (rows.dtype, scores.dtype) == (np.int64, np.float32)
    everything = np.arange(len(part))[::-1]
    assert part.score(terms, weights, everything).tolist() == expected[::-1].tolist()


@given(
    st.lists(matrices, max_size=4),
    queries,
    st.sampled_from([0.0, 0.9, 2.0]),
    st.sampled_from([0.0, 0.4, 1.0]),
    masks,
    limits,
)
@settings(max_examples=50, deadline=None)
def test_a_merge_is_the_matrix_of_the_surviving_rows(
    matrices: list[sp.csr_array], query: list[tuple[int, float]], k1: float, b: float, seed: int | None, k: int
) -> None:
    wide = [sp.csr_array((m.data, m.indices, m.indptr), shape=(m.shape[0], 12)) for m in matrices]
    kept = [np.flatnonzero(np.random.default_rng(i).random(m.shape[0]) < 0.7) for i, m in enumerate(wide)]
    part = merged([(part_of(m), rows) for m, rows in zip(wide, kept, strict=True)])
    whole = part_of(sp.csr_array(sp.vstack([sp.csr_array((0, 12)), *(m[r] for m, r in zip(wide, kept, strict=True))])))
    assert len(part) == len(whole) == sum(map(len, kept))
    everything = np.arange(len(part))
    np.testing.assert_array_equal(
        part.matrix(everything).toarray()[:, : part.vocabulary],
        whole.matrix(everything).toarray()[:, : part.vocabulary],
    )
    np.testing.assert_array_equal(part.lengths, whole.lengths)
    for name in ("terms", "offsets", "rows", "values", "maxima", "longs", "block_starts", "block_maxima", "shortest"):
        np.testing.assert_array_equal(getattr(part.impacts.lists, name), getattr(whole.impacts.lists, name), name)
    terms, weights = [term for term, _ in query], [abs(weight) for _, weight in query]
    allowed, options = mask_of(seed, len(part)), Bm25Options(k1, b)
    rows, scores = part.bm25_search(terms, weights, 2.5, options, k, allowed)
    every = part.bm25_score(terms, weights, 2.5, options, everything)
    assert rows.tolist() == ranking(every, k, allowed)
    assert scores.tolist() == every[rows].tolist()


@given(
    st.lists(hnp.arrays(np.float32, st.tuples(st.integers(1, 30), st.just(6)), elements=st.integers(0, 3)), max_size=3),
    st.dictionaries(st.integers(0, 7), st.integers(1, 3)),
    st.integers(0, 100),
    st.sampled_from([Bm25Options(), Bm25Options(0, 0.4), Bm25Options(1.2, 1)]),
)
@settings(max_examples=60, deadline=None)
def test_bm25_over_segments_with_deletions_is_bm25_over_what_is_there(
    segments: list[Any], query: Mapping[int, int], seed: int, options: Bm25Options
) -> None:
    index = Bm25Index(options)
    parts, alive, names = [], [], []
    for number, counts in enumerate(segments):
        ids = [f"{number}/{row}" for row in range(len(counts))]
        index.add(ids, sp.csr_array(counts))
        parts.append(part_of(sp.csr_array(counts)))
        alive.append(np.random.default_rng(seed + number).random(len(counts)) < 0.6)
        names += [name for name, living in zip(ids, alive[-1], strict=True) if living]
        index.remove([name for name, living in zip(ids, alive[-1], strict=True) if not living])
    terms = sorted(query)
    total = sum(int(mask.sum()) for mask in alive)
    length = sum(float(part.lengths[mask].sum()) for part, mask in zip(parts, alive, strict=True))
    found = sum((p.frequencies(terms, m) for p, m in zip(parts, alive, strict=True)), np.zeros(len(terms), np.int64))
    idf = np.log1p((total - found + 0.5) / (found + 0.5)) * [query[term] for term in terms]
    expected = index.weights(query)
    np.testing.assert_allclose([expected.get(term, 0) for term in terms], np.where(found, idf, 0), rtol=1e-12)
    average = length / total if total else 0.0
    scores = [p.bm25_score(terms, idf, average, options, np.flatnonzero(m)) for p, m in zip(parts, alive, strict=True)]
    wanted = index.score_passages(query, names)
    np.testing.assert_allclose(np.concatenate([[], *scores]), wanted, rtol=1e-6)
    for part, mask, each in zip(parts, alive, scores, strict=True):
        rows, best = part.bm25_search(terms, idf, average, options, 5, mask)
        of_row = dict(zip(np.flatnonzero(mask).tolist(), each.tolist(), strict=True))
        assert rows.tolist() == sorted((r for r in of_row if of_row[r] > 0), key=lambda r: (-of_row[r], r))[:5]
        assert best.tolist() == [of_row[row] for row in rows.tolist()]


@pytest.mark.parametrize("k", [1, 5, 40, 2000])
@pytest.mark.parametrize("clustered", [False, True])
@pytest.mark.parametrize(("block", "rows"), [(8, 600), (1024, 3600)])
def test_pruning_finds_what_a_search_of_everything_finds(
    k: int, clustered: bool, block: int, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (impacts_layout, impacts_files):
        monkeypatch.setattr(module, "BLOCK", block)
    matrix, third = zipf_matrix(rows, 60, 0), rows // 3
    if clustered:  # terms keep to themselves, so that whole blocks cannot win
        parts = [matrix[:third], matrix[third : 2 * third], matrix[2 * third :]]
        matrix = sp.csr_array(sp.block_diag(parts, format="csr"))
    options = Bm25Options(8.0, 1.0)  # scores far apart
    part, rng, every = part_of(matrix), np.random.default_rng(1), np.arange(rows)
    for _ in range(6):
        terms = np.append(rng.choice(matrix.shape[1], 10, replace=False), [0, 1])
        weights = np.append(rng.gamma(2, 1, 10), [0.01, 0.02])  # frequent terms of little weight are set aside
        wanted = brute_scores(matrix, terms.tolist(), weights.tolist())
        bm25_wanted = part.bm25_score(terms, weights, 50.0, options, every)
        for chance in (None, 0.5, 0.001):
            allowed = None if chance is None else rng.random(rows) < chance
            found, scores = part.search(terms, weights, k, allowed)
            assert found.tolist() == ranking(wanted, k, allowed)
            np.testing.assert_array_equal(scores, wanted[found])
            found, scores = part.bm25_search(terms, weights, 50.0, options, k, allowed)
            assert found.tolist() == ranking(bm25_wanted, k, allowed)
            np.testing.assert_array_equal(scores, bm25_wanted[found])
            best = part.find(terms, weights, k, allowed, more=True)
            allowed_rows = every if allowed is None else np.flatnonzero(allowed)
            assert best.rows[:k].tolist() == ranking(wanted, k, allowed)
            np.testing.assert_array_equal(best.scores, wanted[best.rows])
            if best.known is not None:
                np.testing.assert_array_equal(best.known.of(allowed_rows), wanted[allowed_rows])


def test_scores_of_other_rows_come_along_where_lists_are_short() -> None:
    matrix = zipf_matrix(3000, 50, 3)
    part, terms, weights = part_of(matrix), [2, 7, 40], [1.0, 0.5, 2.0]
    wanted = brute_scores(matrix, terms, weights)
    found = part.find(terms, weights, 40, more=True)
    assert found.known is not None
    np.testing.assert_array_equal(found.known.of(np.arange(3000)), wanted)
    assert part.find(terms, weights, 40).known is None
    assert part.find([60], [1.0], 40, more=True).rows.tolist() == []  # no list at all


@pytest.mark.parametrize("k", [1, 3, 40])
def test_a_light_term_of_every_row_settles_the_order_among_rows_of_a_rare_term(
    k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (impacts_layout, impacts_files):
        monkeypatch.setattr(module, "BLOCK", 1024)
    dense = np.zeros((6000, 2), np.float32)
    dense[:, 0] = np.random.default_rng(0).integers(1, 9, 6000)
    dense[::200, 1] = 1 + np.arange(30) % 3
    part, every = part_of(sp.csr_array(dense)), np.arange(6000)
    for wanted, (rows, scores) in (
        (part.score([0, 1], [0.01, 5.0], every), part.search([0, 1], [0.01, 5.0], k)),
        (
            part.bm25_score([0, 1], [0.01, 5.0], 4.0, Bm25Options(), every),
            part.bm25_search([0, 1], [0.01, 5.0], 4.0, Bm25Options(), k),
        ),
    ):
        assert rows.tolist() == ranking(wanted, k)
        np.testing.assert_array_equal(scores, wanted[rows])


def test_frequencies_count_living_rows_whether_few_or_many_are_dead() -> None:
    matrix = zipf_matrix(1500, 20, 4)
    part, held = part_of(matrix), matrix.toarray() > 0
    for chance in (0.0, 0.001, 0.01, 0.5, 1.0):
        alive = np.random.default_rng(0).random(1500) >= chance
        assert part.frequencies(range(20), alive).tolist() == held[alive].sum(axis=0).tolist()


def test_scores_are_close_to_float64() -> None:
    matrix = zipf_matrix(300, 40, 3)
    terms, weights = np.arange(0, 40, 2), np.linspace(0.1, 2, 20)
    expected = matrix.toarray().astype(np.float64)[:, ::2] @ weights
    np.testing.assert_allclose(part_of(matrix).score(terms, weights, np.arange(300)), expected, rtol=1e-6)


@needs_kernels
def test_both_implementations_give_the_same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    matrix = zipf_matrix(700, 50, 5, counts=True)
    part, rows = part_of(matrix), np.arange(0, 700, 3)
    terms, weights = np.arange(0, 50, 3), np.random.default_rng(0).gamma(2, 1, 17)
    alive = np.random.default_rng(1).random(700) < 0.8
    answers = []
    for kernels in (BUILT, None):
        monkeypatch.setattr(impacts_kernels, "_kernels", kernels)
        answers.append(
            [
                *part.search(terms, weights, 50, alive),
                *part.bm25_search(terms, weights, 70.5, Bm25Options(), 50, alive),
                part.score(terms, weights, rows),
                part.bm25_score(terms, weights, 70.5, Bm25Options(), rows),
                part.frequencies(terms, alive),
            ]
        )
    for compiled, plain in zip(*answers, strict=True):
        np.testing.assert_array_equal(compiled, plain)


def test_a_hand_worked_example() -> None:
    part = part_of(sp.csr_array(np.array([[1, 0, 2], [0, 0, 0], [0, 3, 1], [1, 0, 2]], np.float32)))
    rows, scores = part.search([2, 0], [0.5, 2.0], 10)
    assert rows.tolist() == [0, 3, 2]
    assert scores.tolist() == [3.0, 3.0, 0.5]
    assert part.lengths.tolist() == [3, 0, 4, 3]
    assert part.frequencies([2, 0, 9, 2]).tolist() == [3, 2, 0, 3]
    alive = np.array([False, True, True, True])
    assert part.frequencies([2, 0, 9, 2], alive).tolist() == [2, 1, 0, 2]
    norms = [0.9 * (0.6 + 0.4 * 3 / 2.5), 0.9 * (0.6 + 0.4 * 4 / 2.5)]
    found = part.bm25_search([2], [1.5], 2.5, Bm25Options(), 2, alive)
    np.testing.assert_allclose(found[1], [1.5 * 2 / (2 + norms[0]), 1.5 * 1 / (1 + norms[1])], rtol=1e-6)
    assert found[0].tolist() == [3, 2]


def test_matrix_gives_rows_back_in_the_order_asked() -> None:
    matrix = zipf_matrix(50, 20, 2)
    part = part_of(matrix)
    asked = [7, 7, 0, 49]
    np.testing.assert_array_equal(part.matrix(asked).toarray(), matrix.toarray()[asked])
    assert part.matrix([]).shape == (0, 20)


def test_entries_for_the_same_place_add_up_and_zeros_are_left_out() -> None:
    matrix = sp.csr_array((np.array([1, 2, 0], np.float32), np.array([3, 3, 1]), np.array([0, 3])), shape=(1, 5))
    part = part_of(matrix)
    assert part.matrix([0]).toarray().tolist() == [[0, 0, 0, 3, 0]]
    assert part.frequencies([1, 3]).tolist() == [0, 1]
    assert matrix.data.tolist() == [1, 2, 0], "the caller's matrix stays as it was"


@pytest.mark.parametrize("shape", [(0, 5), (3, 5), (20, 5), (0, 0)])
def test_parts_without_terms_find_nothing(shape: tuple[int, int]) -> None:
    part = part_of(sp.csr_array(shape, dtype=np.float32))
    assert (len(part), part.vocabulary) == shape
    rows, scores = part.search([0, 1], [1.0, 1.0], 3)
    assert (len(rows), len(scores)) == (0, 0)
    assert part.score([0], [1.0], np.arange(shape[0])).tolist() == [0.0] * shape[0]
    assert part.search([], [], 3, np.ones(shape[0], np.bool_))[0].tolist() == []
    assert len(merged([(part, np.arange(shape[0])), (part, np.zeros(0, np.int64))])) == shape[0]


def test_nothing_merged_is_an_empty_part() -> None:
    assert len(merged([])) == 0


def test_a_large_vocabulary_costs_little_in_a_small_segment() -> None:
    matrix = sp.csr_array((np.ones(3, np.float32), ([0, 0, 1], [5, VOCABULARY - 1, 7])), shape=(2, VOCABULARY))
    part = part_of(matrix)
    assert part.vocabulary == VOCABULARY
    assert part.bytes < 500
    assert part.search([VOCABULARY - 1, 2**40], [1.0, 1.0], 5)[0].tolist() == [0]


def test_threads_get_the_answers_of_one(implementation: str) -> None:
    part, rng = part_of(zipf_matrix(2000, 80, 9)), np.random.default_rng(0)
    asked = [(rng.choice(80, 9, replace=False), rng.gamma(2, 1, 9)) for _ in range(40)]
    alone = [part.search(terms, weights, 20) for terms, weights in asked]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(lambda query: part.search(*query, 20), asked))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one[0], other[0])
        np.testing.assert_array_equal(one[1], other[1])


def test_arguments_that_cannot_be_are_refused() -> None:
    part = part_of(zipf_matrix(10, 5, 0))
    with pytest.raises(InputError, match="k must be at least 1"):
        part.search([1], [1.0], 0)
    with pytest.raises(InputError, match="one finite weight a term"):
        part.search([1, 2], [1.0], 1)
    with pytest.raises(InputError, match="one finite weight a term"):
        part.search([1], [np.nan], 1)
    with pytest.raises(InputError, match="one bool a row"):
        part.search([1], [1.0], 1, np.ones(9, np.bool_))
    with pytest.raises(InputError, match="one bool a row"):
        part.frequencies([1], np.ones(10, np.uint8))  # type: ignore[arg-type]
    for rows in ([10], [-1], [[0]]):
        with pytest.raises(InputError, match="a part with 10 rows"):
            part.score([1], [1.0], rows)
    for bad in (-1.0, np.inf, np.nan):
        with pytest.raises(InputError, match="negative or not finite"):
            part_of(sp.csr_array(np.array([[bad]], np.float32)))


def test_incomplete_tensors_are_refused(tmp_path: Path) -> None:
    writer = TensorWriter(tmp_path / "part", {})
    write_impacts(writer, "sparse", zipf_matrix(40, 5, 0))
    writer.finish()
    arrays = memory_map(tmp_path / "part")
    with pytest.raises(LibraryError, match="incomplete"):
        ImpactsPart(arrays, "terms")
    for name in ("terms", "offsets", "rows", "maxima", "block_starts", "shortest", "lengths", "starts", "weights"):
        with pytest.raises(LibraryError, match="do not fit"):
            ImpactsPart(arrays | {f"sparse.{name}": arrays[f"sparse.{name}"][:-1]}, "sparse")
    with pytest.raises(LibraryError, match="do not fit"):
        ImpactsPart(arrays | {"sparse.values": arrays["sparse.values"].astype(np.float64)}, "sparse")


@needs_kernels
@given(st.data())
@settings(max_examples=60, deadline=None)
def test_kernels_keep_within_damaged_arrays(data: st.DataObject) -> None:
    part = part_of(zipf_matrix(30, 6, 1))
    impacts, rng = part.impacts, np.random.default_rng(data.draw(st.integers(0, 10**6)))
    lists, forward = list(impacts._lists), list(impacts._forward)
    for tensors in (lists, forward):
        for place, array in enumerate(tensors):
            if data.draw(st.booleans()):
                wild = (
                    rng.integers(-(2**31), 2**31, array.shape)
                    if rng.random() < 0.5
                    else rng.integers(-3, 200, array.shape)
                )
                tensors[place] = wild.astype(array.dtype)
    places, weights = rng.integers(0, 5, 4), rng.normal(size=4).astype(np.float32)
    rows, scores, counts = np.empty(30, np.int64), np.empty(30, np.float32), np.empty(4, np.int64)
    allowed, terms = rng.random(30) < 0.5, np.arange(4, dtype=np.int32)
    for saturated in (False, True):
        numbers = (0.5, 0.1)
        try:
            everything = scores.copy() if saturated else None
            found = BUILT.search(
                tuple(lists), 8, places, weights, saturated, numbers, 9, allowed, rows, scores, everything
            )
            assert 0 <= found <= 9
            assert ((rows[:found] >= 0) & (rows[:found] < 30)).all()
        except ValueError as error:
            assert "damaged" in str(error)
        BUILT.score(tuple(forward), terms, weights, saturated, numbers, np.arange(30), scores)
    try:
        BUILT.frequencies(tuple(lists), 8, tuple(forward), places, terms, allowed, counts)
        assert ((counts >= -30) & (counts <= 200)).all()
    except ValueError as error:
        assert "damaged" in str(error)


@needs_kernels
def test_kernels_refuse_arrays_that_do_not_fit() -> None:
    impacts = part_of(zipf_matrix(30, 6, 1)).impacts
    lists, forward = impacts._lists, impacts._forward
    places, weights, numbers = np.arange(2), np.ones(2, np.float32), (0.0, 0.0)
    rows, scores, counts = np.empty(9, np.int64), np.empty(9, np.float32), np.empty(2, np.int64)
    terms, alive = np.arange(2, dtype=np.int32), np.ones(30, np.bool_)
    good = [lists, 8, places, weights, False, numbers, 9, None, rows, scores, None]
    assert BUILT.search(*good) == 9
    swaps: list[tuple[int, Any]] = [
        (1, 0), (1, 4), (1, 2**40), (2, places[:1]), (2, np.array([0, 99])), (2, np.array([-1, 0])), (3, weights[:1]),
        (6, -1), (6, 10), (7, alive[:5]), (8, rows[:3]), (9, scores[:3]), (10, scores),
        (0, (lists[0][:-1], *lists[1:])),
    ]  # fmt: skip
    for place, value in swaps:
        with pytest.raises(ValueError, match=r"."):
            BUILT.search(*good[:place], value, *good[place + 1 :])
    with pytest.raises(TypeError):
        BUILT.search(*good[:0], lists[:3], *good[1:])
    for asked in ([30], [-1]):
        with pytest.raises(ValueError, match="out of range"):
            BUILT.score(forward, terms, weights, False, numbers, np.array(asked), scores[:1])
    with pytest.raises(ValueError, match="another length"):
        BUILT.score(forward, terms, weights, False, numbers, np.arange(3), scores[:1])
    for length, masked in itertools.product((1, 2), (alive, alive[:3])):
        if length == 1 or len(masked) == 3:
            with pytest.raises(ValueError, match="another length"):
                BUILT.frequencies(lists, 8, forward, places, terms[:length], masked, counts)
