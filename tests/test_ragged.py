from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec.ragged import Ragged

ROWS = [np.array([[1, 2]], np.float32), np.zeros((0, 2), np.float32), np.array([[3, 4], [5, 6]], np.float32)]
lengths = st.lists(st.integers(0, 4), max_size=6)


def rows_of(lengths: list[int]) -> list[np.ndarray]:
    """Matrices of two columns in which no number occurs twice."""
    ends = np.cumsum([0, *lengths])
    return [np.arange(2 * a, 2 * b, dtype=np.float32).reshape(-1, 2) for a, b in itertools.pairwise(ends)]


def assert_rows(ragged: Ragged, rows: list[np.ndarray]) -> None:
    assert len(ragged) == len(rows)
    assert ragged.lengths.tolist() == [len(row) for row in rows]
    for given_row, row in zip(ragged, rows, strict=True):
        np.testing.assert_array_equal(given_row, row)


def test_rows_come_back() -> None:
    ragged = Ragged.from_rows(ROWS)
    assert_rows(ragged, ROWS)
    assert ragged.width == 2
    assert ragged.values.dtype == np.float32
    assert ragged.offsets.tolist() == [0, 1, 1, 3]


def test_a_row_is_a_view() -> None:
    ragged = Ragged.from_rows(ROWS)
    assert np.shares_memory(ragged[2], ragged.values)


def test_no_rows_have_the_width_that_was_said() -> None:
    ragged = Ragged.from_rows([], width=7)
    assert len(ragged) == 0
    assert ragged.width == 7
    assert list(ragged) == []


def test_negative_index_counts_from_the_end() -> None:
    ragged = Ragged.from_rows(ROWS)
    np.testing.assert_array_equal(ragged[-1], ROWS[2])
    np.testing.assert_array_equal(ragged[-3], ROWS[0])


@pytest.mark.parametrize("index", [3, -4])
def test_an_index_out_of_range_is_refused(index: int) -> None:
    with pytest.raises(IndexError, match="3 rows"):
        Ragged.from_rows(ROWS)[index]


@given(lengths, lengths)
def test_concatenate_is_one_list_behind_the_other(first: list[int], second: list[int]) -> None:
    rows = rows_of(first + second)
    parts = [Ragged.from_rows(rows[: len(first)], 2), Ragged.from_rows(rows[len(first) :], 2)]
    assert_rows(Ragged.concatenate(parts), rows)


@given(lengths, st.slices(6))
def test_select_by_slice_is_list_slicing(lengths: list[int], chosen: slice) -> None:
    rows = rows_of(lengths)
    assert_rows(Ragged.from_rows(rows, 2).select(chosen), rows[chosen])


@given(st.data())
def test_select_by_numbers_keeps_their_order(data: st.DataObject) -> None:
    rows = rows_of(data.draw(lengths.filter(bool)))
    numbers = data.draw(st.lists(st.integers(-len(rows), len(rows) - 1)))
    assert_rows(Ragged.from_rows(rows).select(np.asarray(numbers, np.int64)), [rows[number] for number in numbers])


def test_a_slice_copies_no_values() -> None:
    ragged = Ragged.from_rows(ROWS)
    assert np.shares_memory(ragged.select(slice(1, None)).values, ragged.values)


def test_a_slice_of_a_slice() -> None:
    ragged = Ragged.from_rows(ROWS).select(slice(1, 3)).select(slice(1, 2))
    assert_rows(ragged, [ROWS[2]])
