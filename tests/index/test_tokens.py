from __future__ import annotations

import mmap
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trivec import scoring
from trivec.errors import InputError, LibraryError
from trivec.index.native import (
    token_codecs,
    token_levels,
    token_maxsim,
    token_pages,
    token_part,
    token_residual,
    tokens,
)
from trivec.index.native.token_codecs import TOKEN_CODECS, TokenCodec
from trivec.index.native.token_pages import TouchedPages
from trivec.index.native.token_residual import ResidualCoder, rotation
from trivec.index.native.tokens import TokenPart, merge_tokens, write_tokens
from trivec.ragged import Ragged
from trivec.tensorfile import TensorWriter, memory_map
from trivec.types import FloatArray, IntArray

KERNELS = ["numpy", "portable", "avx2", "avx512", "avx512vnni"]
MAXSIM_ERROR = {"int8": 5e-5}
"""Of scores of unit vectors, where the query is rounded to 16 bits; 2e-6 with other codecs."""
MIN_COSINE = {"float32": 0.999999, "float16": 0.999999, "int8": 0.9999, "int4": 0.994, "residual2": 0.94}
"""Of decoded vectors with the vectors, on average. Two bits without centroids would give 0.939 on Gaussian values."""


@pytest.fixture(params=KERNELS)
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each implementation in turn."""
    compiled = token_maxsim._kernels
    most = KERNELS.index(request.param) - 1
    if request.param == "numpy":
        monkeypatch.setattr(token_maxsim, "_kernels", None)
    elif compiled is None or compiled.kernel(most) != request.param:
        pytest.skip(f"there is no {request.param} kernel here")
    else:
        limited = SimpleNamespace(maxsim=lambda *arguments: compiled.maxsim(*arguments, most))
        monkeypatch.setattr(token_maxsim, "_kernels", limited)
    return str(request.param)


@pytest.fixture
def few_are_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Centroids are learnt from 300 tokens on."""
    monkeypatch.setattr(token_residual, "MIN_TOKENS", 300)


def units(seed: int, lengths: Sequence[int] | IntArray, width: int, topics: int = 0) -> Ragged:
    """Passages with vectors of unit length, random or, with ``topics``, around so many directions."""
    random = np.random.RandomState(seed)
    count = int(np.sum(lengths))
    values = random.standard_normal((count, width))
    if topics:
        directions = np.random.RandomState(1000).standard_normal((topics, width))
        values = directions[random.randint(0, topics, count)] + 0.5 * values
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    return Ragged(values.astype(np.float32), np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64))


def written(path: Path, batches: Sequence[Ragged], codec: TokenCodec, width: int | None = None) -> TokenPart:
    writer = TensorWriter(path, {})
    write_tokens(writer, "multi", width or batches[0].width, batches, codec)
    writer.finish()
    return TokenPart(memory_map(path), "multi")


def merged(path: Path, parts: Sequence[tuple[TokenPart, Any]], codec: TokenCodec) -> TokenPart:
    writer = TensorWriter(path, {})
    merge_tokens(writer, "multi", [(part, np.asarray(rows, np.int64)) for part, rows in parts], codec)
    writer.finish()
    return TokenPart(memory_map(path), "multi")


def cosines(first: FloatArray, second: FloatArray) -> FloatArray:
    norms = np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1)
    return np.einsum("nc,nc->n", first, second) / norms


def expected(query: FloatArray, passages: Ragged) -> FloatArray:
    """The definition, in float64."""
    pairs = [query.astype(np.float64) @ passage.T.astype(np.float64) for passage in passages]
    return np.asarray([pair.max(axis=1).mean() if pair.size else 0 for pair in pairs], np.float32)


def all_rows(part: TokenPart) -> IntArray:
    return np.arange(len(part))


