"""Runs of several systems beside each other: means, differences to the first, and the queries that tell them apart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivec.errors import InputError
from trivec.evaluate.measures import Relevance, Ties, measure, parse_measures
from trivec.evaluate.runs import Run
from trivec.evaluate.significance import difference, holm


@dataclass(frozen=True)
class QueryChange:
    """A query and what the first and another system got for it."""

    query: str
    first: float
    other: float


@dataclass(frozen=True)
class Comparison:
    """A system beside the first one, by one measure.

    Attributes:
        system: its name.
        measure: by which.
        mean: over queries.
        difference: of the means; above 0 the system is better than the first.
        interval: of the difference, 95 %.
        p: of a paired randomisation test.
        p_corrected: by Holm's method, over all comparisons made together.
        wins: queries that it answers better.
        losses: queries that it answers worse.
        best: queries that gain most, those with the largest gain first.
        worst: queries that lose most, those with the largest loss first.
    """

    system: str
    measure: str
    mean: float
    difference: float
    interval: tuple[float, float]
    p: float
    p_corrected: float
    wins: int
    losses: int
    best: Sequence[QueryChange]
    worst: Sequence[QueryChange]


@dataclass(frozen=True)
class ComparedRuns:
    """What `compare_runs` found.

    Attributes:
        baseline: name of the first run.
        queries: judged queries with a relevant document.
        means: of the first run, by measure.
        unanswered: by run, judged queries that it does not have; they count 0.
        without_relevant: queries that were left out because nothing is relevant for them.
        comparisons: every other run by every measure.
    """

    baseline: str
    queries: int
    means: Mapping[str, float]
    unanswered: Mapping[str, int]
    without_relevant: int
    comparisons: Sequence[Comparison]

    def to_dict(self) -> dict[str, Any]:
        """All of it as JSON takes it."""
        return asdict(self)


def compare_runs(
    runs: Sequence[Run],
    relevance: Relevance,
    measures: Sequence[str] = ("nDCG@10",),
    ties: Ties = "trec",
    seed: int = 0,
    shown: int = 5,
) -> ComparedRuns:
    """Compare runs with the first of them.

    Args:
        runs: two or more, with different names.
        relevance: judgements.
        measures: see `trivec.evaluate.measures.parse_measures`.
        ties: how equal scores are ordered.
        seed: of random samples.
        shown: best and worst queries told at most.

    Raises:
        InputError: there are too few runs, two of one name, or one that answers no judged query.
    """
    names = [run.name for run in runs]
    if len(runs) < 2 or len(set(names)) < len(names):
        raise InputError(f"the runs are {', '.join(names) or 'none'}: give at least two, with different names")
    measured = [measure(run.rankings, relevance, measures, ties) for run in runs]
    first = measured[0]
    found = []
    for run, other in zip(runs[1:], measured[1:], strict=True):
        for name in parse_measures(measures):
            found.append(_compared(run.name, name, first.queries, first.values[name], other.values[name], seed, shown))
    corrected = holm([comparison.p for comparison in found])
    return ComparedRuns(
        baseline=names[0],
        queries=len(first.queries),
        means=first.means(),
        unanswered={name: len(values.unanswered) for name, values in zip(names, measured, strict=True)},
        without_relevant=len(first.without_relevant),
        comparisons=[replace(comparison, p_corrected=p) for comparison, p in zip(found, corrected, strict=True)],
    )


def _compared(
    system: str,
    name: str,
    queries: Sequence[str],
    first: NDArray[np.float64],
    other: NDArray[np.float64],
    seed: int,
    shown: int,
) -> Comparison:
    result = difference(first, other, seed)
    gains = other - first
    order = np.argsort(gains, kind="stable").tolist()
    changes = [QueryChange(queries[place], float(first[place]), float(other[place])) for place in order]
    wins, losses = int((gains > 0).sum()), int((gains < 0).sum())
    return Comparison(
        system=system,
        measure=name,
        mean=float(other.mean()),
        difference=result.mean,
        interval=result.interval,
        p=result.p,
        p_corrected=result.p,
        wins=wins,
        losses=losses,
        best=changes[::-1][: min(shown, wins)],
        worst=changes[: min(shown, losses)],
    )
