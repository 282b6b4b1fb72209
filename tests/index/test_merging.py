"""Which segments are merged: few remain, little is rewritten, and nothing grows beyond the limit."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec.index.native.merging import Background, Size, as_few_as_allowed, due
from trivec.index.native.settings import MergeOptions

OPTIONS = MergeOptions(small_rows=100, small_segments=4, factor=3, max_rows=5000)


def sizes_of(*lives: int) -> list[Size]:
    return [Size(live, live) for live in lives]


@pytest.mark.parametrize(
    ("lives", "expected"),
    [
        ((), None),
        ((1, 1, 1), None),
        ((1, 1, 1, 1), slice(0, 4)),
        ((1000, 1, 1, 1, 1), slice(1, 5)),
        ((90, 1, 1, 1), slice(1, 4)),
        ((100, 200, 299), slice(0, 3)),
        ((100, 1, 200, 1, 299), slice(0, 5)),
        ((100, 200, 300), None),
        ((100, 200, 900, 299), None),
        ((2700, 2700, 2700), None),
        ((2000, 2000, 2000), None),
        ((1500, 1500, 1500), slice(0, 3)),
    ],
)
def test_neighbours_of_like_size_are_merged(lives: tuple[int, ...], expected: slice | None) -> None:
    assert due(sizes_of(*lives), OPTIONS) == expected


def test_a_segment_that_is_mostly_dead_is_written_anew() -> None:
    assert due([Size(4000, 4000), Size(4000, 2000)], OPTIONS) is None
    assert due([Size(4000, 4000), Size(4000, 1999)], OPTIONS) == slice(1, 2)


def test_optimizing_fills_segments_up_to_the_limit() -> None:
    assert as_few_as_allowed(sizes_of(3000, 2000, 1, 4999, 6000, 10), OPTIONS) == [
        slice(0, 2),
        slice(2, 4),
        slice(4, 5),
        slice(5, 6),
    ]
    assert as_few_as_allowed([], OPTIONS) == []


@given(st.lists(st.integers(1, 40), min_size=200, max_size=400))
def test_any_stream_of_writes_leaves_few_segments_and_rewrites_little(writes: list[int]) -> None:
    sizes: list[Size] = []
    rewritten = 0
    for rows in writes:
        sizes.append(Size(rows, rows))
        while (group := due(sizes, OPTIONS)) is not None:
            total = sum(size.live for size in sizes[group])
            assert total <= OPTIONS.max_rows
            sizes[group] = [Size(total, total)]
            rewritten += total
    assert sum(size.live for size in sizes) == sum(writes)
    assert len(sizes) <= 4 + 3 * 5 + 2
    assert rewritten <= 15 * sum(writes)


def test_steps_run_in_the_background_until_nothing_is_left_to_do() -> None:
    left = [3]
    going = threading.Event()

    def step() -> bool:
        going.wait()
        left[0] -= 1
        return left[0] > 0

    background = Background(step)
    background.wait()
    background.wake()
    background.wake()
    going.set()
    background.wait()
    assert left[0] in (0, -1)
    assert threading.current_thread() is threading.main_thread()
    assert not [thread for thread in threading.enumerate() if thread.name == "trivec-merging"]


def test_an_interruption_while_the_thread_starts_does_no_lasting_harm(monkeypatch: pytest.MonkeyPatch) -> None:
    steps = []

    def interrupted(thread: threading.Thread) -> None:
        raise KeyboardInterrupt

    background = Background(lambda: bool(steps.append(1)))
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(threading.Thread, "start", interrupted)
        background.wake()
    background.wait()
    background.wake()
    background.wait()
    assert steps