@pytest.mark.usefixtures("few_are_enough")
@pytest.mark.parametrize("codec", TOKEN_CODECS)
@pytest.mark.parametrize(("width", "queries"), [(1, 1), (3, 17), (24, 16), (127, 5), (128, 40), (129, 2), (301, 33)])
def test_maxsim_is_that_of_the_decoded_vectors(
    tmp_path: Path, kernel: str, codec: TokenCodec, width: int, queries: int
) -> None:
    passages = units(1, [0, 5, 1, 0, 130, 48, 47, 49, 0, 96, 2, 0], width)
    part = written(tmp_path / "file", [passages], codec)
    assert (part.codec, part.width, len(part)) == (codec, width, len(passages))
    query = units(2, [queries], width).values
    error = MAXSIM_ERROR.get(codec, 2e-6)
    np.testing.assert_allclose(part.maxsim(query), expected(query, part.vectors(all_rows(part))), rtol=1e-7, atol=error)
    rows = np.asarray([9, 4, 4, 0, 11, 1])
    np.testing.assert_allclose(part.maxsim(query, rows), expected(query, part.vectors(rows)), rtol=1e-7, atol=error)
    assert part.maxsim(query, rows[:0]).shape == (0,)


@pytest.mark.parametrize("width", [511, 512, 513])
@pytest.mark.parametrize("sign", [1, -1])
def test_sums_of_the_greatest_whole_numbers_do_not_overflow(tmp_path: Path, kernel: str, width: int, sign: int) -> None:
    part = written(tmp_path / "file", [Ragged.from_rows([np.full((2, width), 3, np.float32)])], "int8")
    found = part.maxsim(np.full((1, width), sign * 2, np.float32))
    np.testing.assert_allclose(found, [sign * 6 * width], rtol=1e-5)


def test_query_vectors_of_any_size_keep_their_precision(tmp_path: Path, kernel: str) -> None:
    passages, sizes = units(1, [40, 3], 64), np.asarray([0, 1e-40, 1e-20, 1, 1e20], np.float32)
    part = written(tmp_path / "file", [passages], "int8")
    for query, size in zip(units(2, [5], 64).values, sizes, strict=True):
        scaled = (size * query)[None]
        truth = expected(scaled, part.vectors(all_rows(part)))
        np.testing.assert_allclose(part.maxsim(scaled), truth, rtol=1e-4, atol=1e-42)


@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_a_query_that_is_not_finite_does_no_harm(tmp_path: Path, kernel: str, value: float) -> None:
    part = written(tmp_path / "file", [units(1, [3, 0], 4)], "int8")
    with np.errstate(invalid="ignore"):
        found = part.maxsim(np.full((1, 4), value, np.float32))
    assert (found.shape, found[1]) == ((2,), 0)


def test_float32_gives_the_scores_of_scoring(tmp_path: Path, kernel: str) -> None:
    passages, queries = units(1, np.arange(60) % 7, 32), units(2, [9], 32)
    part = written(tmp_path / "file", [passages], "float32")
    np.testing.assert_allclose(part.maxsim(queries.values), scoring.maxsim(queries, passages)[0], atol=1e-6)
    assert part.vectors(all_rows(part)).values.tobytes() == passages.values.tobytes()
    assert part.lengths.tolist() == passages.lengths.tolist()


def test_a_maximum_below_zero_stays_below_zero(tmp_path: Path, kernel: str) -> None:
    passages = Ragged.from_rows([np.asarray([[-1, 0], [0, -1]], np.float32), np.zeros((0, 2), np.float32)])
    part = written(tmp_path / "file", [passages], "float32")
    query = np.asarray([[2, 1], [4, 6]], np.float32)
    assert part.maxsim(query).tolist() == [-2.5, 0]  # (max(-2, -1) + max(-4, -6)) / 2
    assert part.maxsim(query[:0]).tolist() == [0, 0]


@settings(max_examples=30)
@given(st.lists(st.integers(0, 60), min_size=1, max_size=12), st.integers(1, 40), st.integers(0, 35), st.data())
def test_any_shape_scores_as_its_definition(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[int], width: int, queries: int, data: st.DataObject
) -> None:
    rows = np.asarray(data.draw(st.lists(st.integers(0, len(lengths) - 1), max_size=10)), np.int64)
    codec = data.draw(st.sampled_from(["float32", "float16", "int8", "int4"]))
    part = written(tmp_path_factory.mktemp("any") / "file", [units(3, lengths, width)], codec)
    query = units(4, [queries], width).values
    decoded = Ragged.from_rows([part.vectors(np.asarray([row])).values for row in rows], width)
    error = MAXSIM_ERROR.get(codec, 2e-6)
    np.testing.assert_allclose(part.maxsim(query, rows), expected(query, decoded), atol=error)


