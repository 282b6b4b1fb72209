"""What each signal finds for each query, with the scores that all other signals give it: every mix is made of that.

One pass over the passages keeps, for each query and signal, the best passages and their scores by all signals. Any
system is then ranked without looking at the passages again. For a weighted sum this is exact as long as no passage
outside could enter: one that no signal lists scores at most the sum of each signal's last listed score, weighted.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trivec.scoring import top_k
from trivec.types import FloatArray, IntArray, Signal


@dataclass(frozen=True, eq=False)
class Proposed:
    """What the signals found for one query.

    Attributes:
        passages: (n,) numbers in ascending order.
        scores: (n,) by every signal.
        lists: numbers that each signal proposes, best first; ties by lower number.
        last: the score of the last passage on each signal's list, or -inf if the list has all that there are.
        everything: whether ``passages`` are all that there are, also those that no signal lists.
    """

    passages: IntArray
    scores: Mapping[Signal, FloatArray]
    lists: Mapping[Signal, IntArray]
    last: Mapping[Signal, float]
    everything: bool = False

    def at(self, passages: IntArray) -> IntArray:
        """Where these passages stand in ``passages``."""
        return np.searchsorted(self.passages, passages)


class Proposals:
    """Collects the best passages of every signal for q queries.

    Args:
        queries: q.
        signals: in the order of the scores.
        depth: how many passages each signal lists.
    """

    def __init__(self, queries: int, signals: Sequence[Signal], depth: int) -> None:
        self._signals, self._depth = list(signals), depth
        self._numbers = {signal: np.zeros((queries, 0), np.int64) for signal in signals}
        self._scores = {signal: np.zeros((queries, 0, len(self._signals)), np.float32) for signal in signals}
        self._queries, self._seen = queries, 0

    def add(self, scores: Mapping[Signal, FloatArray]) -> None:
        """Take the next n passages: (q, n) scores by each signal."""
        together = np.stack([scores[signal] for signal in self._signals], axis=2)
        count = together.shape[1]
        if not count:
            return
        for place, signal in enumerate(self._signals):
            columns, _ = top_k(together[:, :, place], self._depth)
            numbers = np.concatenate([self._numbers[signal], columns + self._seen], axis=1)
            found = np.concatenate([self._scores[signal], _rows_at(together, columns)], axis=1)
            kept, _ = top_k(found[:, :, place], self._depth)
            self._numbers[signal] = np.take_along_axis(numbers, kept, axis=1)
            self._scores[signal] = _rows_at(found, kept)
        self._seen += count

    def __iter__(self) -> Iterator[Proposed]:
        return (self._of(query) for query in range(self._queries))

    def _of(self, query: int) -> Proposed:
        lists = {signal: self._numbers[signal][query] for signal in self._signals}
        passages, first = np.unique(np.concatenate(list(lists.values())), return_index=True)
        scores = np.concatenate([self._scores[signal][query] for signal in self._signals])[first]
        has_all = self._seen <= self._depth
        last = {
            signal: -np.inf if has_all else float(self._scores[signal][query, -1, place])
            for place, signal in enumerate(self._signals)
        }
        return Proposed(passages, {name: scores[:, place] for place, name in enumerate(self._signals)}, lists, last)


def _rows_at(values: FloatArray, columns: IntArray) -> FloatArray:
    """(q, k, s) of (q, n, s) at (q, k)."""
    return np.take_along_axis(values, columns[:, :, None], axis=1)
