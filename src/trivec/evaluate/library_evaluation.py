"""`evaluate_library`: how well and how fast a library answers, with its candidates, its compression and its store."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from trivec.embeddings import Embeddings
from trivec.errors import InputError
from trivec.evaluate.costs import Cost
from trivec.evaluate.evaluation import Evaluation, Latency, SystemResult, reranked_results
from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.measures import Ranking, measure
from trivec.evaluate.options import EvaluateOptions
from trivec.evaluate.reading import list_documents
from trivec.evaluate.reranked_sets import RerankingOptions, rerank_rankings
from trivec.evaluate.runs import Run
from trivec.evaluate.systems import HYBRID, System, find_systems
from trivec.progress import Progress
from trivec.search.collection import Collection
from trivec.search.fusion import fusion_name
from trivec.search.options import SearchOptions
from trivec.search.retrieval import retrieve


def evaluate_library(
    library: Collection,
    judged: JudgedSet,
    options: EvaluateOptions | None = None,
    show_progress: bool = False,
    reranking: RerankingOptions | None = None,
) -> Evaluation:
    """Search a library for every query of a set, by every system, one query at a time.

    Args:
        library: what is searched; the set's own documents are not looked at.
        judged: queries, and which documents of the library answer them.
        options: what to measure; ``candidates`` and ``long_documents`` are the library's.
        show_progress: a bar on terminals.
        reranking: a reranker that reads the first documents of one of the systems, which gives further systems. None
            is the one that the library is searched with, if any.

    Raises:
        InputError: none of the relevant documents is in the library, or it lacks a signal.
    """
    options = options or EvaluateOptions()
    options.check(judged)
    if judged.answers:
        raise InputError(f"{judged.name} has answers and no judgements: measure its model, not a library")
    present = library.search_options
    systems, baselines = find_systems(options.systems, library.store.signals, present)
    if baselines:
        raise InputError(f"{baselines[0].name} ranks the documents of a set, and a library is searched: leave it out")
    unknown = judged.count_unknown(lambda name: library.get(name) is not None, "the library")
    start = time.perf_counter()
    heads = library.encoder.check_heads(None)
    vectors = library.compression.queries(
        library.encoder.encode_queries([query.text for query in judged.queries], heads)
    )
    queries_s, start = time.perf_counter() - start, time.perf_counter()
    results = {}
    with Progress("searching", "queries", show_progress, len(systems) * len(vectors)) as bar:
        for system in systems:
            results[system.name] = _search(library, judged, vectors, system, _way(system, present), options)
            bar.update(len(vectors))
    reranking = reranking or _own_reranking(library)
    if reranking is not None:
        base = reranking.of({system.name: system for system in systems})
        depth, way = max(reranking.depths), _way(base, present)
        listed = list_documents(library, judged.queries, way, depth, options.without_self)
        read = rerank_rankings(reranking, judged.queries, listed, show_progress=show_progress)
        results |= reranked_results(base, read, judged.relevance, options)
    info = library.info()
    scoring_s = time.perf_counter() - start
    cost = Cost(queries_s, scoring_s=scoring_s, passages=info.passages, library_bytes=info.bytes)
    names = ("", "") if reranking is None else (reranking.reranker.name, reranking.calibration)
    digest = library.encoder.fingerprint.digest
    return Evaluation(judged, library.encoder.name, digest, results, cost, unknown, [], *names)


def _own_reranking(library: Collection) -> RerankingOptions | None:
    """As the library's own way of searching has it."""
    second = library.second_stage(library.search_options)
    if second is None:
        return None
    return RerankingOptions(second.reranker, (second.depth,), first_stages=(second.first_stage,))


def _way(system: System, present: SearchOptions) -> SearchOptions:
    """A single signal is a mode; a mix is a way of its own. Depths are the library's, and so is the hybrid."""
    if system.name == HYBRID:
        return present
    if len(system.signals) == 1:
        return replace(present, mode=system.signals[0], per_passage=False)
    return replace(
        present, mode="hybrid", fusion=fusion_name(system.rule), weights=system.rule.weights, per_passage=False
    )


def _search(
    library: Collection,
    judged: JudgedSet,
    vectors: Embeddings,
    system: System,
    way: SearchOptions,
    options: EvaluateOptions,
) -> SystemResult:
    rankings: dict[str, Ranking] = {}
    taken: list[float] = []
    depth = options.depth + options.without_self
    for query, vector in zip(judged.queries, vectors, strict=True):
        start = time.perf_counter()
        found = retrieve(library.store, vector, depth, None, way)
        taken.append(1000 * (time.perf_counter() - start))
        left_out = query.id if options.without_self else None
        ranking = {one.passage.document_id: one.score for one in found if one.passage.document_id != left_out}
        rankings[query.id] = dict(list(ranking.items())[: options.depth])
    return SystemResult(
        weights=system.weights,
        fusion=fusion_name(system.rule),
        run=Run(system.name, rankings),
        measured=measure(rankings, judged.relevance, options.measures, options.ties),
        uncertain=0,
        latency=Latency(*np.quantile(taken, [0.5, 0.95]).tolist()),
    )
