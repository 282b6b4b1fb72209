"""Which candidates may be negatives: one verdict a candidate, and the rules in the order in which they are asked.

With s the score of a candidate and s+ the lowest score of the example's positives under the same source:

| verdict | the candidate is dropped because |
|---|---|
| query | its text is the query's |
| positive | its id or normalised text is one of a positive, of this example or of another with the same query |
| given | the example has it as a negative already |
| near-duplicate | its letters are almost those of a positive, see `near_duplicates` |
| before-range | its rank is above the range |
| above-threshold | s >= ``below`` |
| within-margin | s >= s+ - ``margin`` |
| above-percent | s >= ``percent`` x s+; where s+ <= 0, which leaves no share to take, s >= s+ - ``fallback_margin`` |
| elsewhere | another source has dropped it for one of these reasons |
| veto | the teacher scores it too high |

The rest are ``kept``; ``taken``, where another source has given them already; or ``not-sampled``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from trivec.data.mining.options import MiningOptions

Verdict: TypeAlias = Literal[
    "query",
    "positive",
    "given",
    "near-duplicate",
    "before-range",
    "above-threshold",
    "within-margin",
    "above-percent",
    "elsewhere",
    "veto",
    "taken",
    "kept",
    "not-sampled",
]


@dataclass(frozen=True, slots=True)
class Limits:
    """The scores that candidates of one source must stay below, for one query."""

    verdicts: tuple[tuple[Verdict, float], ...]
    fell_back: bool
    """Whether ``percent`` gave way to a margin, the positive's score being 0 or less."""

    @classmethod
    def of(cls, positive_scores: Sequence[float], options: MiningOptions) -> Limits:
        """From the scores of the positives; the lowest counts, for it shows how low a true match may score."""
        lowest = min(positive_scores)
        fell_back = options.percent is not None and lowest <= 0
        margin = options.fallback_margin if fell_back and options.margin is None else options.margin
        verdicts: list[tuple[Verdict, float]] = []
        if options.below is not None:
            verdicts.append(("above-threshold", options.below))
        if margin is not None:
            verdicts.append(("within-margin", lowest - margin))
        if options.percent is not None and not fell_back:
            verdicts.append(("above-percent", options.percent * lowest))
        return cls(tuple(verdicts), fell_back)

    def verdict(self, score: float) -> tuple[Verdict, float] | None:
        """The first rule that drops a score, with its limit; None if none does."""
        return next(((name, limit) for name, limit in self.verdicts if score >= limit), None)


@dataclass(frozen=True, slots=True)
class Excluded:
    """Numbers of texts that can never be negatives of a query, with the verdict on each."""

    query: int | None
    positives: frozenset[int]
    given: frozenset[int] = frozenset()

    def verdict(self, number: int) -> Verdict | None:
        """Why a text is excluded, or None."""
        if number in self.positives:
            return "positive"
        if number == self.query:
            return "query"
        return "given" if number in self.given else None
