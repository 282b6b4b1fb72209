"""`rank_set`: every system's rankings of a set, judged or not, from one pass over its passages."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from trivec.encode.encoder import Encoder
from trivec.evaluate.costs import Cost
from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.measures import Ranking
from trivec.evaluate.options import EvaluateOptions
from trivec.evaluate.ranking import rank_queries
from trivec.evaluate.scoring_pass import Pass, propose
from trivec.evaluate.set_vectors import SetEncoder
from trivec.evaluate.systems import System, find_of, signals_of
from trivec.evaluate.whole_documents import rank_documents
from trivec.types import HEAD_OF_SIGNAL, Head


@dataclass(frozen=True, eq=False)
class RankedSet:
    """The rankings of a set.

    Attributes:
        rankings: by system and query id, mixes first.
        mixes: the systems that mix signals, in order; the others are baselines.
        uncertain: for how many queries a passage on no list could have entered, by mix.
        found: what the signals found, or None where only baselines ranked.
        cost: what it took.
        fingerprint: digest of what the vectors depend on.
    """

    rankings: Mapping[str, Mapping[str, Ranking]]
    mixes: Mapping[str, System]
    uncertain: Mapping[str, int]
    found: Pass | None
    cost: Cost
    fingerprint: str


def rank_set(
    encoder: Encoder,
    judged: JudgedSet,
    options: EvaluateOptions,
    cache: Path | None = None,
    show_progress: bool = False,
) -> RankedSet:
    """Rank by all systems of the options.

    Args:
        encoder: the model.
        judged: the set; its judgements are not looked at.
        options: which systems, how deep, and how documents become passages.
        cache: folder that keeps vectors.
        show_progress: a bar on terminals.

    Raises:
        InputError: the model lacks a signal.
    """
    systems, baselines = find_of(options.systems, encoder)
    encoder = options.shortened(encoder)
    found, rankings, uncertain, cost = None, dict[str, dict[str, Ranking]](), dict[str, int](), Cost()
    start = time.perf_counter()
    if systems:
        used = tuple(
            signal for signal in signals_of(encoder.heads) if any(signal in system.signals for system in systems)
        )
        heads: list[Head] = [HEAD_OF_SIGNAL[signal] for signal in used if signal != "bm25"]
        vectors = SetEncoder(encoder, heads, options.long_documents, cache, show_progress)
        found = propose(vectors, judged, used, max(options.candidates, options.depth))
        start, cost = time.perf_counter(), found.cost
        rankings, uncertain = rank_queries(
            systems, judged.queries, found.proposals, found.owners, options.depth, options.without_self
        )
    for baseline in baselines:
        rankings[baseline.name] = rank_documents(baseline, encoder, judged, options.depth, options.without_self)
    cost = replace(cost, scoring_s=cost.scoring_s + time.perf_counter() - start)
    mixes = {system.name: system for system in systems}
    return RankedSet(rankings, mixes, uncertain, found, cost, encoder.fingerprint.digest)
