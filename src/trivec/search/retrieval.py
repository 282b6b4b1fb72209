"""From a query's vectors to ranked passages: proposals, their union, exact scores, MaxSim, fusion.

M3-Embedding (Chen et al. 2024, 2402.03216) section 4: dense and sparse retrieval propose candidates, and the
hybrid score re-ranks their union. BM25 over the same subwords proposes too. All of it works on any store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from trivec.embeddings import Embeddings
from trivec.index import Filter, Store
from trivec.index.proposals import Proposals
from trivec.index.ranking import best_rows
from trivec.search.fusion import Fusion, ReciprocalRank
from trivec.search.options import SearchOptions
from trivec.types import FloatArray, IntArray, Passage, Signal, document_of


@dataclass(frozen=True)
class RankedPassage:
    """A passage with its score, and where the score comes from."""

    passage: Passage
    score: float
    signals: Mapping[Signal, float]
    contributions: Mapping[Signal, float]


@dataclass(frozen=True, eq=False)
class _Candidates:
    """Some of the proposals: their rows there, and one array of scores a signal; NaN where a signal has none."""

    proposals: Proposals
    rows: IntArray
    signals: Mapping[Signal, FloatArray]

    def __len__(self) -> int:
        return len(self.rows)

    def best(self, total: FloatArray, k: int) -> IntArray:
        """Places of the best k by a score, ties by passage id."""
        names = self.proposals.ids
        return best_rows(lambda place: names[self.rows[place]], total, k)

    def names(self, places: Sequence[int]) -> list[str]:
        """Passage ids."""
        return [self.proposals.ids[row] for row in self.rows[places].tolist()]

    def select(self, places: IntArray) -> _Candidates:
        scores = {name: values[places] for name, values in self.signals.items()}
        return _Candidates(self.proposals, self.rows[places], scores)


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
    depth, shortlist = max(k, options.candidates), max(k, options.shortlist)
    while True:
        proposals = store.propose(proposers, query, depth, where, options.complete or options.mode == "multi")
        candidates = _Candidates(proposals, np.arange(len(proposals.ids)), with_bm25_share(store, query, proposals))
        exhausted = proposals.exhausted
        if "multi" in signals and "multi" not in proposers:
            exhausted = exhausted and len(candidates) <= shortlist
            candidates = _with_maxsim(candidates, shortlist, options)
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


def with_bm25_share(store: Store, query: Embeddings, proposals: Proposals) -> Mapping[Signal, FloatArray]:
    """The scores, with BM25 as a share, in [0, 1), of the most that this query's terms could bring.

    The order stays; but shares of different queries are comparable, and of the scale of a cosine, so that BM25 can
    stand in a weighted sum. A query in another language than the text matches few terms and gets a small share.
    """
    if "bm25" not in proposals.scores:
        return proposals.scores
    most = sum(store.term_weights(query).values())
    share = proposals.scores["bm25"] / np.float32(most) if most > 0 else proposals.scores["bm25"]
    return {**proposals.scores, "bm25": share}


def _with_maxsim(candidates: _Candidates, shortlist: int, options: SearchOptions) -> _Candidates:
    """The best of the candidates without MaxSim, with their MaxSim scores."""
    rule = options.rule()
    has_weight = any(rule.weights.get(signal) for signal in candidates.signals)
    total = _total(rule if options.mode == "hybrid" and has_weight else ReciprocalRank(), candidates)
    kept = candidates.select(candidates.best(total, shortlist))
    return replace(kept, signals={**kept.signals, "multi": kept.proposals.score("multi", kept.rows)})


def _total(rule: Fusion, candidates: _Candidates) -> FloatArray:
    total = np.zeros(len(candidates), np.float32)
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
    total = np.zeros(len(candidates), np.float32)
    for values in contributions.values():
        total += values
    order = candidates.best(total, max(1, len(candidates))).tolist()
    chosen = order[:k] if options.per_passage else _one_per_document(candidates, order, k)
    passages = zip(chosen, store.fetch(candidates.names(chosen)), strict=True)
    return [
        _ranked(passage, place, total, candidates, contributions) for place, passage in passages if passage is not None
    ]


def _one_per_document(candidates: _Candidates, order: Sequence[int], k: int) -> list[int]:
    """The first k of the order whose documents differ."""
    best: dict[str, int] = {}
    for place in order:
        [name] = candidates.names([place])
        best.setdefault(document_of(name), place)
        if len(best) == k:
            break
    return list(best.values())


def _ranked(
    passage: Passage,
    place: int,
    total: FloatArray,
    candidates: _Candidates,
    contributions: Mapping[Signal, FloatArray],
) -> RankedPassage:
    return RankedPassage(
        passage,
        float(total[place]),
        {name: float(values[place]) for name, values in candidates.signals.items() if not np.isnan(values[place])},
        {name: float(values[place]) for name, values in contributions.items()},
    )
