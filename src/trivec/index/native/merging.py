"""Which segments are merged, and the thread that does it while others read and write."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from trivec.index.native.settings import MergeOptions

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Size:
    """Passages written to a segment, and those of them that are alive."""

    rows: int
    live: int


def due(sizes: Sequence[Size], options: MergeOptions) -> slice | None:
    """The neighbours to merge next, as a slice of the segments; None if nothing is due.

    Segments of level 0 have fewer than ``small_rows`` passages, those of level l up to ``factor`` to the l times as
    many. Neighbours are merged when enough of one level stand together; smaller ones between them come along.
    """
    for place, size in enumerate(sizes):
        if size.rows - size.live > options.max_dead_share * size.rows:
            return slice(place, place + 1)
    levels = [_level(size.live, options) for size in sizes]
    for level in range(max(levels, default=-1) + 1):
        wanted = options.small_segments if level == 0 else options.factor
        for group in _neighbours(sizes, levels, level, options):
            if levels[group].count(level) >= wanted:
                return _without_large(group, sizes, options)
    return None


def _without_large(group: slice, sizes: Sequence[Size], options: MergeOptions) -> slice:
    """A group without what leads it and is far larger than all the rest: it would be rewritten for next to nothing."""
    lives = [size.live for size in sizes[group]]
    start = 0
    while len(lives) - start > 2 and lives[start] > options.factor * sum(lives[start + 1 :]):
        start += 1
    return slice(group.start + start, group.stop)


def as_few_as_allowed(sizes: Sequence[Size], options: MergeOptions) -> list[slice]:
    """All segments in the largest groups of neighbours that one segment may hold."""
    return list(_groups(range(len(sizes)), sizes, options.max_rows))


def _level(live: int, options: MergeOptions) -> int:
    level, bound = 0, options.small_rows
    while live >= bound:
        level, bound = level + 1, bound * options.factor
    return level


def _neighbours(sizes: Sequence[Size], levels: Sequence[int], level: int, options: MergeOptions) -> Iterator[slice]:
    """Stretches of segments up to a level, cut where one would grow too large."""
    start = 0
    for place in range(len(levels) + 1):
        if place == len(levels) or levels[place] > level:
            yield from _groups(range(start, place), sizes, options.max_rows)
            start = place + 1


def _groups(places: range, sizes: Sequence[Size], max_rows: int) -> Iterator[slice]:
    start, total = places.start, 0
    for place in places:
        if place > start and total + sizes[place].live > max_rows:
            yield slice(start, place)
            start, total = place, 0
        total += sizes[place].live
    if start < places.stop:
        yield slice(start, places.stop)


class Background:
    """Runs a step in a thread of its own, again and again while it finds something to do.

    The thread comes when it is woken and goes when there is nothing left. An error is logged and ends the round: the
    next waking tries again.
    """

    def __init__(self, step: Callable[[], bool]) -> None:
        self._step = step
        self._guard = threading.Lock()
        self._woken = False
        self._thread: threading.Thread | None = None

    def wake(self) -> None:
        """Look soon whether there is something to do."""
        with self._guard:
            self._woken = True
            # one that is not alive was never started: an interruption came between making and starting it
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._run, name="trivec-merging", daemon=True)
                self._thread.start()

    def wait(self) -> None:
        """Until nothing is left to do."""
        while True:
            with self._guard:
                thread = self._thread
            if thread is None or not thread.is_alive():
                return
            thread.join()

    def _run(self) -> None:
        while self._again():
            try:
                while self._step():
                    pass
            except Exception:
                _logger.exception("merging segments failed; nothing is lost, and it is tried again after a next write")

    def _again(self) -> bool:
        with self._guard:
            if self._woken:
                self._woken = False
                return True
            self._thread = None
            return False
