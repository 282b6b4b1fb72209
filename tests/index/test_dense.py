"""The dense part of a native segment against brute force in float64."""

import contextlib
import logging
import threading
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pytest

from trivec.errors import InputError, LibraryError
from trivec.index.native import dense, dense_codecs, dense_graph
from trivec.index.native.dense import DenseOptions, DensePart, build_graph, merge_dense, write_dense
from trivec.index.native.dense_codecs import CODECS, DenseCodec
from trivec.tensorfile import TensorWriter, memory_map
from trivec.types import FloatArray, IntArray

WIDTH = 40
TOLERANCE = {"float32": 1e-6, "float16": 2e-3, "int8": 2e-2, "binary": 2e-2}
SMALL_GRAPH = DenseOptions("float16", graph_from=100, lists_from=10**9)
SMALL_LISTS = DenseOptions("float16", graph_from=100, lists_from=100)


def clustered(n: int, width: int = WIDTH, seed: int = 0) -> FloatArray:
    """Unit vectors around 30 directions that have much in common, as embeddings have."""
    rng = np.random.default_rng(seed)
    centers = np.random.default_rng(99).standard_normal((30, width)) + 1.5
    vectors = centers[rng.integers(0, 30, n)] + 0.7 * rng.standard_normal((n, width))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def written(
    folder: Path, batches: Iterable[FloatArray], options: DenseOptions, width: int = WIDTH, name: str = "a"
) -> DensePart:
    path = folder / f"{name}.safetensors"
    with contextlib.closing(TensorWriter(path, {})) as writer:
        rows = write_dense(writer, "dense", width, batches, options)
        writer.finish()
    part = DensePart(memory_map(path), "dense", options=options)
    assert len(part) == rows
    return part


def merged(folder: Path, parts: Sequence[tuple[DensePart, IntArray]], options: DenseOptions) -> DensePart:
    path = folder / "merged.safetensors"
    with contextlib.closing(TensorWriter(path, {})) as writer:
        merge_dense(writer, "fde", parts, options)
        writer.finish()
    return DensePart(memory_map(path), "fde", options=options)


def with_graph(folder: Path, vectors: FloatArray, options: DenseOptions) -> DensePart:
    part = written(folder, [vectors], options, vectors.shape[1])
    assert build_graph(part, folder / "graph.faiss", options)
    return DensePart(memory_map(folder / "a.safetensors"), "dense", folder / "graph.faiss", options)


def best_of(scores: FloatArray, allowed: np.ndarray | None, k: int) -> IntArray:
    rows = np.arange(len(scores)) if allowed is None else np.flatnonzero(allowed)
    return rows[np.lexsort((rows, -scores[rows]))][:k]


def check_exact(part: DensePart, query: FloatArray, k: int, allowed: np.ndarray | None) -> None:
    scores = part.score(query, np.arange(len(part)))
    rows, found = part.search(query, k, allowed)
    np.testing.assert_array_equal(rows, best_of(scores, allowed, k))
    np.testing.assert_array_equal(found, scores[rows])


