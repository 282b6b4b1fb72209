"""What is written about a mined example: its negatives with ranks, scores and sources, and the rows of the audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from trivec.data.examples import Example
from trivec.data.mining.catalogue import Text
from trivec.data.mining.selection import Judged, Selection
from trivec.data.mining.tally import NOT_REJECTED
from trivec.data.texts import text_key

GIVEN = "given"
"""What ``neg_source`` says of negatives that the example had already."""

_DIGITS = 6
"""Decimals of scores in files: what lies beyond depends on how work was cut into batches."""


@dataclass(frozen=True)
class Record:
    """An example and what was chosen for it."""

    example: Example
    selection: Selection
    positive_scores: Sequence[float] | None
    """The teacher's."""
    teacher: str | None
    model: str
    """Name and fingerprint of the mining model."""

    @property
    def numbers(self) -> list[int]:
        """Numbers of the negatives, in the order in which they are written."""
        return [judged.candidate.number for judged in self.selection.negatives]

    @property
    def judged_numbers(self) -> list[int]:
        """Numbers of all that was judged, each once."""
        return sorted({judged.candidate.number for judged in self.selection.judged})

    def example_with(
        self, texts: Sequence[Text], keep_given: bool, given_scores: Sequence[float] | None = None
    ) -> Example:
        """The example with its negatives.

        Args:
            texts: those of `numbers`.
            keep_given: put the example's own negatives first.
            given_scores: the teacher's, of these.
        """
        mined = self.selection.negatives
        given = self.example.negatives if keep_given else ()
        given_ids = self.example.negative_ids or [text_key(text).hex() for text in given]
        unknown: list[None] = [None] * len(given)
        about = {
            "neg_ranks": [*unknown, *(judged.candidate.rank for judged in mined)],
            "neg_sims": [*unknown, *(_rounded(judged.candidate.score) for judged in mined)],
            "neg_source": [*([GIVEN] * len(given)), *(judged.by for judged in mined)],
            "miner": self.model,
        }
        if self.teacher is not None:
            about["teacher"] = self.teacher
        return replace(
            self.example,
            negatives=(*given, *(text.text for text in texts)),
            negative_ids=(*(given_ids if given else ()), *(text.id for text in texts)),
            positive_scores=self._scores(self.positive_scores),
            negative_scores=self._negative_scores(mined, given_scores or ()),
            extra={**{name: value for name, value in self.example.extra.items() if name != "teacher"}, **about},
        )

    def _negative_scores(self, mined: Sequence[Judged], given: Sequence[float]) -> tuple[float, ...] | None:
        veto = self.selection.veto
        if veto is None:
            return None
        return self._scores([*given, *(veto.scores[judged.candidate.number] for judged in mined)])

    def _scores(self, scores: Sequence[float] | None) -> tuple[float, ...] | None:
        return None if scores is None else tuple(map(_rounded, scores))

    def audit(self, texts: Sequence[Text]) -> list[dict[str, Any]]:
        """A row for every candidate, by source and rank.

        Args:
            texts: those of `judged_numbers`.
        """
        names = {text.number: text.id for text in texts}
        places = {source.by: place for place, source in enumerate(self.selection.options.sources)}
        ordered = sorted(
            self.selection.judged, key=lambda j: (places.get(j.by, len(places)), j.candidate.rank or 0)
        )  # random texts have no rank and stay in the order in which they were met
        return [self._row(judged, names) for judged in ordered]

    def _row(self, judged: Judged, names: Mapping[int, str]) -> dict[str, Any]:
        kept = judged.verdict == "kept"
        decision = "kept" if kept else "not taken" if judged.verdict in NOT_REJECTED else "dropped"
        row: dict[str, Any] = {
            "query": self.example.query,
            "query_id": self.example.query_id,
            "candidate_id": names[judged.candidate.number],
            "source": judged.by,
            "rank": judged.candidate.rank,
            "score": _rounded(judged.candidate.score),
            "decision": decision,
            "why": judged.verdict,
        }
        if judged.limit is not None:
            row["limit"] = _rounded(judged.limit)
        veto = self.selection.veto
        if veto is not None and judged.candidate.number in veto.scores:
            row["teacher_score"] = _rounded(veto.scores[judged.candidate.number])
        return row


def _rounded(score: float) -> float:
    return round(score, _DIGITS)
