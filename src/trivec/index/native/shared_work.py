"""One query's work on more than one processor.

A job is cut into pieces and handed to threads that are there anyway. Whoever needs the results does the pieces that no
thread has begun with, so nobody waits for a thread that is busy with another query.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

Result = TypeVar("Result")

_pools: dict[int, ThreadPoolExecutor | None] = {}
"""One a process: threads do not survive a fork. None where work is not shared."""


def share_work(allowed: bool) -> None:
    """Whether each query of this process may use several cores, as it does unless told otherwise.

    One that is alone is answered sooner so. Where as many ask as there are cores, sharing gains nothing.
    """
    process = os.getpid()
    if not allowed:
        _pools[process] = None
    elif _pools.get(process) is None:
        _pools.pop(process, None)


class SharedWork(Generic[Result]):
    """Calls that other threads begin with at once, the first one first."""

    def __init__(self, calls: Sequence[Callable[[], Result]]) -> None:
        pool = _pool()
        self._calls = calls
        self._futures: list[Future[Result] | None] = [pool.submit(call) if pool else None for call in calls]

    def results(self) -> list[Result]:
        """What all calls give. Calls that nobody has begun with are made here, the last one first."""
        found: dict[int, Result] = {}
        try:
            for place, (call, future) in reversed(list(enumerate(zip(self._calls, self._futures, strict=True)))):
                if future is None or future.cancel():
                    found[place] = call()
        finally:
            # whoever fails leaves no call behind that still reads files
            begun = {place: future for place, future in enumerate(self._futures) if future and not future.cancel()}
            for future in begun.values():
                future.exception()
        return [begun[place].result() if place in begun else found[place] for place in range(len(self._calls))]


def stretches(count: int, most: int, least: int) -> list[slice]:
    """Cut ``count`` things into at most ``most`` even stretches of at least ``least``, or into one."""
    pieces = max(1, min(most, count // max(1, least)))
    ends = [count * piece // pieces for piece in range(pieces + 1)]
    return [slice(start, stop) for start, stop in itertools.pairwise(ends)]


def _pool() -> ThreadPoolExecutor | None:
    process, others = os.getpid(), (os.cpu_count() or 1) - 1
    if process not in _pools and others:
        _pools[process] = ThreadPoolExecutor(others, thread_name_prefix="trivec-search")
    return _pools.get(process)