@pytest.fixture(params=["compiled", "numpy"])
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to compute; the first is left out where it was not built."""
    if request.param == "numpy":
        monkeypatch.setattr(dense_codecs, "_kernels", None)
    elif dense_codecs._kernels is None:
        pytest.skip("the kernels were not built")


@pytest.mark.usefixtures("kernels")
class TestCodecs:
    @pytest.mark.parametrize("codec", CODECS)
    @pytest.mark.parametrize("width", [1, 7, 40, 64, 129])
    def test_scores_and_vectors(self, tmp_path: Path, codec: DenseCodec, width: int) -> None:
        vectors = np.random.default_rng(1).standard_normal((50, width)).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        part = written(tmp_path, [vectors[:20], vectors[20:]], DenseOptions(codec), width)
        assert (len(part), part.width, part.codec) == (50, width, codec)
        rows = np.array([3, 49, 0, 3])
        np.testing.assert_allclose(part.vectors(rows), vectors[rows], atol=TOLERANCE[codec])
        query = vectors[7]
        np.testing.assert_allclose(
            part.score(query, rows), part.vectors(rows).astype(np.float64) @ query.astype(np.float64), atol=1e-6
        )

    @pytest.mark.parametrize("codec", ["float32", "float16", "int8"])
    @pytest.mark.parametrize("share", [None, 0.0, 0.002, 0.1, 0.5, 1.0])
    def test_scan_equals_brute_force(self, tmp_path: Path, codec: DenseCodec, share: float | None) -> None:
        part = written(tmp_path, [clustered(3000)], DenseOptions(codec))
        allowed = None if share is None else np.random.default_rng(2).random(3000) < share
        for k in (1, 10, 200, 5000):
            check_exact(part, clustered(1, seed=5)[0], k, allowed)

    @pytest.mark.parametrize("share", [None, 0.01, 0.3])
    def test_binary_finds_nearly_all(self, tmp_path: Path, share: float | None) -> None:
        part = written(tmp_path, [clustered(3000)], DenseOptions("binary"))
        allowed = None if share is None else np.random.default_rng(2).random(3000) < share
        recalls = []
        for query in clustered(20, seed=6):
            scores = part.score(query, np.arange(3000))
            rows, found = part.search(query, 20, allowed)
            np.testing.assert_array_equal(found, scores[rows])
            recalls.append(np.isin(best_of(scores, allowed, 20), rows).mean())
        assert np.mean(recalls) > 0.95

    def test_ties_go_to_the_lower_row(self, tmp_path: Path) -> None:
        vectors = np.eye(WIDTH, dtype=np.float32)[np.tile([0, 1, 2, 1], 25)]
        part = written(tmp_path, [vectors], DenseOptions("float32"))
        rows, scores = part.search(np.eye(WIDTH, dtype=np.float32)[1], 60, None)
        np.testing.assert_array_equal(rows[:50], np.arange(1, 100, 2))
        np.testing.assert_array_equal(rows[50:], np.arange(0, 20, 2))
        np.testing.assert_array_equal(scores, [1.0] * 50 + [0.0] * 10)

    def test_a_rows_score_does_not_depend_on_the_others(self, tmp_path: Path) -> None:
        part = written(tmp_path, [clustered(500)], DenseOptions("float32"))
        query = clustered(1, seed=9)[0]
        together = part.score(query, np.arange(500))
        alone = np.concatenate([part.score(query, np.array([row])) for row in range(500)])
        np.testing.assert_array_equal(together, alone)


class TestKernels:
    def test_both_ways_agree(self) -> None:
        if dense_codecs._kernels is None:
            pytest.skip("the kernels were not built")
        vectors, query, rows = clustered(200, 100), clustered(1, 100, 3)[0], np.array([5, 199, 0])
        for codec in ("float32", "float16", "int8"):
            values, scales = dense_codecs.encode_values(vectors, codec)
            for chosen in (None, rows):
                fast, plain = (dense_codecs.dot_rows(values, scales, query, chosen, way) for way in (True, False))
                np.testing.assert_allclose(fast, plain, atol=1e-6)
        signs = dense_codecs.encode_signs(vectors, vectors.mean(axis=0))
        for chosen in (None, rows):
            fast, plain = (dense_codecs.estimate_rows(signs, query, chosen, way) for way in (True, False))
            np.testing.assert_allclose(fast, plain, atol=1e-5)

    def test_half_floats_of_every_kind(self) -> None:
        every = np.arange(1 << 16, dtype=np.uint32).astype(np.uint16).view(np.float16)
        finite = every[np.isfinite(every)]
        for width in (1, 64):  # the scalar and the wide way
            values = np.zeros((len(finite), width), np.float16)
            values[:, 0] = finite
            query = np.ones(width, np.float32)
            np.testing.assert_array_equal(dense_codecs.dot_rows(values, None, query, None), finite.astype(np.float32))

    def test_estimate_is_exact_on_the_center_and_the_row_itself(self) -> None:
        vectors = clustered(20)
        center = clustered(1, seed=8)[0]
        signs = dense_codecs.encode_signs(vectors, center)
        np.testing.assert_allclose(
            dense_codecs.estimate_rows(signs, center, None), (vectors - center) @ center, atol=1e-5
        )

    def test_estimates_follow_the_products(self) -> None:
        vectors, query = clustered(2000, 128), clustered(1, 128, 3)[0]
        center = vectors.mean(axis=0)
        signs = dense_codecs.encode_signs(vectors, center)
        exact = (vectors - center) @ query
        error = dense_codecs.estimate_rows(signs, query, None) - exact
        assert np.std(error) < 0.5 * np.std(exact)
        assert abs(np.mean(error)) < 0.1 * np.std(exact)

    def test_rows_that_are_not_there_are_refused(self) -> None:
        if dense_codecs._kernels is None:
            pytest.skip("the kernels were not built")
        values, query = clustered(10), clustered(1)[0]
        for rows in ([10], [-1], [0, 2**40]):
            with pytest.raises(ValueError, match="row numbers"):
                dense_codecs.dot_rows(values, None, query, np.array(rows))
        with pytest.raises(ValueError, match="lengths"):
            dense_codecs._kernels.dot_rows(0, values, None, query, None, np.empty(11, np.float32))
        with pytest.raises(ValueError, match="lengths"):
            dense_codecs._kernels.dot_rows(3, values, None, query, None, np.empty(10, np.float32))
        signs = dense_codecs.encode_signs(values, values[0])
        with pytest.raises(ValueError, match="row numbers"):
            dense_codecs.estimate_rows(signs, query, np.array([10]))


class TestEdges:
    @pytest.mark.parametrize("codec", CODECS)
    def test_no_rows(self, tmp_path: Path, codec: DenseCodec) -> None:
        part = written(tmp_path, [], DenseOptions(codec))
        rows, scores = part.search(clustered(1)[0], 5, None)
        assert (len(rows), len(scores), part.codec, part.width) == (0, 0, codec, WIDTH)
        assert part.vectors(np.zeros(0, np.int64)).shape == (0, WIDTH)
        assert not build_graph(part, tmp_path / "graph.faiss", SMALL_GRAPH)
        assert len(merged(tmp_path, [(part, np.zeros(0, np.int64))], DenseOptions(codec))) == 0

    @pytest.mark.parametrize("codec", CODECS)
    def test_zero_vectors(self, tmp_path: Path, codec: DenseCodec) -> None:
        part = written(tmp_path, [np.zeros((300, WIDTH), np.float32)], DenseOptions(codec))
        rows, scores = part.search(clustered(1)[0], 3, None)
        assert rows.tolist() == [0, 1, 2] and not scores.any()

    def test_what_cannot_be_kept_is_refused(self, tmp_path: Path) -> None:
        for codec, value in (("float32", np.nan), ("int8", np.inf), ("float16", 1e6)):
            with pytest.raises(InputError, match="cannot be kept"):
                written(tmp_path, [np.full((1, WIDTH), value, np.float32)], DenseOptions(codec))
        with pytest.raises(InputError, match="width 40"):
            written(tmp_path, [np.zeros((2, 3), np.float32)], DenseOptions())

    def test_wrong_requests_are_refused(self, tmp_path: Path) -> None:
        part = written(tmp_path, [clustered(10)], DenseOptions())
        with pytest.raises(InputError, match="width 40"):
            part.search(np.zeros(3, np.float32), 5, None)
        with pytest.raises(InputError, match="k must be at least 1"):
            part.search(clustered(1)[0], 0, None)
        with pytest.raises(IndexError, match="with 10"):
            part.score(clustered(1)[0], np.array([10]))

    def test_wrong_tensors_are_refused(self) -> None:
        codes = np.zeros((3, 4), np.int8)
        for arrays in ({}, {"dense.values": codes}, {"dense.values": codes, "dense.scales": np.zeros(2, np.float32)}):
            with pytest.raises(LibraryError, match=r"dense\.\*"):
                DensePart(arrays, "dense")

    @pytest.mark.parametrize("wrong", [{"codec": "int4"}, {"graph_from": 0}, {"lists_from": 0}, {"oversample": 0}])
    def test_options_are_checked(self, wrong: dict[str, object]) -> None:
        with pytest.raises(InputError):
            DenseOptions(**wrong)

    def test_bytes(self, tmp_path: Path) -> None:
        sizes = {c: written(tmp_path, [clustered(64)], DenseOptions(c), name=c).bytes for c in CODECS}
        assert sizes["float32"] == 2 * sizes["float16"] == 64 * WIDTH * 4
        assert sizes["int8"] == 64 * (WIDTH + 4) and sizes["binary"] == sizes["int8"] + 64 * 16 + 4 * WIDTH


class TestMerge:
    @pytest.mark.parametrize("before", CODECS)
    @pytest.mark.parametrize("after", CODECS)
    def test_surviving_rows_in_order(self, tmp_path: Path, before: DenseCodec, after: DenseCodec) -> None:
        first, second = clustered(30), clustered(20, seed=1)
        parts = [
            (written(tmp_path, [first], DenseOptions(before), name="a"), np.array([0, 4, 29])),
            (written(tmp_path, [second], DenseOptions("float32"), name="b"), np.arange(20)),
        ]
        found = merged(tmp_path, parts, DenseOptions(after))
        assert (len(found), found.codec) == (23, after)
        expected = np.concatenate([first[[0, 4, 29]], second])
        np.testing.assert_allclose(found.vectors(np.arange(23)), expected, atol=2 * TOLERANCE["int8"])
        if before == after:
            np.testing.assert_array_equal(found.vectors(np.arange(3)), parts[0][0].vectors(parts[0][1]))

    def test_merged_signs_share_one_center(self, tmp_path: Path) -> None:
        options = DenseOptions("binary")
        parts = [
            (written(tmp_path, [clustered(700, seed=seed)], options, name=str(seed)), np.arange(0, 700, 2))
            for seed in (1, 2, 3)
        ]
        found = merged(tmp_path, parts, options)
        query = clustered(1, seed=4)[0]
        rows, _ = found.search(query, 10, None)
        expected = best_of(found.score(query, np.arange(1050)), None, 10)
        assert np.isin(expected, rows).mean() >= 0.9

    def test_no_parts_and_other_widths_are_refused(self, tmp_path: Path) -> None:
        narrow = written(tmp_path, [], DenseOptions(), width=3, name="narrow")
        for parts in ([], [(narrow, np.arange(0)), (written(tmp_path, [], DenseOptions()), np.arange(0))]):
            with pytest.raises(InputError, match="widths"):
                merged(tmp_path, parts, DenseOptions())


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Small parts would be scanned: let the planner think that a graph costs nothing."""
    monkeypatch.setattr(dense_graph.DenseGraph, "scanned_rows", lambda self, wanted, codec: 0.0)


