"""All scores of a set that is small enough to keep them, in place of the lists that `Proposals` keeps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from trivec.evaluate.proposals import Proposals, Proposed
from trivec.scoring import top_k
from trivec.types import FloatArray, IntArray, Signal

_MOST = 1 << 28
"""Scores that are kept: 1 GB."""


class AllScores:
    """Collects the scores of all n passages for q queries, so that no mix can miss one.

    Args:
        queries: q.
        passages: n.
        signals: in the order of the scores.
        depth: how many passages each signal lists.
    """

    def __init__(self, queries: int, passages: int, signals: Sequence[Signal], depth: int) -> None:
        self._scores = {signal: np.zeros((queries, passages), np.float32) for signal in signals}
        self._queries, self._passages, self._depth, self._seen = queries, np.arange(passages), depth, 0

    def add(self, scores: Mapping[Signal, FloatArray]) -> None:
        """Take the next passages: scores by each signal, (q, their number)."""
        last = self._seen
        for signal, kept in self._scores.items():
            last = self._seen + scores[signal].shape[1]
            kept[:, self._seen : last] = scores[signal]
        self._seen = last

    def __iter__(self) -> Iterator[Proposed]:
        last = dict.fromkeys(self._scores, -np.inf)
        for query in range(self._queries):
            scores = {signal: kept[query] for signal, kept in self._scores.items()}
            yield Proposed(self._passages, scores, _Lists(scores, self._depth), last, True)


class _Lists(Mapping[Signal, IntArray]):
    """The lists of one query, made when they are asked for: few systems need any."""

    def __init__(self, scores: Mapping[Signal, FloatArray], depth: int) -> None:
        self._scores, self._depth = scores, depth

    def __getitem__(self, signal: Signal) -> IntArray:
        return top_k(self._scores[signal], self._depth)[0]

    def __iter__(self) -> Iterator[Signal]:
        return iter(self._scores)

    def __len__(self) -> int:
        return len(self._scores)


def collector(queries: int, passages: int, signals: Sequence[Signal], depth: int) -> AllScores | Proposals:
    """What keeps the scores of a set: all of them where they fit into `_MOST`, or the best of each signal."""
    if queries * passages * len(signals) <= _MOST:
        return AllScores(queries, passages, signals, depth)
    return Proposals(queries, signals, depth)
