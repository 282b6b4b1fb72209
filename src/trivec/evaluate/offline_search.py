"""A library's search over what its signals found before: candidates, MaxSim for the best of them, fusion.

It gives what `trivec.search.retrieval` gives, without asking the library again, so that hundreds of ways of searching
can be tried in seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from trivec.errors import InputError
from trivec.evaluate.library_pass import FoundInLibrary
from trivec.evaluate.ranking import best_documents
from trivec.search.fusion import Fusion, ReciprocalRank
from trivec.search.options import SearchOptions
from trivec.types import FloatArray, IntArray, Signal


@dataclass(frozen=True, eq=False)
class OfflineSearch:
    """Searches for one query.

    Attributes:
        found: what the signals found.
    """

    found: FoundInLibrary
    _candidates: dict[tuple[tuple[Signal, ...], int], IntArray] = field(default_factory=dict)

    def documents(self, options: SearchOptions, k: int) -> dict[str, float]:
        """The best k documents with their scores, best first.

        Raises:
            InputError: the options are not for candidates that all signals score.
        """
        if not options.complete or options.per_passage:
            raise InputError("only complete searches for documents can be tried: leave out complete and per_passage")
        signals = options.signals(tuple(self.found.proposed.scores))
        first: tuple[Signal, ...] = tuple(signal for signal in signals if signal != "multi")
        first = first or tuple(self.found.proposed.lists)
        rule = options.rule() if options.mode == "hybrid" else None
        depth, shortlist = max(k, options.candidates), max(k, options.shortlist)
        while True:
            rows = self._proposed_by(first, depth)
            exhausted = all(len(self.found.proposed.lists[signal]) < depth for signal in first)
            if "multi" in signals:
                exhausted = exhausted and len(rows) <= shortlist
                rows = self._shortlist(rows, first, shortlist, options)
            documents = best_documents(rows, _total(rule, self._scores(signals, rows)), self.found.owners, k, None)
            if len(documents) == k or exhausted:
                return documents
            depth, shortlist = depth * 4, shortlist * 4

    def _proposed_by(self, signals: tuple[Signal, ...], depth: int) -> IntArray:
        """Places of the passages that some signal lists, ascending."""
        key = (signals, depth)
        if key not in self._candidates:
            lists = [self.found.proposed.lists[signal][:depth] for signal in signals]
            self._candidates[key] = np.unique(np.concatenate(lists))
        return self._candidates[key]

    def _shortlist(self, rows: IntArray, signals: Sequence[Signal], count: int, options: SearchOptions) -> IntArray:
        """The best candidates without MaxSim, ascending."""
        rule = options.rule()
        weighted = options.mode == "hybrid" and any(rule.weights.get(signal) for signal in signals)
        total = _total(rule if weighted else ReciprocalRank(), self._scores(signals, rows))
        return np.sort(rows[np.argsort(-total, kind="stable")[:count]])

    def _scores(self, signals: Sequence[Signal], rows: IntArray) -> dict[Signal, FloatArray]:
        return {signal: self.found.proposed.scores[signal][rows] for signal in signals}


def _total(rule: Fusion | None, scores: dict[Signal, FloatArray]) -> FloatArray:
    """Mixed by a rule, or one signal's scores."""
    contributions = scores if rule is None else rule.contributions(scores)
    total = np.zeros(len(next(iter(scores.values()))), np.float32)
    for values in contributions.values():
        total += values
    return total
