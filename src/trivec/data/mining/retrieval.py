"""Candidates of a query from one source, ranked, and scores of any texts under the same source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trivec.data.mining.index import OUTSIDE, MiningIndex, names_of, number_of
from trivec.data.mining.options import MiningOptions, Source
from trivec.embeddings import Embeddings
from trivec.encode.encoder import Encoder
from trivec.errors import InputError
from trivec.index import parse_filter
from trivec.search.options import SearchOptions
from trivec.search.retrieval import retrieve
from trivec.types import HEAD_OF_SIGNAL, SIGNALS, FloatArray, Head, Signal

_WITHOUT_SPARSE: Mapping[Signal, float] = {"dense": 1.0, "bm25": 0.15, "multi": 1.0}


@dataclass(frozen=True, slots=True)
class Candidate:
    """A text that a source proposes; random texts have no rank."""

    number: int
    rank: int | None
    score: float


class Retriever:
    """Ranks the texts of an index for the vectors of a query. Threads may share it.

    Every score is comparable within its source, whatever else was retrieved: dot products, MaxSim, BM25 as a share of
    the most that the query's terms could bring, or the weighted sum of these.
    """

    def __init__(
        self, index: MiningIndex, options: MiningOptions, weights: Mapping[Signal, float], heads: tuple[Head, ...]
    ) -> None:
        self.heads = heads
        self._index = index
        self._depth = options.ranks[1]
        self._searches = {source: search_options(source, options, weights) for source in options.retrieving}
        outside = index.catalogue.candidates < len(index.catalogue)
        self._where = parse_filter(f"missing {OUTSIDE}") if outside else None

    def ranked(self, source: Source, query: Embeddings) -> list[Candidate]:
        """The best candidates, best first, rank 0 the best; equal scores by number."""
        found = retrieve(self._index.store, query, self._depth, self._where, self._searches[source])
        return [Candidate(number_of(hit.passage.id), rank, float(hit.score)) for rank, hit in enumerate(found)]

    def scores(self, source: Source, query: Embeddings, numbers: Sequence[int]) -> FloatArray:
        """Scores of texts, candidates or not, under a source: those that `ranked` would give them."""
        store, options = self._index.store, self._searches[source]
        names = names_of(numbers)
        signals = {name: store.score(name, query, names) for name in options.signals(store.signals)}
        if "bm25" in signals:
            most = sum(store.term_weights(query).values())
            signals["bm25"] = signals["bm25"] / np.float32(most) if most > 0 else signals["bm25"]
        if options.mode != "hybrid":
            return signals[source.mode]  # type: ignore[index]
        total = np.zeros(len(names), np.float32)
        for values in options.rule().contributions(signals).values():
            total += values
        return total


def search_options(source: Source, options: MiningOptions, weights: Mapping[Signal, float]) -> SearchOptions:
    """How a source searches: as deep as the ranks ask for, and mixed by a rule that scores each text by itself."""
    depth = options.ranks[1]
    proposed = 1 if source.by in ("dense", "sparse", "bm25") else max(1000, depth)
    mix = weights if source.by == "hybrid" else None
    return SearchOptions(source.mode, weights=mix, candidates=proposed, shortlist=max(200, depth), per_passage=True)


def mixing_weights(encoder: Encoder, options: MiningOptions) -> Mapping[Signal, float]:
    """Weights of the hybrid: those given, the model's own, or those of a model like it."""
    if options.weights is not None:
        return options.weights
    own = SearchOptions.from_settings(encoder.checkpoint.settings)
    if own.fusion == "weighted-sum" and own.weights is not None:
        return own.weights
    return SearchOptions().rule().weights if "sparse" in encoder.heads else _WITHOUT_SPARSE


def needed_heads(encoder: Encoder, options: MiningOptions, weights: Mapping[Signal, float]) -> tuple[Head, ...]:
    """Heads that the sources compare. Where MaxSim is wanted, another head of the model proposes.

    Raises:
        InputError: the model lacks what a source needs.
    """
    available = [signal for signal in SIGNALS if HEAD_OF_SIGNAL[signal] in encoder.heads]
    signals: set[Signal] = set()
    for source in options.retrieving:
        wanted = {signal for signal in SIGNALS if weights.get(signal)} if source.by == "hybrid" else {source.mode}
        signals |= {signal for signal in available if signal in wanted}
        if not wanted & set(available):
            raise InputError(
                f"{encoder.name} cannot retrieve by {source.by}, only by {', '.join(available)}: choose another source"
            )
    if signals == {"multi"}:
        signals |= {signal for signal in available if signal != "bm25"}
    return tuple(HEAD_OF_SIGNAL[signal] for signal in SIGNALS if signal in signals)
