"""Columns of metadata: every filter picks the rows that `Filter.matches` picks, before and after merging."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from trivec.index import parse_filter
from trivec.index.conditions import Comparison, Exists, Filter, Membership, Not
from trivec.index.native import columns_blocks
from trivec.index.native.columns import Columns, merge_columns, write_columns
from trivec.tensorfile import TensorWriter, memory_map
from trivec.types import IntArray, Passage, Scalar

from store_cases import MEMORY_FOLDER, filters, passages


def written(batch: Sequence[Passage]) -> Columns:
    with tempfile.TemporaryDirectory(dir=MEMORY_FOLDER) as folder:
        path = Path(folder) / "segment.safetensors"
        writer = TensorWriter(path, {})
        write_columns(writer, "columns", batch)
        writer.finish()
        return Columns(memory_map(path), "columns")


def merged(parts: Sequence[tuple[Columns, IntArray]]) -> Columns:
    with tempfile.TemporaryDirectory(dir=MEMORY_FOLDER) as folder:
        path = Path(folder) / "segment.safetensors"
        writer = TensorWriter(path, {})
        merge_columns(writer, "columns", parts)
        writer.finish()
        return Columns(memory_map(path), "columns")


def check(columns: Columns, batch: Sequence[Passage], where: Filter) -> None:
    mask = columns.mask(where)
    assert mask.dtype == np.bool_
    assert mask.tolist() == [where.matches(passage) for passage in batch], str(where)


def with_values(*values: Scalar | list[Scalar]) -> list[Passage]:
    return [Passage(str(n), "", metadata={"x": value}) for n, value in enumerate(values)]


NUMBERS: list[int | float] = [
    0, -0.0, 1, 1.0, -1, 0.5, -0.5, 5e-324, -5e-324, 1e300, -1e300, 2**53 - 1, 2**53, 2**53 + 1, float(2**53),
    2**63 - 1, 2**63 - 2, 2**63 - 512, float(2**63), -(2**63), -(2**63) + 1, float(-(2**63)), 10**18 + 1, 1e18,
]  # fmt: skip


@given(st.lists(passages, max_size=12), filters)
@settings(max_examples=150)
def test_a_mask_is_what_the_filter_matches(batch: list[Passage], where: Filter) -> None:
    check(written(batch), batch, where)


@given(st.lists(st.lists(st.tuples(passages, st.booleans()), max_size=6), max_size=4), st.lists(filters, max_size=3))
@settings(max_examples=60)
def test_merged_columns_are_those_of_the_survivors(
    batches: list[list[tuple[Passage, bool]]], conditions: list[Filter]
) -> None:
    parts = [written([passage for passage, _ in batch]) for batch in batches]
    rows = [np.array([n for n, (_, kept) in enumerate(batch) if kept], np.int64) for batch in batches]
    survivors = [passage for batch in batches for passage, kept in batch if kept]
    together, alone = merged(list(zip(parts, rows, strict=True))), written(survivors)
    for name in ("rows", "fields_keys", "keys_rows", "postings"):
        np.testing.assert_array_equal(getattr(together.arrays, name), getattr(alone.arrays, name))
    assert list(together.arrays.keys) == list(alone.arrays.keys)
    assert together.fields == alone.fields
    for where in conditions:
        check(together, survivors, where)


@pytest.mark.parametrize("keys", [1, 3])
def test_a_merge_in_small_blocks_is_the_same(monkeypatch: pytest.MonkeyPatch, keys: int) -> None:
    rng = np.random.default_rng(keys)
    batches = [with_values(*rng.integers(0, 9, 40).tolist(), "a", None, ["a", "b"]) for _ in range(3)]
    parts = [(written(batch), np.flatnonzero(rng.random(len(batch)) < 0.7)) for batch in batches]
    whole = merged(parts)
    monkeypatch.setattr(columns_blocks, "BLOCK_KEYS", keys)
    monkeypatch.setattr(columns_blocks, "BLOCK_ROWS", 5)
    pieces = merged(parts)
    np.testing.assert_array_equal(pieces.arrays.postings, whole.arrays.postings)
    np.testing.assert_array_equal(pieces.arrays.keys_rows, whole.arrays.keys_rows)
    assert list(pieces.arrays.keys) == list(whole.arrays.keys)


def test_numbers_are_compared_exactly() -> None:
    batch = with_values(*NUMBERS, True, False, "1", None, [], [1, "a"])
    columns = written(batch)
    for value in [*NUMBERS, 2**63, 2**64, -(2**63) - 1, 2**200 + 1, 10**400, -(10**400), 10**300, int(1e300)]:
        for operator in ("=", "!=", "<", "<=", ">", ">="):
            check(columns, batch, Comparison("x", operator, value))  # type: ignore[arg-type]


@given(st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False, allow_infinity=False))
@example(2**63 - 1)
@settings(max_examples=60)
def test_neighbouring_numbers_keep_their_order(value: float) -> None:
    floats = [math.nextafter(float(value), towards) for towards in (-math.inf, float(value), math.inf)]
    whole = [int(value) - 1, int(value) + 1]
    near = [value, *(n for n in whole if -(2**63) <= n < 2**63), *(f for f in floats if math.isfinite(f))]
    batch = with_values(*near)
    columns = written(batch)
    for other in near:
        for operator in ("=", "<", ">="):
            check(columns, batch, Comparison("x", operator, other))  # type: ignore[arg-type]


def test_dates_are_compared_as_points_in_time() -> None:
    texts = [
        "2024-01-31", "2024-01-31T00:00:00Z", "2024-01-31 01:30:00.5+02:00", "2024-01-30T23:30:00.500001Z",
        "2024-01-30", "0001-01-01", "9999-12-31T23:59:59.999999", "0001-01-01T00:00:00+01:00",
        "2024-02-30", "2024-1-1", "20240131",
    ]  # fmt: skip
    batch = with_values(*texts, texts[:2], [None, "2024-01-30"], 2024, None)
    columns = written(batch)
    for text in texts[:7]:
        for operator in ("=", "!=", "<", "<=", ">", ">="):
            check(columns, batch, Comparison("x", operator, text))  # type: ignore[arg-type]
    check(columns, batch, Exists("x"))


def test_ids_and_titles_are_fields_and_hide_metadata_of_that_name() -> None:
    batch = [
        Passage("2024-01-31", "", metadata={"id": "b", "title": "shadow"}),
        Passage("b", "", title="T", metadata={"": 1, "a\x00b": "c\x00d"}),
    ]
    columns = written(batch)
    assert columns.fields == ["", "a\x00b", "id", "title"]
    for text in (
        'id = "b"',
        "id > '2024-01-01'",
        "exists title",
        "missing title",
        'title = "shadow"',
        "id != 1",
        "`` = 1",
        'title != "T"',
    ):
        check(columns, batch, parse_filter(text))  # type: ignore[arg-type]
    check(columns, batch, Comparison("a\x00b", "=", "c\x00d"))
    check(columns, batch, Comparison("a\x00b", "=", "c"))


@pytest.mark.parametrize("batch", [[], [Passage("a", "")]])
def test_columns_without_metadata(batch: list[Passage]) -> None:
    columns = written(batch)
    assert len(columns) == len(batch)
    for where in (Exists("x"), Not(Exists("x")), Comparison("x", "=", None), Membership("x", (), "all")):
        check(columns, batch, where)
    nothing = merged([(columns, np.zeros(0, np.int64))])
    assert len(nothing) == 0
    assert nothing.fields == []


def test_half_a_surrogate_pair_in_a_filter_equals_nothing() -> None:
    batch = with_values("a", "\ufffd")
    columns = written(batch)
    check(columns, batch, Comparison("x", "=", "\ud800"))
    check(columns, batch, Not(Exists("\ud800")))