@pytest.mark.skipif(token_maxsim._kernels is None, reason="the kernel is not built")
@pytest.mark.parametrize("codec", TOKEN_CODECS)
@pytest.mark.usefixtures("few_are_enough")
def test_a_score_does_not_depend_on_the_other_rows(tmp_path: Path, codec: TokenCodec) -> None:
    part = written(tmp_path / "file", [units(1, [33, 70, 1, 150, 60], 20)], codec)
    query = units(2, [19], 20).values
    together = part.maxsim(query)
    alone = np.concatenate([part.maxsim(query, np.asarray([row])) for row in range(5)])
    assert together.tobytes() == alone.tobytes()
    assert part.maxsim(query, np.asarray([3, 1])).tobytes() == together[[3, 1]].tobytes()


@pytest.mark.usefixtures("few_are_enough")
@pytest.mark.parametrize("codec", TOKEN_CODECS)
def test_many_threads_get_the_same_scores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: TokenCodec) -> None:
    part = written(tmp_path / "file", [units(1, np.arange(300) % 9, 32)], codec)
    part._pages = TouchedPages([part._passages.codes.values], budget=1)
    queries = [units(seed, [8], 32).values for seed in range(16)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(part.maxsim, queries))
    for query, scores in zip(queries, found, strict=True):
        np.testing.assert_allclose(scores, part.maxsim(query), atol=1e-6)


def test_a_large_scan_goes_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passages, query = units(1, [3, 0, 20, 1, 1, 5], 8), units(2, [4], 8).values
    part = written(tmp_path / "file", [passages], "int8")
    whole = part.maxsim(query)
    monkeypatch.setattr(token_part, "_SCAN_BYTES", 50)
    np.testing.assert_allclose(part.maxsim(query), whole, atol=1e-6)


@pytest.mark.parametrize("topics", [0, 40])
@pytest.mark.parametrize("codec", TOKEN_CODECS)
@pytest.mark.usefixtures("few_are_enough")
def test_decoded_vectors_are_near_the_vectors(tmp_path: Path, codec: TokenCodec, topics: int) -> None:
    passages = units(1, [50] * 60, 128, topics)
    part = written(tmp_path / "file", [passages], codec)
    decoded = part.vectors(all_rows(part)).values
    assert cosines(decoded, passages.values).mean() > MIN_COSINE[codec]


def test_centroids_help_where_vectors_have_topics() -> None:
    passages = units(1, [3000], 64, topics=30).values
    coder = token_residual.train("residual2", passages, 3000)
    with_topics = cosines(coder.decode(coder.encode(passages)), passages).mean()
    alone = ResidualCoder("residual2", np.zeros((1, 64), np.float16))
    without = cosines(alone.decode(alone.encode(passages)), passages).mean()
    assert with_topics > 0.98 > 0.95 > without


def test_int4_profits_from_what_vectors_have_in_common() -> None:
    vectors = units(1, [500], 64).values + np.float32(0.2)
    coder = token_residual.train("int4", vectors, 500)
    assert coder.centroids.shape == (1, 64)
    np.testing.assert_allclose(coder.centroids[0], (vectors @ coder.rotation).mean(axis=0), atol=2e-3)
    alone = ResidualCoder("int4", np.zeros((1, 64), np.float16))
    errors = [((c.decode(c.encode(vectors)) - vectors) ** 2).sum(axis=1).mean() for c in (coder, alone)]
    assert errors[0] < 0.5 * errors[1]


def test_int8_is_within_half_a_step() -> None:
    vectors = units(1, [200], 33).values
    coder = token_codecs.Int8Coder(33)
    codes = coder.encode(vectors)
    assert np.all(np.abs(coder.decode(codes) - vectors) <= codes.scales[:, None] * 0.5001)
    np.testing.assert_array_equal(np.abs(codes.values).max(axis=1), 127)


@pytest.mark.parametrize("codec", ["int8", "int4", "residual2"])
def test_zero_and_extreme_vectors_survive(codec: TokenCodec) -> None:
    vectors = np.asarray([[0, 0, 0], [1e-20, 0, -1e-20], [1e-42, 0, 0], [3e4, -3e4, 1e4]], np.float32)
    plain = codec == "int8"
    coder = token_codecs.Int8Coder(3) if plain else ResidualCoder(codec, np.zeros((1, 3), np.float16))
    decoded = coder.decode(coder.encode(vectors))
    assert np.isfinite(decoded).all()
    assert decoded[0].tolist() == [0, 0, 0]
    assert cosines(decoded[3:], vectors[3:])[0] > 0.9


