"""`evaluate`: all systems of a model on a judged set, from one pass over its passages."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from trivec.encode.encoder import Encoder
from trivec.errors import InputError
from trivec.evaluate.answers import judge
from trivec.evaluate.costs import Cost
from trivec.evaluate.inspection import InspectedQuery, worst_queries
from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.measures import Measured, Ranking, Ties, measure, parse_measures
from trivec.evaluate.ranking import best_documents, could_enter, total_scores
from trivec.evaluate.runs import Run
from trivec.evaluate.scoring_pass import Pass, propose
from trivec.evaluate.set_vectors import SetEncoder
from trivec.evaluate.systems import System, find_systems, signals_of
from trivec.evaluate.whole_documents import rank_documents
from trivec.search.fusion import fusion_name
from trivec.search.long_documents import LongDocuments
from trivec.search.options import SearchOptions
from trivec.types import HEAD_OF_SIGNAL, Head, Signal

MEASURES = ("nDCG@10", "R@100", "RR@10")
_LEAST_DEPTH = 100
_INSPECTED = 10
"""Queries that are looked at one by one."""


@dataclass(frozen=True)
class EvaluateOptions:
    """How a model is measured.

    Attributes:
        systems: names or weights, see `trivec.evaluate.systems`, or systems as they are; none: the default ones.
        measures: see `trivec.evaluate.measures`.
        ties: how equal scores are ordered.
        long_documents: how documents become passages; each document counts by its best one.
        candidates: passages that each signal lists for the mixes. A mix is exact where no other passage could enter.
        without_self: leave out a document whose id is that of the query, for sets whose queries are documents.
        max_length: tokens that the model sees of a text, if it has room for so many; None is all it has room for.
    """

    systems: Sequence[str | System] = ()
    measures: Sequence[str] = MEASURES
    ties: Ties = "trec"
    long_documents: LongDocuments = field(default_factory=LongDocuments)
    candidates: int = 1000
    without_self: bool = False
    max_length: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("candidates", self.candidates), ("max_length", self.max_length)):
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")

    def check(self, judged: JudgedSet) -> None:
        """Refuse measures that a set has no judgements for.

        Raises:
            InputError: naming them.
        """
        others = [name for name in parse_measures(self.measures) if not name.startswith(("Success@", "RR@"))]
        if judged.answers and others:
            raise InputError(
                f"{judged.name} has answers and no judgements, so {', '.join(others)} cannot be measured: give such as "
                "Success@20 and Success@100, which the papers call recall"
            )

    @property
    def depth(self) -> int:
        """Documents of a ranking that are kept: as many as the deepest measure sees."""
        cuts = [name.rpartition("@")[2] for name in parse_measures(self.measures)]
        return max(_LEAST_DEPTH, *(int(cut) if cut.isdigit() else 1000 for cut in cuts))


@dataclass(frozen=True)
class Latency:
    """Of single searches, without encoding the query, in milliseconds: half and 95 % of them took no longer."""

    p50: float
    p95: float


@dataclass(frozen=True, eq=False)
class SystemResult:
    """What a system found, and how good that is.

    Attributes:
        weights: of the signals; none of a baseline.
        fusion: the rule that mixes them, by its name, or empty.
        run: its rankings.
        measured: of each query.
        uncertain: queries for which a passage that no signal listed could have entered the ranking.
        latency: of its searches, where a library was searched.
    """

    weights: Mapping[Signal, float]
    fusion: str
    run: Run
    measured: Measured
    uncertain: int
    latency: Latency | None = None


@dataclass(frozen=True, eq=False)
class Evaluation:
    """A model on a set.

    Attributes:
        judged: the set.
        model: its name.
        fingerprint: digest of what its vectors depend on.
        systems: results by system, in the order in which they were asked for.
        cost: what it took.
        unknown_documents: judged as relevant, and not in the set.
        worst: queries that the last system answers worst by the first measure.
    """

    judged: JudgedSet
    model: str
    fingerprint: str
    systems: Mapping[str, SystemResult]
    cost: Cost
    unknown_documents: int
    worst: Sequence[InspectedQuery]

    def by_language(self, measure_name: str) -> dict[str, dict[str, float]]:
        """Means by language of the queries and system, where queries have languages."""
        languages = {query.id: query.language for query in self.judged.queries}
        found: dict[str, dict[str, float]] = {}
        for name, result in self.systems.items():
            own = np.asarray([languages.get(query, "") for query in result.measured.queries])
            values = result.measured.values[measure_name]
            for language in sorted(set(own.tolist()) - {""}):
                found.setdefault(language, {})[name] = float(values[own == language].mean())
        return found


def evaluate(
    encoder: Encoder,
    judged: JudgedSet,
    options: EvaluateOptions | None = None,
    cache: Path | None = None,
    show_progress: bool = False,
) -> Evaluation:
    """Measure all systems of a model on a set.

    Args:
        encoder: the model.
        judged: the set.
        options: what to measure, and how.
        cache: folder that keeps vectors, so that a run can be stopped and taken up, and repeated with other systems.
        show_progress: a bar on terminals.

    Raises:
        InputError: the set and the options do not fit together, or the model lacks a signal.
    """
    options = options or EvaluateOptions()
    options.check(judged)
    available = signals_of(encoder.heads)
    own_mix = SearchOptions.suited_to(encoder.heads, encoder.checkpoint.settings)
    systems, baselines = find_systems(options.systems, available, own_mix)
    mixes = {system.name: system for system in systems}
    if options.max_length is not None:
        encoder = encoder.shortened(min(options.max_length, encoder.max_length))
    used = tuple(signal for signal in available if any(signal in system.signals for system in systems))
    unknown = 0 if judged.answers else _unknown_documents(judged)
    heads: list[Head] = [HEAD_OF_SIGNAL[signal] for signal in used if signal != "bm25"]
    vectors = SetEncoder(encoder, heads, options.long_documents, cache, show_progress)
    found = propose(vectors, judged, used, max(options.candidates, options.depth)) if systems else None
    start = time.perf_counter()
    rankings, uncertain = _rankings(systems, found, judged, options) if found is not None else ({}, {})
    for baseline in baselines:
        rankings[baseline.name] = rank_documents(baseline, encoder, judged, options.depth, options.without_self)
    if judged.answers:
        judged = replace(judged, relevance=judge(list(rankings.values()), judged.texts, judged.answers))
    results = {
        name: SystemResult(
            weights=mixes[name].weights if name in mixes else {},
            fusion=fusion_name(mixes[name].rule) if name in mixes else "",
            run=Run(name, own),
            measured=measure(own, judged.relevance, options.measures, options.ties),
            uncertain=uncertain.get(name, 0),
        )
        for name, own in rankings.items()
    }
    cost = found.cost if found is not None else Cost()
    cost = replace(cost, scoring_s=cost.scoring_s + time.perf_counter() - start)
    worst = _worst_queries(found, judged, results[systems[-1].name]) if found is not None else []
    return Evaluation(judged, encoder.name, encoder.fingerprint.digest, results, cost, unknown, worst)


def _unknown_documents(judged: JudgedSet) -> int:
    if not judged.documents:
        raise InputError(f"{judged.name} has no documents: nothing can be measured on it, give another set")
    there = {document.id for document in judged.documents}
    return judged.count_unknown(there.__contains__, f"its corpus, which has such as {judged.documents[0].id!r}")


def _rankings(
    systems: Sequence[System], found: Pass, judged: JudgedSet, options: EvaluateOptions
) -> tuple[dict[str, dict[str, Ranking]], dict[str, int]]:
    """By system: rankings of each query, and for how many queries a passage on no list could have entered."""
    rankings: dict[str, dict[str, Ranking]] = {system.name: {} for system in systems}
    uncertain = dict.fromkeys(rankings, 0)
    documents = set(found.owners)
    for query, proposed in zip(judged.queries, found.proposals, strict=True):
        own = query.id if options.without_self else None
        room = min(options.depth, len(documents) - (own in documents))
        for system in systems:
            numbers, totals = total_scores(system, proposed)
            ranking = best_documents(numbers, totals, found.owners, options.depth, own)
            lowest = min(ranking.values()) if len(ranking) == room else -np.inf
            uncertain[system.name] += could_enter(system, proposed) > lowest
            rankings[system.name][query.id] = ranking
    return rankings, uncertain


def _worst_queries(found: Pass, judged: JudgedSet, result: SystemResult) -> list[InspectedQuery]:
    values = next(iter(result.measured.values.values()))
    by_query = dict(zip(result.measured.queries, values.tolist(), strict=True))
    return worst_queries(found, judged, result.run.rankings, by_query, _INSPECTED)