def recall(part: DensePart, queries: FloatArray, k: int, allowed: np.ndarray | None) -> float:
    found = []
    for query in queries:
        scores = part.score(query, np.arange(len(part)))
        rows, values = part.search(query, k, allowed)
        np.testing.assert_array_equal(values, scores[rows], "a search gives the very numbers of `score`")
        assert len(rows) == min(k, len(part) if allowed is None else int(allowed.sum()))
        assert allowed is None or allowed[rows].all()
        found.append(np.isin(best_of(scores, allowed, k), rows).mean())
    return float(np.mean(found))


@pytest.fixture(scope="module", params=[SMALL_GRAPH, SMALL_LISTS], ids=["graph", "lists"])
def options(request: pytest.FixtureRequest) -> DenseOptions:
    return request.param


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, options: DenseOptions) -> Path:
    """Of the part a with a graph."""
    folder = tmp_path_factory.mktemp("graph")
    with_graph(folder, clustered(1500), options)
    return folder


@pytest.fixture
def part(folder: Path, options: DenseOptions) -> DensePart:
    return DensePart(memory_map(folder / "a.safetensors"), "dense", folder / "graph.faiss", options)


@pytest.mark.usefixtures("eager")
class TestGraph:
    def test_recall_at_every_selectivity(self, part: DensePart) -> None:
        rng = np.random.default_rng(0)
        for k, share in ((1, 1.0), (10, 1.0), (100, 1.0), (600, 1.0), (10, 0.5), (100, 0.2), (10, 0.02), (5, 0.002)):
            allowed = None if share == 1.0 else rng.random(1500) < share
            assert recall(part, clustered(10, seed=7), k, allowed) >= 0.98, (k, share)

    def test_a_filter_against_the_query(self, part: DensePart) -> None:
        for query in clustered(5, seed=8):
            products = part.score(query, np.arange(1500))
            assert recall(part, query[None], 20, products < np.quantile(products, 0.3)) == 1.0

    def test_many_threads(self, part: DensePart) -> None:
        queries = clustered(40, seed=2)
        expected = [part.search(query, 30, None)[0] for query in queries]
        wrong: list[int] = []

        def work() -> None:
            for place, query in enumerate(queries):
                if not np.array_equal(part.search(query, 30, None)[0], expected[place]):
                    wrong.append(place)

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong

    def test_vectors_of_unequal_length(self, tmp_path: Path, options: DenseOptions) -> None:
        lengths = np.random.default_rng(3).lognormal(0, 0.7, (1000, 1)).astype(np.float32)
        part = with_graph(tmp_path, clustered(1000) * lengths, options)
        assert recall(part, 3 * clustered(10, seed=9), 20, None) >= 0.98

    def test_width_that_is_no_multiple_of_sixteen(self, tmp_path: Path, options: DenseOptions) -> None:
        part = with_graph(tmp_path, clustered(500, 21), options)
        assert recall(part, clustered(5, 21, seed=9), 10, None) >= 0.98

    def test_damaged_files_fall_back_to_scanning(
        self, tmp_path: Path, folder: Path, options: DenseOptions, caplog: pytest.LogCaptureFixture
    ) -> None:
        whole = (folder / "graph.faiss").read_bytes()
        damaged = tmp_path / "damaged.faiss"
        for content in (None, b"", b"x" * 100, whole[:-1], whole[: len(whole) // 2], b"x" * 50 + whole[50:]):
            if content is not None:
                damaged.write_bytes(content)
            part = DensePart(memory_map(folder / "a.safetensors"), "dense", damaged, options)
            caplog.clear()
            with caplog.at_level(logging.WARNING):
                check_exact(part, clustered(1, seed=3)[0], 10, None)
                check_exact(part, clustered(1, seed=4)[0], 10, None)
            assert len(caplog.messages) == 1 and "damaged.faiss" in caplog.text

    def test_the_graph_of_another_part_is_not_used(
        self, tmp_path: Path, folder: Path, options: DenseOptions, caplog: pytest.LogCaptureFixture
    ) -> None:
        written(tmp_path, [clustered(400)], options, name="b")
        part = DensePart(memory_map(tmp_path / "b.safetensors"), "dense", folder / "graph.faiss", options)
        with caplog.at_level(logging.WARNING):
            check_exact(part, clustered(1)[0], 10, None)
        assert "1500 vectors" in caplog.text


class TestPlanner:
    def test_small_parts_get_no_graph(self, tmp_path: Path) -> None:
        part = written(tmp_path, [clustered(99)], SMALL_GRAPH)
        assert not build_graph(part, tmp_path / "graph.faiss", SMALL_GRAPH)
        assert not (tmp_path / "graph.faiss").exists()

    def test_few_allowed_rows_are_scanned(self, tmp_path: Path) -> None:
        part = with_graph(tmp_path, clustered(1000), SMALL_GRAPH)
        allowed = np.zeros(1000, bool)
        allowed[::50] = True
        for k in (1, 10, 100):
            check_exact(part, clustered(1, seed=3)[0], k, allowed)

    def test_graph_is_asked_when_it_is_cheaper(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        asked: list[int] = []
        original = dense_graph.DenseGraph.candidates

        def noted(self: dense_graph.DenseGraph, query: FloatArray, wanted: int) -> IntArray:
            asked.append(wanted)
            return original(self, query, wanted)

        monkeypatch.setattr(dense_graph.DenseGraph, "candidates", noted)
        monkeypatch.setattr(dense_graph, "_SCANNED_A_CANDIDATE", dict.fromkeys(CODECS, 1))
        part = with_graph(tmp_path, clustered(1000), SMALL_GRAPH)
        query, half = clustered(1)[0], np.arange(1000) % 2 == 0
        part.search(query, 10, None)
        part.search(query, 10, np.ones(1000, bool))
        part.search(query, 10, half)
        part.search(query, 900, None)
        assert asked == [10, 10, 20]


class TestBegun:
    """Candidates that other threads begin to look for."""

    @pytest.mark.parametrize("codec", CODECS)
    @pytest.mark.parametrize("share", [None, 0.6, 0.02])
    def test_the_best_are_found(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: DenseCodec, share: float | None
    ) -> None:
        monkeypatch.setattr(dense, "_SIGNS_FROM", 1000)
        monkeypatch.setattr(dense, "_STRETCH_ROWS", 100)
        vectors = clustered(6000)
        part = written(tmp_path, [vectors], DenseOptions(codec))
        part = merged(tmp_path, [(part, np.arange(6000))], DenseOptions(codec))
        allowed = None if share is None else np.random.default_rng(1).random(6000) < share
        recalls = []
        for query in clustered(10, seed=5):
            found = part.begin(query, 100, allowed)()
            np.testing.assert_array_equal(found.scores, part.score(query, found.rows))
            expected = best_of(part.score(query, np.arange(6000)), allowed, 100)
            recalls.append(np.isin(expected[:10], found.rows).mean())
            assert len(found.rows) >= len(expected)
            if found.known is not None:
                rows = np.arange(6000) if allowed is None else np.flatnonzero(allowed)
                np.testing.assert_array_equal(found.known.of(rows), part.score(query, rows))
        assert np.mean(recalls) >= (0.98 if share is None else 0.95)

    def test_likely_rows_hold_the_best_estimates(self, kernels: None) -> None:
        vectors = clustered(3000)
        signs = dense_codecs.encode_signs(vectors, vectors.mean(axis=0))
        for query in clustered(5, seed=2):
            for rows in (None, np.arange(5, 3000, 7)):
                estimates = dense_codecs.estimate_rows(signs, query, rows)
                for wanted in (1, 50, 300, 5000):
                    likely = dense_codecs.likely_rows(signs, query, rows, wanted)
                    best = np.argsort(-estimates, kind="stable")[:wanted]
                    assert set((best if rows is None else rows[best]).tolist()) <= set(likely.tolist())
                    assert len(likely) <= 1.5 * wanted + 400
                    np.testing.assert_array_equal(likely, np.unique(likely))

    def test_likely_rows_of_equal_or_damaged_estimates_are_all_of_them(self, kernels: None) -> None:
        vectors = clustered(40)
        signs = dense_codecs.encode_signs(np.repeat(vectors[:1], 40, axis=0), vectors[0] / 2)
        assert len(dense_codecs.likely_rows(signs, vectors[1], None, 3)) == 40

    def test_the_kernel_of_likely_rows_refuses_what_does_not_fit(self) -> None:
        if dense_codecs._kernels is None:
            pytest.skip("the kernel was not built")
        signs = dense_codecs.encode_signs(clustered(40), clustered(1)[0])
        words, out = np.zeros((WIDTH // 64 + (WIDTH % 64 > 0), 4), np.uint64), np.empty(40, np.int64)
        good = [signs.bits, signs.factors, signs.offsets, words, 4, 1.0, 1.0, 0.0, 0.5, 3, None, out]
        assert dense_codecs._kernels.likely(*good) >= 3
        wrong = [(0, signs.bits[:3]), (2, signs.offsets[:5]), (9, 0), (10, np.array([1])), (11, out[:7])]
        for place, value in [*wrong, (10, np.full(40, 40)), (10, np.full(40, -1)), (4, 5)]:
            with pytest.raises(ValueError, match="do not fit"):
                dense_codecs._kernels.likely(*good[:place], value, *good[place + 1 :])

    def test_signs_make_the_choice_where_there_are_any(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(dense, "_SIGNS_FROM", 1000)
        vectors = clustered(6000)
        without = written(tmp_path, [vectors], DenseOptions("float16"))
        with_signs = merged(tmp_path, [(without, np.arange(6000))], DenseOptions("float16"))
        assert with_signs.bytes - without.bytes == 6000 * 16 + WIDTH * 4
        query = clustered(1, seed=3)[0]
        assert with_signs.begin(query, 100, None)().known is None
        assert without.begin(query, 100, None)().known is not None
        check_exact(with_signs, query, 100, None)  # a plain search stays exact