@pytest.mark.parametrize("codec", ["int4", "residual2"])
def test_residual_codes_are_what_the_formula_says(codec: TokenCodec) -> None:
    random = np.random.RandomState(0)
    coder = ResidualCoder(codec, random.standard_normal((9, 30)).astype(np.float16))
    vectors = random.standard_normal((200, 30)).astype(np.float32)
    codes = coder.encode(vectors)
    rotated = vectors.astype(np.float64) @ coder.rotation
    centroids = coder.centroids.astype(np.float64)
    distances = ((rotated[:, None] - centroids) ** 2).sum(axis=2)
    assert codes.lists.tolist() == distances.argmin(axis=1).tolist()
    residuals = rotated - centroids[codes.lists]
    numbers = token_levels.unpack(codes.values, coder.bits, 30)
    levels = token_levels.LEVELS[coder.bits].astype(np.float64)[numbers]
    scales = (residuals * levels).sum(axis=1) / (levels**2).sum(axis=1)
    np.testing.assert_allclose(codes.scales, scales, rtol=1e-4)
    sums = centroids[codes.lists] + scales[:, None] * levels
    np.testing.assert_allclose(codes.factors, np.linalg.norm(vectors, axis=1) / np.linalg.norm(sums, axis=1), rtol=1e-3)
    back = (codes.factors[:, None] * sums) @ coder.rotation.T
    np.testing.assert_allclose(coder.decode(codes), back, atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(back, axis=1), np.linalg.norm(vectors, axis=1), rtol=1e-3)


@pytest.mark.parametrize("width", [1, 2, 3, 24, 100, 128, 300])
def test_rotations_keep_dot_products_and_mix(width: int) -> None:
    matrix = rotation(width, 0).astype(np.float64)
    np.testing.assert_allclose(matrix @ matrix.T, np.eye(width), atol=1e-6)
    if width >= 24:
        assert np.abs(matrix).max() < 8 / np.sqrt(width)
        assert not np.array_equal(matrix, rotation(width, 1))


def test_rotations_are_the_same_for_ever() -> None:
    a, b = (0.5 + np.sqrt(0.5)) / np.sqrt(2), (np.sqrt(0.5) - 0.5) / np.sqrt(2)
    expected = [[-b, -a, 0.5], [a, b, 0.5], [-0.5, 0.5, np.sqrt(0.5)]]
    np.testing.assert_allclose(rotation(3, 0), expected, atol=1e-6)


@pytest.mark.parametrize("bits", [2, 4])
def test_numbers_share_bytes_by_planes(bits: int) -> None:
    numbers = np.random.RandomState(0).randint(0, 1 << bits, (7, 13)).astype(np.uint8)
    packed = token_levels.pack(numbers, bits)
    assert packed.shape == (7, {2: 4, 4: 7}[bits])
    np.testing.assert_array_equal(token_levels.unpack(packed, bits, 13), numbers)
    assert packed[0, 0] & ((1 << bits) - 1) == numbers[0, 0]
    assert packed[0, 0] >> bits & ((1 << bits) - 1) == numbers[0, packed.shape[1]]


@pytest.mark.parametrize("bits", [2, 4])
def test_the_nearest_level_is_nearest(bits: int) -> None:
    values = np.arange(-150, 151).astype(np.float32)
    levels = token_levels.level_values(token_levels.nearest(values, bits), bits)
    every = token_levels.LEVELS[bits].astype(np.float32)
    np.testing.assert_array_equal(np.abs(levels - values), np.abs(values[:, None] - every).min(axis=1))


@pytest.mark.parametrize("codec", ["float32", "float16", "int8"])
def test_batches_leave_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: TokenCodec) -> None:
    passages = units(1, np.arange(40) % 6, 11)
    whole = written(tmp_path / "whole", [passages], codec)
    monkeypatch.setattr(tokens, "_PIECE_VALUES", 77)
    batches = [passages.select(slice(start, start + 9)) for start in range(0, 40, 9)]
    pieces = written(tmp_path / "pieces", batches, codec)
    assert (tmp_path / "whole").read_bytes() == (tmp_path / "pieces").read_bytes()
    assert len(whole) == len(pieces) == 40


