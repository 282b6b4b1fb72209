"""From what the signals found to a system's ranking of documents."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from trivec.evaluate.judged_sets import JudgedQuery
from trivec.evaluate.measures import Ranking
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
        return _among(system, np.sort(proposed.lists["dense"][:SHORTLIST]), proposed)
    if len(system.signals) == 1:
        (signal,) = system.signals
        numbers, totals = proposed.passages, proposed.scores[signal]
        if not proposed.everything:
            numbers = proposed.lists[signal]
            totals = totals[proposed.at(numbers)]
        if signal not in ("sparse", "bm25"):
            return numbers, totals
        return numbers[totals > 0], totals[totals > 0]
    if proposed.everything and not isinstance(system.rule, WeightedSum):  # a rule that looks at all that it mixes
        return _among(system, np.unique(np.concatenate(list(proposed.lists.values()))), proposed)
    return _total(system, proposed.passages, proposed.scores)


def _listed(signals: Sequence[Signal], proposed: Proposed) -> tuple[IntArray, dict[Signal, FloatArray]]:
    """The union of the lists of some signals, each with scores of its own list alone."""
    numbers = np.unique(np.concatenate([proposed.lists[signal] for signal in signals]))
    scores = {}
    for signal in signals:
        own = np.isin(numbers, proposed.lists[signal], assume_unique=True)
        scores[signal] = np.where(own, proposed.scores[signal][proposed.at(numbers)], np.float32(np.nan))
    return numbers, scores


def _among(system: System, numbers: IntArray, proposed: Proposed) -> tuple[IntArray, FloatArray]:
    """Some of the passages, in ascending order."""
    places = proposed.at(numbers)
    return _total(system, numbers, {signal: scores[places] for signal, scores in proposed.scores.items()})


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


def rank_queries(
    systems: Sequence[System],
    queries: Sequence[JudgedQuery],
    proposals: Iterable[Proposed],
    owners: Sequence[str],
    depth: int,
    without_self: bool = False,
    told: int | None = None,
) -> tuple[dict[str, dict[str, Ranking]], dict[str, int]]:
    """Rankings of all queries by every system.

    Args:
        systems: each with a name of its own.
        queries: what for.
        proposals: of each query.
        owners: document id of every passage.
        depth: documents of a ranking at most.
        without_self: leave out a document whose id is that of the query.
        told: documents of a ranking for which it is told if they may not be the best; None: all of them.

    Returns:
        Rankings by system and query id, and for each system the number of queries for which a passage on no list could
        have entered.
    """
    rankings: dict[str, dict[str, Ranking]] = {system.name: {} for system in systems}
    uncertain = dict.fromkeys(rankings, 0)
    documents = set(owners)
    for query, proposed in zip(queries, proposals, strict=True):
        left_out = query.id if without_self else None
        sure = min(depth, len(documents) - (left_out in documents), told or depth)
        for system in systems:
            numbers, totals = total_scores(system, proposed)
            ranking = best_documents(numbers, totals, owners, depth, left_out)
            lowest = list(ranking.values())[sure - 1] if len(ranking) >= sure > 0 else -np.inf
            uncertain[system.name] += could_enter(system, proposed) > lowest
            rankings[system.name][query.id] = ranking
    return rankings, uncertain


def best_documents(
    numbers: IntArray, totals: FloatArray, owners: Sequence[str], depth: int, left_out: str | None
) -> dict[str, float]:
    """The first ``depth`` documents with their scores, each by its best passage. See `best_places`."""
    places = best_places(numbers, totals, owners, depth, left_out)
    return {document: float(totals[place]) for document, place in places.items()}


def best_places(
    numbers: IntArray, totals: FloatArray, owners: Sequence[str], depth: int, left_out: str | None
) -> dict[str, int]:
    """The first ``depth`` documents, and where in ``numbers`` each one's best passage is; equal ones by lower place.

    Args:
        numbers: (n,) of passages.
        totals: (n,) scores.
        owners: document id of every passage.
        depth: how many.
        left_out: an id that is not listed.
    """
    looked_at = 2 * depth
    while True:
        places, _ = top_k(totals, looked_at)
        found: dict[str, int] = {}
        for place, number in zip(places.tolist(), numbers[places].tolist(), strict=True):
            owner = owners[number]
            if owner != left_out and owner not in found:
                found[owner] = place
                if len(found) == depth:
                    return found
        if looked_at >= len(totals):
            return found
        looked_at *= 4
