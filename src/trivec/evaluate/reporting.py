"""``report.html``: what was measured, as tables and figures in one file that needs nothing else."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import fmean

from trivec.evaluate.costs import total_cost
from trivec.evaluate.evaluation import Evaluation, SystemResult
from trivec.evaluate.inspection import InspectedQuery, Seen
from trivec.evaluate.pair_evaluation import PairEvaluation
from trivec.evaluate.results import Results
from trivec.report.bars import bars
from trivec.report.distributions import distributions
from trivec.report.heat_map import heat_map
from trivec.report.page import write_page
from trivec.report.scatter import scatter
from trivec.types import HEAD_OF_SIGNAL, Signal

_TEXT = 300
"""Letters of a passage that are shown."""
_COLOUR = "the more colour, the nearer to the best of the row"


def write_report(path: Path, results: Results, with_texts: bool = True) -> None:
    """Write the report of a model on sets and pairs.

    Args:
        path: of the file.
        results: of the same model, all sets by the same systems.
        with_texts: show the queries that went worst, with passages.
    """
    parts = _sets(results.sets) if results.sets else []
    parts += _worst(results.sets) if results.sets and with_texts else []
    write_page(path, f"{results.model}: retrieval", [*parts, *_pairs(results.pairs)])


def _sets(evaluations: Sequence[Evaluation]) -> list[str]:
    systems = list(evaluations[0].systems)
    measures = list(evaluations[0].systems[systems[0]].measured.values)
    main = measures[0]
    means = {name: fmean(_mean(evaluation, name, main) for evaluation in evaluations) for name in systems}
    mean_of = f"mean of {len(evaluations)} sets" if len(evaluations) > 1 else evaluations[0].judged.name
    parts = [_facts(evaluations), bars(f"{main}, {mean_of}", means)]
    parts += [_values(evaluations, systems, measure) for measure in measures]
    parts += [_languages(evaluation, systems, main) for evaluation in evaluations]
    parts.append(_costs(evaluations, means, main))
    parts.append(_reranking_costs(evaluations, means, main))
    parts += [_closed(f"Scores, {one.judged.name}", _scores(one)) for one in evaluations]
    return parts


def _worst(evaluations: Sequence[Evaluation]) -> list[str]:
    """The queries that went worst, with what was found and what was wanted."""
    systems = evaluations[0].systems
    last = list(systems)[-1]
    main = next(iter(systems[last].measured.values))
    return [
        _closed(f"Worst queries of {last}, {one.judged.name}", [_article(query, main) for query in one.worst])
        for one in evaluations
    ]


def _pairs(evaluations: Sequence[PairEvaluation]) -> list[str]:
    """A table for each set of pairs, and one by language."""
    parts = []
    for one in evaluations:
        systems = list(one.values)
        measures = list(one.values[systems[0]])
        rows = {measure: [one.values[name][measure] for name in systems] for measure in measures}
        parts.append(heat_map(f"{one.pairs.name}, {len(one.pairs.first):,} pairs", systems, rows, _COLOUR))
        languages = {language: [own[name] for name in systems] for language, own in one.by_language.items()}
        if languages:
            table = heat_map(f"{measures[0]} by language", systems, languages, _COLOUR)
            parts.append(_closed(f"{one.pairs.name} by language", [table]))
    return parts


def _mean(evaluation: Evaluation, system: str, measure: str) -> float:
    return evaluation.systems[system].measured.means()[measure]


def _facts(evaluations: Sequence[Evaluation]) -> str:
    cost = total_cost([evaluation.cost for evaluation in evaluations])
    queries = sum(len(evaluation.judged.queries) for evaluation in evaluations)
    documents = sum(len(evaluation.judged.documents) for evaluation in evaluations)
    where = f"{documents:,} documents in {cost.passages:,} passages"
    if cost.library_bytes:
        where = f"a library of {evaluations[0].cost.passages:,} passages in {cost.library_bytes / 1e6:,.1f} MB"
    told = f"{queries:,} queries, {where}. Time: {cost}. Vectors: {evaluations[0].fingerprint}."
    return f'<p class="soft">{html.escape(told)}</p>'


def _values(evaluations: Sequence[Evaluation], systems: Sequence[str], measure: str) -> str:
    rows = {one.judged.name: [_mean(one, name, measure) for name in systems] for one in evaluations}
    if len(rows) > 1:
        rows["mean"] = [fmean(column) for column in zip(*rows.values(), strict=True)]
    return heat_map(measure, systems, rows, _COLOUR)


def _languages(evaluation: Evaluation, systems: Sequence[str], measure: str) -> str:
    found = evaluation.by_language(measure)
    if len(found) < 2:
        return ""
    rows = {language: [values[name] for name in systems] for language, values in found.items()}
    title = f"{measure} by language of the query, {evaluation.judged.name}"
    return heat_map(title, systems, rows, _COLOUR)


def _costs(evaluations: Sequence[Evaluation], means: Mapping[str, float], measure: str) -> str:
    """Quality against the time of a search, or against what the vectors of a passage take."""
    systems = evaluations[0].systems
    latency = {name: result.latency for name, result in systems.items() if result.latency is not None}
    if latency:
        times = {name: (one.p50, means[name]) for name, one in latency.items()}
        return scatter("Quality and time", times, "milliseconds for a search, half of them take no longer", measure)
    cost = total_cost([evaluation.cost for evaluation in evaluations])
    size = {head: count / cost.passages for head, count in cost.bytes_by_head.items()}
    points = {
        name: (sum(size.get(HEAD_OF_SIGNAL[signal], 0.0) for signal in result.weights), means[name])
        for name, result in systems.items()
    }
    return scatter("Quality and size", points, "bytes of vectors for a passage, uncompressed, without BM25", measure)


def _reranking_costs(evaluations: Sequence[Evaluation], means: Mapping[str, float], measure: str) -> str:
    """Quality against the time that a reranker took, where there was one."""
    points = {}
    for name in evaluations[0].systems:
        taken = [one.systems[name].rerank_ms for one in evaluations]
        known = [value for value in taken if value is not None]
        if known:
            points[name] = (fmean(known), means[name])
    if not points:
        return ""
    return scatter("Quality and time of reranking", points, "milliseconds a query, of many at once", measure)


def _scores(evaluation: Evaluation) -> list[str]:
    """How the scores of relevant documents lie beside those of the others, for each signal alone."""
    parts = []
    for name, result in evaluation.systems.items():
        if len(result.weights) == 1:
            title = f"Scores by {name}"
            parts.append(distributions(title, _split_scores(evaluation, result), "among the documents found"))
    return parts


def _split_scores(evaluation: Evaluation, result: SystemResult) -> dict[str, list[float]]:
    relevant: list[float] = []
    others: list[float] = []
    for query, ranking in result.run.rankings.items():
        grades = evaluation.judged.relevance[query]
        for document, score in ranking.items():
            (relevant if grades.get(document, 0) > 0 else others).append(score)
    return {"relevant": relevant, "others": others}


def _closed(title: str, parts: Sequence[str]) -> str:
    """Parts that the reader opens."""
    if not any(parts):
        return ""
    return f"<details><summary>{html.escape(title)}</summary>{''.join(parts)}</details>"


def _article(one: InspectedQuery, measure: str) -> str:
    head = (
        f"<p><b>{html.escape(one.query.text)}</b> <span class='soft'>{html.escape(measure)} {one.value:.4f}</span></p>"
    )
    found = _quote("found first", one.found) if one.found is not None else "<p>nothing was found</p>"
    same = one.found is not None and one.found.document == one.wanted.document
    return f"<article>{head}{found}{'' if same else _quote('relevant', one.wanted)}</article>"


def _quote(what: str, seen: Seen) -> str:
    rank = "not found" if seen.rank is None else f"rank {seen.rank}"
    scores = ", ".join(f"{signal} {_short(score)}" for signal, score in _ordered(seen.signals))
    text = seen.text[:_TEXT] + ("…" if len(seen.text) > _TEXT else "")
    line = f"{what}: {seen.document}, {rank}{f' ({scores})' if scores else ''}"
    return f"<p class='soft'>{html.escape(line)}</p><blockquote dir='auto'>{html.escape(text)}</blockquote>"


def _ordered(signals: Mapping[Signal, float]) -> list[tuple[Signal, float]]:
    return sorted(signals.items(), key=lambda pair: list(HEAD_OF_SIGNAL).index(pair[0]))


def _short(score: float) -> str:
    return f"{score:.3f}"