@pytest.mark.parametrize("codec", TOKEN_CODECS)
def test_no_passages_and_no_vectors(tmp_path: Path, codec: TokenCodec) -> None:
    query = units(2, [4], 8).values
    none = written(tmp_path / "none", [], codec, 8)
    assert (len(none), none.width, none.maxsim(query).shape) == (0, 8, (0,))
    empty = written(tmp_path / "empty", [units(1, [0, 0, 0], 8)], codec)
    assert empty.maxsim(query).tolist() == [0, 0, 0]
    both = merged(tmp_path / "both", [(none, []), (empty, [0, 2])], codec)
    assert both.lengths.tolist() == [0, 0]
    assert both.vectors(all_rows(both)).values.shape == (0, 8)


@pytest.mark.parametrize("piece", [50, 1 << 21])
@pytest.mark.parametrize("codec", ["float32", "float16", "int8", "int4"])
def test_merging_copies_codes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, codec: TokenCodec, piece: int) -> None:
    monkeypatch.setattr(tokens, "_PIECE_VALUES", piece)
    first = written(tmp_path / "a", [units(1, [3, 0, 8, 1], 9)], codec)
    second = written(tmp_path / "b", [units(2, [2, 5, 4], 9)], codec)
    part = merged(tmp_path / "c", [(first, [0, 2, 3]), (second, []), (second, [1, 2])], codec)
    assert part.lengths.tolist() == [3, 8, 1, 5, 4]
    decoded = [first.vectors(np.asarray([0, 2, 3])).values, second.vectors(np.asarray([1, 2])).values]
    np.testing.assert_array_equal(part.vectors(all_rows(part)).values, np.concatenate(decoded))


def test_merging_into_another_codec_codes_anew(tmp_path: Path) -> None:
    passages = units(1, [3, 4, 5], 16)
    first = written(tmp_path / "a", [passages], "float32")
    second = written(tmp_path / "b", [passages], "int4")
    part = merged(tmp_path / "c", [(first, [0, 1]), (second, [1, 2])], "int8")
    assert part.codec == "int8"
    found = part.vectors(all_rows(part)).values
    assert cosines(found[:7], passages.values[:7]).min() > 0.999
    np.testing.assert_allclose(found[7:], second.vectors(np.asarray([1, 2])).values, atol=0.005)


def test_few_tokens_are_int8_where_residual2_is_asked_for(tmp_path: Path) -> None:
    first = written(tmp_path / "a", [units(1, [20, 30], 16)], "residual2")
    assert first.codec == "int8"
    part = merged(tmp_path / "b", [(first, [0, 1]), (first, [1])], "residual2")
    assert part.codec == "int8"
    np.testing.assert_array_equal(part.vectors(np.asarray([2])).values, first.vectors(np.asarray([1])).values)


@pytest.mark.usefixtures("few_are_enough")
def test_merging_many_small_parts_trains(tmp_path: Path, kernel: str) -> None:
    passages = units(1, [40] * 12, 32, topics=10)
    small = [written(tmp_path / str(i), [passages.select(slice(3 * i, 3 * i + 3))], "residual2") for i in range(4)]
    assert {part.codec for part in small} == {"int8"}
    part = merged(tmp_path / "large", [(part, [0, 1, 2]) for part in small], "residual2")
    assert part.codec == "residual2"
    decoded = part.vectors(all_rows(part))
    assert cosines(decoded.values, passages.values).mean() > 0.97
    query = units(2, [6], 32).values
    np.testing.assert_allclose(part.maxsim(query), expected(query, decoded), atol=1e-6)


@pytest.mark.usefixtures("few_are_enough")
def test_merging_residuals_copies_codes_and_joins_tables(tmp_path: Path, kernel: str) -> None:
    first = written(tmp_path / "a", [units(1, [40] * 10, 24)], "residual2")
    second = written(tmp_path / "b", [units(2, [30] * 12, 24)], "residual2")
    few = written(tmp_path / "c", [units(3, [6, 7], 24)], "residual2")
    many = written(tmp_path / "d", [units(4, [100] * 5, 24)], "int8")
    part = merged(
        tmp_path / "all", [(first, [1, 3]), (few, [0, 1]), (second, np.arange(12)), (many, [0, 2, 3, 4])], "residual2"
    )
    assert isinstance(part.coder, ResidualCoder)
    tables = [len(other.coder.centroids) for other in (first, second) if isinstance(other.coder, ResidualCoder)]
    assert len(part.coder.centroids) == sum(tables) + token_residual.list_count("residual2", 413)
    decoded = part.vectors(all_rows(part))
    copied = [first.vectors(np.asarray([1, 3])).values, second.vectors(np.arange(12)).values]
    np.testing.assert_allclose(decoded.values[:80], copied[0], atol=1e-6)
    np.testing.assert_allclose(decoded.values[93 : 93 + 360], copied[1], atol=1e-6)
    assert cosines(decoded.values[80:93], few.vectors(np.arange(2)).values).mean() > 0.9
    query = units(5, [18], 24).values
    np.testing.assert_allclose(part.maxsim(query), expected(query, decoded), atol=1e-6)


