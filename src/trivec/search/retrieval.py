"""From a query's vectors to ranked passages: proposals, their union, exact scores, MaxSim, fusion.

M3-Embedding (Chen et al. 2024, 2402.03216) section 4: dense and sparse retrieval propose candidates, and the
hybrid score re-ranks their union. BM25 over the same subwords proposes too. All of it works on any store.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trivec.embeddings import Embeddings
from trivec.index import Filter, Ranking, Store
from trivec.index.ranking import best_rows
from trivec.search.fusion import Fusion, ReciprocalRank
from trivec.search.options import SearchOptions
from trivec.types import FloatArray, IntArray, Passage, Signal


@dataclass(frozen=True)
class RankedPassage:
    """A passage with its score, and where the score comes from."""

    passage: Passage
    score: float
    signals: Mapping[Signal, float]
    contributions: Mapping[Signal, float]


@dataclass(frozen=True, eq=False)
class _Candidates:
    """One row a candidate, one array of scores a signal; NaN where a signal has none."""

    ids: list[str]
    signals: dict[Signal, FloatArray]

    def select(self, rows: IntArray) -> _Candidates:
        scores = {name: values[rows] for name, values in self.signals.items()}
        return _Candidates([self.ids[row] for row in rows.tolist()], scores)


def retrieve(
    store: Store, query: Embeddings, k: int, where: Filter | None, options: SearchOptions
) -> list[RankedPassage]:
    """The best k documents (or passages, if the options say so), best first, ties by passage id.

    Depths grow until k are found or there is nothing more to find, so a document with many passages cannot
    crowd out others.

    Raises:
        InputError: the store has none of the signals that the options ask for.
    """
    signals = options.signals(store.signals)
    proposers = _proposers(signals, store.signals, store.capabilities.multi_first_stage)
    depth, shortlist = max(k, options.candidates), max(k, options.rerank)
    while True:
        rankings = {signal: store.search(signal, query, depth, where) for signal in proposers}
        candidates = _union(store, query, rankings, options.complete or options.mode == "multi")
        candidates = _with_bm25_share(store, query, candidates)
        exhausted = all(len(ranking) < depth for ranking in rankings.values())
        if "multi" in signals and "multi" not in proposers:
            exhausted = exhausted and len(candidates.ids) <= shortlist
            candidates = _with_maxsim(store, query, candidates, shortlist, options)
        found = _best(store, candidates, signals, k, options)
        if len(found) >= k or exhausted:
            return found
        depth, shortlist = depth * 4, shortlist * 4


def _proposers(signals: Sequence[Signal], available: Sequence[Signal], first_stage: bool) -> list[Signal]:
    """Signals that propose candidates: those in use but MaxSim, else all but MaxSim, else MaxSim over everything.

    MaxSim alone proposes for itself where the store has a first stage for it.
    """
    if first_stage and list(signals) == ["multi"]:
        return ["multi"]
    for choice in (signals, available):
        proposers: list[Signal] = [signal for signal in choice if signal != "multi"]
        if proposers:
            return proposers
    return ["multi"]


def _union(store: Store, query: Embeddings, rankings: Mapping[Signal, Ranking], complete: bool) -> _Candidates:
    """Everything proposed, scored by every proposing signal, or by those alone that proposed it."""
    ids = list(dict.fromkeys(itertools.chain.from_iterable(ranking.ids for ranking in rankings.values())))
    places = dict(zip(ids, range(len(ids)), strict=True))
    signals: dict[Signal, FloatArray] = {}
    for signal, ranking in rankings.items():
        scores = np.full(len(ids), np.nan, np.float32)
        scores[np.fromiter(map(places.__getitem__, ranking.ids), np.int64, len(ranking))] = ranking.scores
        missing = np.flatnonzero(np.isnan(scores))
        if complete and len(missing):
            scores[missing] = store.score(signal, query, [ids[row] for row in missing.tolist()])
        signals[signal] = scores
    return _Candidates(ids, signals)


def _with_bm25_share(store: Store, query: Embeddings, candidates: _Candidates) -> _Candidates:
    """BM25 as a share, in [0, 1), of the most that this query's terms could bring.

    The order stays; but shares of different queries are comparable, and of the scale of a cosine, so that BM25 can
    stand in a weighted sum. A query in another language than the text matches few terms and gets a small share.
    """
    if "bm25" not in candidates.signals:
        return candidates
    most = sum(store.term_weights(query).values())
    share = candidates.signals["bm25"] / np.float32(most) if most > 0 else candidates.signals["bm25"]
    return _Candidates(candidates.ids, {**candidates.signals, "bm25": share})


def _with_maxsim(
    store: Store, query: Embeddings, candidates: _Candidates, shortlist: int, options: SearchOptions
) -> _Candidates:
    """The best of the candidates without MaxSim, with their MaxSim scores."""
    rule = options.rule()
    has_weight = any(rule.weights.get(signal) for signal in candidates.signals)
    total = _total(rule if options.mode == "hybrid" and has_weight else ReciprocalRank(), candidates)
    kept = candidates.select(best_rows(candidates.ids, total, shortlist))
    return _Candidates(kept.ids, {**kept.signals, "multi": store.score("multi", query, kept.ids)})


def _total(rule: Fusion, candidates: _Candidates) -> FloatArray:
    total = np.zeros(len(candidates.ids), np.float32)
    for contribution in rule.contributions(candidates.signals).values():
        total += contribution
    return total


def _best(
    store: Store, candidates: _Candidates, signals: Sequence[Signal], k: int, options: SearchOptions
) -> list[RankedPassage]:
    """Rank by the options' rule, or by the one signal of the mode; each document once unless asked otherwise."""
    if options.mode == "hybrid":
        used = {signal: candidates.signals[signal] for signal in signals}
        contributions = options.rule().contributions(used)
    else:
        contributions = {signal: candidates.signals[signal] for signal in signals}
    total = np.zeros(len(candidates.ids), np.float32)
    for values in contributions.values():
        total += values
    order = best_rows(candidates.ids, total, max(1, len(candidates.ids))).tolist()
    chosen = (order if options.per_passage else _one_per_document(candidates.ids, order, k))[:k]
    passages = zip(chosen, store.fetch([candidates.ids[row] for row in chosen]), strict=True)
    return [_ranked(passage, row, total, candidates, contributions) for row, passage in passages if passage is not None]


def _one_per_document(ids: Sequence[str], order: Sequence[int], k: int) -> list[int]:
    best: dict[str, int] = {}
    for row in order:
        best.setdefault(ids[row].rpartition("#")[0], row)
        if len(best) == k:
            break
    return list(best.values())


def _ranked(
    passage: Passage,
    row: int,
    total: FloatArray,
    candidates: _Candidates,
    contributions: Mapping[Signal, FloatArray],
) -> RankedPassage:
    return RankedPassage(
        passage,
        float(total[row]),
        {name: float(values[row]) for name, values in candidates.signals.items() if not np.isnan(values[row])},
        {name: float(values[row]) for name, values in contributions.items()},
    )
