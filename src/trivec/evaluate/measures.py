"""Measures of rankings, query by query, as trec_eval computes them.

Gains are linear, an unjudged document is not relevant, and neither is one with a negative grade. Scores are compared in
single precision; equal ones are ordered by document id, the later string first. Queries without a relevant document
count for nothing; a query without a ranking counts 0, where many tools leave it out and flatter a run that broke off.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import NDArray

from trivec.errors import InputError, require

Ranking: TypeAlias = Mapping[str, float]
"""Scores by document id."""

Relevance: TypeAlias = Mapping[str, Mapping[str, int]]
"""Grades by query id and document id; above 0 is relevant."""

Ties: TypeAlias = Literal["trec", "stable"]
"""Equal scores in the order of trec_eval, or in the order in which they were given."""

_OTHER_NAMES = {
    "ndcg": "nDCG",
    "recall": "R",
    "r": "R",
    "mrr": "RR",
    "rr": "RR",
    "map": "AP",
    "ap": "AP",
    "hit": "Success",
    "hits": "Success",
    "success": "Success",
    "precision": "P",
    "p": "P",
}
_NAME = re.compile(r"([A-Za-z]+)((?:\(.*\))?(?:@[0-9]+)?)")


@dataclass(frozen=True, eq=False)
class Measured:
    """What each query got.

    Attributes:
        queries: ids, in the order of the judgements.
        values: by measure, one float64 a query.
        unanswered: queries among them that the run does not have.
        without_relevant: queries that were left out because nothing is relevant for them.
    """

    queries: Sequence[str]
    values: Mapping[str, NDArray[np.float64]]
    unanswered: Sequence[str]
    without_relevant: Sequence[str]

    def means(self) -> dict[str, float]:
        """Over queries, by measure."""
        return {name: float(values.mean()) for name, values in self.values.items()}


def parse_measures(names: Iterable[str]) -> list[str]:
    """Measures as `ir_measures` spells them: ``ndcg@10`` is ``nDCG@10``, ``mrr`` is ``RR``, ``hit@5`` ``Success@5``.

    Raises:
        InputError: there is no such measure.
    """
    require("ir_measures", "eval", "measuring retrieval")
    import ir_measures

    found = []
    for name in names:
        parts = _NAME.fullmatch(name.strip())
        try:
            if parts is None:
                raise NameError(name)
            found.append(str(ir_measures.parse_measure(_OTHER_NAMES.get(parts[1].lower(), parts[1]) + parts[2])))
        except (NameError, SyntaxError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"there is no measure {name!r}: give such as nDCG@10, R@100, RR@10, AP, Success@5 or P@5"
            ) from error
    if not found:
        raise InputError("no measure is named: give one or more, such as nDCG@10")
    return list(dict.fromkeys(found))


def measure(
    run: Mapping[str, Ranking], relevance: Relevance, names: Sequence[str] = ("nDCG@10",), ties: Ties = "trec"
) -> Measured:
    """Every measure of every query that has a relevant document.

    Args:
        run: rankings by query id; queries that are not judged are ignored.
        relevance: of the queries that count.
        names: measures, see `parse_measures`.
        ties: how equal scores are ordered.

    Raises:
        InputError: no query has a relevant document, or none of these is in the run.
    """
    if ties not in get_args(Ties):
        raise InputError(f"there are no ties {ties!r}: choose one of {', '.join(get_args(Ties))}")
    measures = parse_measures(names)
    judged = {query: grades for query, grades in relevance.items() if any(grade > 0 for grade in grades.values())}
    if not judged:
        raise InputError(f"none of {len(relevance)} judged queries has a relevant document: check the judgements")
    unanswered = [query for query in judged if query not in run]
    if len(unanswered) == len(judged):
        raise InputError(
            f"the run has none of the {len(judged)} judged queries (such as {unanswered[0]!r}; it has "
            f"{', '.join(map(repr, list(run)[:3])) or 'no query'}): check that both name queries alike"
        )
    ordered = {query: _with_distinct_scores(run[query], ties) for query in judged if query in run}
    numbers = {query: number for number, query in enumerate(judged)}
    values = {name: np.zeros(len(judged)) for name in measures}
    for name, query, value in _calculated(measures, judged, ordered):
        values[name][numbers[query]] = value
    empty = [query for query in relevance if query not in judged]
    return Measured(list(judged), values, unanswered, empty)


def ranked(ranking: Ranking, ties: Ties = "trec") -> list[str]:
    """Document ids, best first."""
    documents = list(ranking)
    scores = np.fromiter(ranking.values(), np.float64, len(ranking))
    if ties == "trec":
        scores = scores.astype(np.float32).astype(np.float64)
    order = np.argsort(-scores, kind="stable")
    if ties == "trec" and (np.diff(scores[order]) == 0).any():
        by_id = sorted(range(len(documents)), key=documents.__getitem__, reverse=True)
        order = np.asarray(by_id)[np.argsort(-scores[by_id], kind="stable")]
    return [documents[place] for place in order.tolist()]


def _with_distinct_scores(ranking: Ranking, ties: Ties) -> dict[str, float]:
    """The same order without equal scores, which not all of ir_measures' providers order alike."""
    order = ranked(ranking, ties)
    return {document: float(len(order) - place) for place, document in enumerate(order)}


def _calculated(
    names: Sequence[str], judged: Relevance, run: Mapping[str, Ranking]
) -> Iterable[tuple[str, str, float]]:
    import ir_measures

    parsed: dict[Any, str] = {ir_measures.parse_measure(name): name for name in names}
    grades = {query: {document: max(0, grade) for document, grade in own.items()} for query, own in judged.items()}
    for found in ir_measures.iter_calc(list(parsed), grades, run):
        yield parsed[found.measure], found.query_id, found.value
