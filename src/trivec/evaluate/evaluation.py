"""`evaluate`: all systems of a model on a judged set, from one pass over its passages."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from trivec.encode.encoder import Encoder
from trivec.errors import InputError
from trivec.evaluate.answers import judge
from trivec.evaluate.costs import Cost
from trivec.evaluate.inspection import InspectedQuery, worst_queries
from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.measures import Measured, Relevance, measure
from trivec.evaluate.options import EvaluateOptions
from trivec.evaluate.ranked_sets import RankedSet, rank_set
from trivec.evaluate.reranked_sets import RerankedSet, RerankingOptions, listed_by_system, rerank_rankings
from trivec.evaluate.runs import Run
from trivec.evaluate.scoring_pass import Pass
from trivec.evaluate.systems import System
from trivec.search.fusion import fusion_name
from trivec.search.passages import PassageSplitter
from trivec.types import Signal

_INSPECTED = 10
"""Queries that are looked at one by one."""


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
        rerank_ms: milliseconds that the reranker took for a query, of many at once; None without one.
        first_stage: weight of the scores before beside the reranker's; None without one.
    """

    weights: Mapping[Signal, float]
    fusion: str
    run: Run
    measured: Measured
    uncertain: int
    latency: Latency | None = None
    rerank_ms: float | None = None
    first_stage: float | None = None


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
        reranker: what read the first documents of systems with ``+rerank`` in their names; empty without one.
        calibration: how its probabilities are calibrated; empty if they are not.
    """

    judged: JudgedSet
    model: str
    fingerprint: str
    systems: Mapping[str, SystemResult]
    cost: Cost
    unknown_documents: int
    worst: Sequence[InspectedQuery]
    reranker: str = ""
    calibration: str = ""

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
    reranking: RerankingOptions | None = None,
) -> Evaluation:
    """Measure all systems of a model on a set.

    Args:
        encoder: the model.
        judged: the set.
        options: what to measure, and how.
        cache: folder that keeps vectors, so that a run can be stopped and taken up, and repeated with other systems.
        show_progress: a bar on terminals.
        reranking: a reranker that reads the first documents of one of the systems, which gives further systems.

    Raises:
        InputError: the set and the options do not fit together, or the model lacks a signal.
    """
    options = options or EvaluateOptions()
    options.check(judged)
    unknown = 0 if judged.answers else _unknown_documents(judged)
    ranked = rank_set(encoder, judged, options, cache, show_progress)
    read = None
    if reranking is not None:
        read = _rerank(reranking, encoder, judged, options, ranked, cache, show_progress)
    start = time.perf_counter()
    if judged.answers:
        rankings = [*ranked.rankings.values(), *({} if read is None else read.rankings).values()]
        judged = replace(judged, relevance=judge(rankings, judged.texts, judged.answers))
    mixes = ranked.mixes
    results = {
        name: SystemResult(
            weights=mixes[name].weights if name in mixes else {},
            fusion=fusion_name(mixes[name].rule) if name in mixes else "",
            run=Run(name, own),
            measured=measure(own, judged.relevance, options.measures, options.ties),
            uncertain=ranked.uncertain.get(name, 0),
        )
        for name, own in ranked.rankings.items()
    }
    if reranking is not None and read is not None:
        results |= reranked_results(reranking.of(mixes), read, judged.relevance, options)
    cost = replace(ranked.cost, scoring_s=ranked.cost.scoring_s + time.perf_counter() - start)
    worst = [] if ranked.found is None else _worst_queries(ranked.found, judged, results[list(mixes)[-1]])
    names = ("", "") if reranking is None else (reranking.reranker.name, reranking.calibration)
    return Evaluation(judged, encoder.name, ranked.fingerprint, results, cost, unknown, worst, *names)


def reranked_results(
    base: System, read: RerankedSet, relevance: Relevance, options: EvaluateOptions
) -> dict[str, SystemResult]:
    """What a system's rankings are worth after a reranker has read them, by the names of the new systems."""
    found = {}
    for order, rankings in read.rankings.items():
        name = f"{base.name}+{order}"
        found[name] = SystemResult(
            weights=base.weights,
            fusion=fusion_name(base.rule),
            run=Run(name, rankings),
            measured=measure(rankings, relevance, options.measures, options.ties),
            uncertain=0,
            rerank_ms=read.query_ms(order),
            first_stage=order.first_stage,
        )
    return found


def _rerank(
    reranking: RerankingOptions,
    encoder: Encoder,
    judged: JudgedSet,
    options: EvaluateOptions,
    ranked: RankedSet,
    cache: Path | None,
    show_progress: bool,
) -> RerankedSet:
    """What becomes of the rankings that are read."""
    base, queries = reranking.of(ranked.mixes), judged.queries
    assert ranked.found is not None
    content = PassageSplitter.for_encoder(encoder, long_documents=options.long_documents).content
    depth = max(reranking.depths)
    listed = listed_by_system(base, queries, ranked.found, content, depth, options.without_self)
    return rerank_rankings(reranking, queries, listed, cache, show_progress)


def _unknown_documents(judged: JudgedSet) -> int:
    if not judged.documents:
        raise InputError(f"{judged.name} has no documents: nothing can be measured on it, give another set")
    there = {document.id for document in judged.documents}
    return judged.count_unknown(there.__contains__, f"its corpus, which has such as {judged.documents[0].id!r}")


def _worst_queries(found: Pass, judged: JudgedSet, result: SystemResult) -> list[InspectedQuery]:
    values = next(iter(result.measured.values.values()))
    by_query = dict(zip(result.measured.queries, values.tolist(), strict=True))
    return worst_queries(found, judged, result.run.rankings, by_query, _INSPECTED)
