"""Work that several threads share gives what one thread gives, and leaves nothing running behind."""

from __future__ import annotations

import os
import threading
from functools import partial

import pytest

from trivec.index.native import shared_work
from trivec.index.native.shared_work import SharedWork, share_work, stretches


def test_stretches_cover_everything_once() -> None:
    assert stretches(10, 3, 1) == [slice(0, 3), slice(3, 6), slice(6, 10)]
    assert stretches(10, 3, 6) == [slice(0, 10)]
    assert stretches(0, 3, 6) == [slice(0, 0)]
    for count in range(1, 40):
        covered = [row for piece in stretches(count, 4, 3) for row in range(count)[piece]]
        assert covered == list(range(count))


def test_results_come_in_the_order_of_the_calls() -> None:
    assert SharedWork([partial(pow, base, 2) for base in range(20)]).results() == [base**2 for base in range(20)]


def test_who_waits_does_what_nobody_has_begun() -> None:
    """With every thread of the pool held up, the work is done all the same."""
    release, started = threading.Event(), threading.Event()

    def hold() -> None:
        started.set()
        release.wait(30)

    workers = getattr(shared_work._pool(), "_max_workers", 0)
    holding = [SharedWork([hold]) for _ in range(workers)]
    if workers:
        assert started.wait(30)
    threads: list[int] = []

    def note() -> int:
        threads.append(threading.get_ident())
        return len(threads)

    try:
        assert SharedWork([note, note]).results() == [2, 1]
    finally:
        release.set()
    assert threads == [threading.get_ident()] * 2
    for work in holding:
        work.results()


def test_a_failure_comes_through_after_the_others_have_ended() -> None:
    def fail() -> None:
        raise ValueError("no such row")

    done: list[int] = []
    with pytest.raises(ValueError, match="no such row"):
        SharedWork([partial(done.append, 1), fail, partial(done.append, 2)]).results()


def test_one_processor_shares_with_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    monkeypatch.setattr(shared_work, "_pools", {})
    assert SharedWork([lambda: 1, lambda: 2]).results() == [1, 2]


def test_work_stays_in_the_thread_that_asks_if_told_so() -> None:
    share_work(False)
    try:
        assert SharedWork([threading.get_ident] * 3).results() == [threading.get_ident()] * 3
    finally:
        share_work(True)
    assert (shared_work._pool() is None) == ((os.cpu_count() or 1) == 1)