@pytest.mark.usefixtures("few_are_enough")
def test_too_many_centroids_are_learnt_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    passages = units(1, [40] * 10, 24)
    part = written(tmp_path / "a", [passages], "residual2")
    monkeypatch.setattr(token_residual, "MAX_LISTS", 100)
    both = merged(tmp_path / "b", [(part, np.arange(10)), (part, np.arange(10))], "residual2")
    assert isinstance(both.coder, ResidualCoder)
    assert len(both.coder.centroids) == token_residual.list_count("residual2", 800)
    assert cosines(both.vectors(np.arange(10)).values, passages.values).mean() > 0.9


def test_tables_that_are_rotated_differently_cannot_be_joined() -> None:
    table = np.zeros((2, 4), np.float16)
    assert token_residual.join([ResidualCoder("int4", table, 0), ResidualCoder("int4", table, 1)]) is None


@pytest.mark.parametrize(("count", "lists"), [(300, 64), (50_000, 512), (1_000_000, 2048), (10**9, 4096)])
def test_centroids_grow_with_the_root_of_the_tokens(count: int, lists: int) -> None:
    assert token_residual.list_count("residual2", count) == lists
    assert token_residual.list_count("int4", count) == 1


@pytest.mark.parametrize("rows", [[0, 5], [-1], [2**40]])
def test_rows_that_are_not_there(tmp_path: Path, rows: list[int]) -> None:
    part = written(tmp_path / "file", [units(1, [1, 2, 3, 4, 5], 4)], "int8")
    for ask in (part.vectors, part.codes, lambda rows: part.maxsim(np.ones((1, 4), np.float32), rows)):
        with pytest.raises(InputError, match=rf"no row {rows[-1]} .* 5 passages"):
            ask(np.asarray(rows))


@pytest.mark.parametrize("shape", [(4,), (2, 3), (2, 5), (1, 2, 4)])
def test_a_query_of_another_shape(tmp_path: Path, shape: tuple[int, ...]) -> None:
    part = written(tmp_path / "file", [units(1, [3], 4)], "int8")
    with pytest.raises(InputError, match="width 4"):
        part.maxsim(np.ones(shape, np.float32))


def test_what_cannot_be_written(tmp_path: Path) -> None:
    writer = TensorWriter(tmp_path / "file", {})
    with pytest.raises(InputError, match="'int5'"):
        write_tokens(writer, "a", 4, [], "int5")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="width 3 among those of width 4"):
        write_tokens(writer, "b", 4, [units(1, [2], 3)])
    with pytest.raises(InputError, match="finite"):
        write_tokens(writer, "c", 1, [Ragged.from_rows([np.asarray([[np.nan]], np.float32)])])
    with pytest.raises(InputError, match="1e\\+06, float16"):
        write_tokens(writer, "d", 1, [Ragged.from_rows([np.asarray([[1e6]], np.float32)])], "float16")
    parts = [(written(tmp_path / str(width), [units(1, [2], width)], "int8"), np.arange(1)) for width in (3, 4)]
    with pytest.raises(InputError, match=r"widths \[3, 4\]"):
        merge_tokens(writer, "e", parts)
    with pytest.raises(InputError, match=r"widths \[\]"):
        merge_tokens(writer, "f", [])
    with pytest.raises(InputError, match="'int5'"):
        merge_tokens(writer, "g", parts[:1], "int5")  # type: ignore[arg-type]
    writer.close()


