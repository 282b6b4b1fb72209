"""From what the signals found to a system's ranking of documents."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trivec.evaluate.proposals import Proposed
from trivec.evaluate.systems import System
from trivec.search.fusion import WeightedSum
from trivec.types import FloatArray, IntArray, Passage


def rank(system: System, proposed: Proposed) -> tuple[IntArray, FloatArray]:
    """Passages of one query by a system, best first, with their scores.

    A lexical signal alone lists only passages that share a term with the query.
    """
    if len(system.signals) == 1:
        (signal,) = system.signals
        numbers = proposed.lists[signal]
        totals = proposed.scores[signal][proposed.at(numbers)]
        shares = totals > 0 if signal in ("sparse", "bm25") else np.ones(len(totals), bool)
        return numbers[shares], totals[shares]
    totals = np.zeros(len(proposed.passages), np.float32)
    for contribution in system.rule.contributions(proposed.scores).values():
        totals += contribution
    order = np.argsort(-totals, kind="stable")
    return proposed.passages[order], totals[order]


def could_enter(system: System, proposed: Proposed) -> float:
    """The most that a passage on no list can score; -inf if there is none, or if the system ranks a list alone."""
    if len(system.signals) == 1 or not isinstance(system.rule, WeightedSum):
        return -np.inf
    return float(sum(system.rule.weights[signal] * proposed.last[signal] for signal in system.signals))


def best_documents(
    numbers: IntArray, totals: FloatArray, passages: Sequence[Passage], depth: int, left_out: str | None
) -> dict[str, float]:
    """The first ``depth`` documents, each by its best passage."""
    found: dict[str, float] = {}
    for number, total in zip(numbers.tolist(), totals.tolist(), strict=True):
        document = passages[number].document_id
        if document != left_out and document not in found:
            found[document] = total
            if len(found) == depth:
                break
    return found
