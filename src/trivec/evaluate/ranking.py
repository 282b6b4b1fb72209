"""From what the signals found to a system's ranking of documents."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from trivec.evaluate.proposals import Proposed
from trivec.evaluate.systems import SHORTLIST, System
from trivec.scoring import top_k
from trivec.search.fusion import WeightedSum
from trivec.types import FloatArray, IntArray, Signal


def total_scores(system: System, proposed: Proposed) -> tuple[IntArray, FloatArray]:
    """Passages of one query that a system ranks, and their scores.

    A lexical signal alone lists only passages that share a term with the query.
    """
    if system.among == "listed":
        return _total(system, *_listed(system.signals, proposed))
    if system.among == "first-dense":
        numbers = np.sort(proposed.lists["dense"][:SHORTLIST])
        places = proposed.at(numbers)
        return _total(system, numbers, {signal: scores[places] for signal, scores in proposed.scores.items()})
    if len(system.signals) == 1:
        (signal,) = system.signals
        numbers = proposed.lists[signal]
        totals = proposed.scores[signal][proposed.at(numbers)]
        if signal not in ("sparse", "bm25"):
            return numbers, totals
        return numbers[totals > 0], totals[totals > 0]
    return _total(system, proposed.passages, proposed.scores)


def _listed(signals: Sequence[Signal], proposed: Proposed) -> tuple[IntArray, dict[Signal, FloatArray]]:
    """The union of the lists of some signals, each with scores of its own list alone."""
    numbers = np.unique(np.concatenate([proposed.lists[signal] for signal in signals]))
    scores = {}
    for signal in signals:
        own = np.isin(numbers, proposed.lists[signal], assume_unique=True)
        scores[signal] = np.where(own, proposed.scores[signal][proposed.at(numbers)], np.float32(np.nan))
    return numbers, scores


def _total(system: System, numbers: IntArray, scores: Mapping[Signal, FloatArray]) -> tuple[IntArray, FloatArray]:
    totals = np.zeros(len(numbers), np.float32)
    for contribution in system.rule.contributions(scores).values():
        totals += contribution
    return numbers, totals


def could_enter(system: System, proposed: Proposed) -> float:
    """The most that a passage on no list can score; -inf if there is none, or if the system ranks lists alone."""
    if len(system.signals) == 1 or system.among != "all" or not isinstance(system.rule, WeightedSum):
        return -np.inf
    return float(sum(system.rule.weights[signal] * proposed.last[signal] for signal in system.signals))


def best_documents(
    numbers: IntArray, totals: FloatArray, owners: Sequence[str], depth: int, left_out: str | None
) -> dict[str, float]:
    """The first ``depth`` documents, each by its best passage; equal passages by lower place.

    Args:
        numbers: (n,) of passages.
        totals: (n,) scores.
        owners: document id of every passage.
        depth: how many.
        left_out: an id that is not listed.
    """
    looked_at = 2 * depth
    while True:
        places, best = top_k(totals, looked_at)
        found: dict[str, float] = {}
        for number, total in zip(numbers[places].tolist(), best.tolist(), strict=True):
            if owners[number] != left_out:
                found.setdefault(owners[number], total)
        if len(found) >= depth or looked_at >= len(totals):
            return dict(itertools.islice(found.items(), depth))
        looked_at *= 4