DAMAGE = {
    "no such tensor": {"codes": None},
    "no such codec": {"layout": np.asarray([9, 4, 0])},
    "another width": {"layout": np.asarray([2, 5, 0])},
    "codes of another type": {"codes": np.zeros((5, 4), np.uint8)},
    "no such seed": {"layout": np.asarray([2, 4, -1])},
    "a short layout": {"layout": np.asarray([2, 4])},
    "scales of another type": {"scales": np.zeros(5)},
    "too few scales": {"scales": np.zeros(4, np.float32)},
    "offsets that fall": {"offsets": np.asarray([0, 4, 3, 5])},
    "offsets too short": {"offsets": np.asarray([0, 2, 3, 4])},
    "no offsets": {"offsets": np.zeros(0, np.int64)},
}


@pytest.mark.parametrize("change", DAMAGE.values(), ids=DAMAGE)
def test_damaged_tensors_are_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    written(tmp_path / "file", [units(1, [2, 0, 3], 4)], "int8")
    arrays = memory_map(tmp_path / "file") | {f"multi.{name}": array for name, array in change.items()}
    with pytest.raises(LibraryError, match="damaged"):
        TokenPart({name: array for name, array in arrays.items() if array is not None}, "multi")


def test_a_centroid_that_is_not_there_is_damage(tmp_path: Path, kernel: str) -> None:
    written(tmp_path / "file", [units(1, [2, 0, 3], 4)], "int4")
    arrays = memory_map(tmp_path / "file")
    part = TokenPart(arrays | {"multi.lists": np.asarray([0, 0, 0, -1, 0], np.int16)}, "multi")
    query = units(2, [2], 4).values
    assert np.all(part.maxsim(query, np.asarray([0])) != 0)
    for ask in (lambda: part.maxsim(query), lambda: part.vectors(np.asarray([2]))):
        with pytest.raises(LibraryError, match="centroid"):
            ask()


@pytest.mark.skipif(token_maxsim._kernels is None, reason="the kernel is not built")
def test_the_kernel_refuses_what_does_not_fit() -> None:
    good: dict[str, Any] = {
        "bits": 2, "width": 8, "codes": np.zeros((5, 2), np.uint8), "levels": np.zeros(16, np.int8),
        "scales": np.ones(5, np.float32), "lists": np.zeros(5, np.uint16), "factors": np.full(5, 2, np.float16),
        "centroids": np.ones((3, 8), np.float16),
        "offsets": np.asarray([0, 2, 5]), "rows": np.asarray([1, 0]), "query": np.ones((2, 8), np.float32),
        "ends": np.asarray([2]), "scores": np.zeros(2, np.float32),
    }  # fmt: skip
    bad: list[dict[str, Any]] = [
        {"bits": 3}, {"width": 0}, {"width": -1}, {"width": 1 << 30}, {"width": 9}, {"bits": 32},
        {"codes": np.zeros(9, np.uint8)}, {"levels": np.zeros(15, np.int8)}, {"scales": np.ones(4, np.float32)},
        {"lists": np.zeros(4, np.uint16)}, {"factors": np.zeros(4, np.float16)},
        {"lists": np.asarray([0, 0, 3, 0, 0], np.uint16)},
        {"centroids": np.ones(23, np.float16)}, {"offsets": np.zeros(0, np.int64)}, {"offsets": np.asarray([0, 2, 6])},
        {"offsets": np.asarray([0, -2, 5])}, {"offsets": np.asarray([3, 2, 5])}, {"rows": np.asarray([0, 2])},
        {"rows": np.asarray([-1, 0])}, {"rows": np.asarray([0])}, {"query": np.ones(15, np.float32)},
        {"scores": np.zeros(3, np.float32)}, {"scores": np.zeros(7, np.uint8)},
        {"scales": np.zeros(21, np.uint8)[1:]}, {"ends": np.asarray([1])}, {"ends": np.asarray([3])},
        {"ends": np.asarray([2, 1])}, {"ends": np.asarray([-1])}, {"ends": np.asarray([1, 2])},
        {"ends": np.zeros(0, np.int64)},
    ]  # fmt: skip
    assert token_maxsim._kernels is not None
    token_maxsim._kernels.maxsim(*good.values())
    assert good["scores"].tolist() == [16, 16]
    for change in bad:
        with pytest.raises(ValueError, match=r"\w"):
            token_maxsim._kernels.maxsim(*(good | change).values())


