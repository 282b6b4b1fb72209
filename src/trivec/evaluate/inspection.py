"""Single queries: what a system found for them, what it should have found, and what each signal says of both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trivec.evaluate.judged_sets import JudgedQuery, JudgedSet
from trivec.evaluate.measures import Ranking
from trivec.evaluate.proposals import Proposed
from trivec.evaluate.scoring_pass import Pass
from trivec.types import Passage, Signal


@dataclass(frozen=True)
class Seen:
    """A document in a ranking.

    Attributes:
        document: its id.
        rank: from 1; None if it was not found.
        text: of its best passage, or empty if no signal lists one.
        signals: scores of that passage.
    """

    document: str
    rank: int | None
    text: str
    signals: Mapping[Signal, float]


@dataclass(frozen=True)
class InspectedQuery:
    """A query with its value, the first document found, and the relevant one that stands highest."""

    query: JudgedQuery
    value: float
    found: Seen | None
    wanted: Seen


def worst_queries(
    found: Pass, judged: JudgedSet, rankings: Mapping[str, Ranking], values: Mapping[str, float], count: int
) -> list[InspectedQuery]:
    """The queries with the lowest values, the lowest first.

    Args:
        found: what the signals found.
        judged: the set.
        rankings: of the system.
        values: of its queries, by a measure; the best possible is 1.
        count: how many at most; queries with a perfect value are none of them.
    """
    poor = sorted((value, query) for query, value in values.items() if value < 1)[:count]
    wanted = {query: value for value, query in poor}
    inspected = []
    for query, proposed in zip(judged.queries, found.proposals, strict=True):
        if query.id in wanted:
            inspected.append(_inspect(query, wanted[query.id], proposed, found.passages, judged, rankings[query.id]))
    return sorted(inspected, key=lambda one: (one.value, one.query.id))


def _inspect(
    query: JudgedQuery,
    value: float,
    proposed: Proposed,
    passages: Sequence[Passage],
    judged: JudgedSet,
    ranking: Ranking,
) -> InspectedQuery:
    order = list(ranking)
    relevant = {document for document, grade in judged.relevance[query.id].items() if grade > 0}
    first = next((document for document in order if document in relevant), min(relevant))
    return InspectedQuery(
        query,
        value,
        _seen(order[0], order, proposed, passages) if order else None,
        _seen(first, order, proposed, passages),
    )


def _seen(document: str, order: Sequence[str], proposed: Proposed, passages: Sequence[Passage]) -> Seen:
    rank = order.index(document) + 1 if document in order else None
    own = [place for place, number in enumerate(proposed.passages) if passages[number].document_id == document]
    if not own:
        return Seen(document, rank, "", {})
    best = max(own, key=lambda place: float(np.sum([scores[place] for scores in proposed.scores.values()])))
    signals = {signal: float(scores[best]) for signal, scores in proposed.scores.items()}
    return Seen(document, rank, passages[proposed.passages[best]].text, signals)