@pytest.mark.usefixtures("kernel")
@pytest.mark.parametrize("width", [1, 32, 128, 200])
def test_many_queries_get_the_scores_of_each(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    monkeypatch.setattr(token_maxsim, "_VECTORS", 40)  # blocks of a few queries
    queries = units(3, np.asarray([3, 0, 17, 1, 60, 40, 0, 5]), width)
    passages = units(4, np.asarray([0, 7, 1, 100, 0, 48, 47]), width)
    found = token_maxsim.maxsim_of_all(queries, passages)
    np.testing.assert_allclose(found, scoring.maxsim(queries, passages), atol=1e-6)
    assert not found[[1, 6]].any() and not found[:, [0, 4]].any()
    assert token_maxsim.maxsim_of_all(queries.select(slice(0, 0)), passages).shape == (0, 7)
    assert token_maxsim.maxsim_of_all(queries, passages.select(slice(0, 0))).shape == (8, 0)


class WatchedMap(mmap.mmap):
    """A memory map that remembers what was given back."""

    given_back: list[tuple[int, int]]

    def madvise(self, option: int, start: int = 0, length: int = 0) -> None:
        assert option == mmap.MADV_DONTNEED
        self.given_back.append((start, length))
        super().madvise(option, start, length)


def watched_map(path: Path, access: int) -> WatchedMap:
    path.write_bytes(np.arange(1 << 16, dtype=np.uint32).tobytes())
    with path.open("r+b") as file:
        pages = WatchedMap(file.fileno(), 0, access=access)
    pages.given_back = []
    return pages


def test_pages_go_back_once_the_budget_is_spent(tmp_path: Path) -> None:
    pages = watched_map(tmp_path / "file", mmap.ACCESS_READ)
    array = np.frombuffer(pages, np.uint32, 1 << 15, 8200).reshape(-1, 2)
    touched = TouchedPages([array, np.zeros(10)], budget=100_000)
    touched.touch(1 << 30, np.arange(0))
    assert pages.given_back == []
    before = array.copy()
    touched.touch(10, np.arange(5))
    assert pages.given_back == [(8192, (1 << 17) + 8)]
    np.testing.assert_array_equal(array, before)


def test_neighbouring_rows_count_as_one_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(token_pages, "_AROUND", 1000)
    pages = watched_map(tmp_path / "file", mmap.ACCESS_READ)
    touched = TouchedPages([np.frombuffer(pages, np.uint32)], budget=4000)
    touched.touch(900, np.asarray([5, 6, 7, 8, 9]))
    touched.touch(0, np.asarray([1, 3]))
    assert pages.given_back == []
    touched.touch(200, np.asarray([0]))
    assert len(pages.given_back) == 1
    touched.touch(900, np.asarray([0, 2]))
    assert len(pages.given_back) == 1


def test_small_arrays_are_never_given_back(tmp_path: Path) -> None:
    pages = watched_map(tmp_path / "file", mmap.ACCESS_READ)
    touched = TouchedPages([np.frombuffer(pages, np.uint32, 1000)], budget=5000)
    touched.touch(1 << 30, np.arange(1))
    assert pages.given_back == []


def test_small_arrays_beside_large_ones_stay(tmp_path: Path) -> None:
    pages = watched_map(tmp_path / "file", mmap.ACCESS_READ)
    large, small = np.frombuffer(pages, np.uint32, 1 << 15, 1 << 16), np.frombuffer(pages, np.uint32, 1000)
    touched = TouchedPages([large, small], budget=5000)
    touched.touch(10, np.arange(5))
    assert pages.given_back == [(1 << 16, 1 << 17)]


@pytest.mark.parametrize("access", [mmap.ACCESS_WRITE, mmap.ACCESS_COPY])
def test_maps_that_may_be_written_to_are_never_given_back(tmp_path: Path, access: int) -> None:
    pages = watched_map(tmp_path / "file", access)
    array = np.frombuffer(pages, np.uint32)
    array[7] = 12345
    touched = TouchedPages([array, array.copy()], budget=1)
    touched.touch(1 << 30, np.arange(1))
    assert pages.given_back == []
    assert array[7] == 12345


def test_a_part_gives_pages_back_and_scores_the_same(tmp_path: Path) -> None:
    part = written(tmp_path / "file", [units(1, [50] * 40, 64)], "float32")
    query = units(2, [5], 64).values
    before = part.maxsim(query)
    codes = part._passages.codes
    part._pages = TouchedPages([codes.values], budget=1000)
    assert part._pages._stretches
    for _ in range(3):
        np.testing.assert_array_equal(part.maxsim(query), before)
