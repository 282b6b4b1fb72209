"""`MiningReport`: what became of examples and candidates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trivec.data.mining.filters import Verdict
from trivec.data.mining.options import RANDOM, By, MiningOptions
from trivec.data.mining.tally import Tally
from trivec.errors import InputError


@dataclass(frozen=True)
class MiningReport:
    """What became of examples and candidates."""

    examples: int
    texts: int
    """Candidates in the corpus, each text once."""
    negatives: int
    """Mined, of all examples together."""
    short: int
    """Examples with fewer than they should have."""
    filled: int
    """Random texts that took the place of candidates that were missing."""
    median_left: int
    """Candidates that the median query has left after all rules."""
    rejected: Mapping[By, Mapping[Verdict, float]]
    """By source that retrieves: the share of the candidates in range that each rule dropped."""
    fell_back: Mapping[By, int]
    """By source: queries whose positive scored 0 or less, so that a margin took the place of the share."""
    scores_dropped: int
    """Examples whose teacher's scores were dropped."""
    recall: float | None
    """Of the approximate dense search at the end of the range; None where it is exact."""

    @classmethod
    def of(cls, tally: Tally, texts: int, recall: float | None, options: MiningOptions) -> MiningReport:
        """From the counts of all parts."""
        return cls(
            examples=tally.examples,
            texts=texts,
            negatives=sum(count * examples for count, examples in tally.negatives.items()),
            short=sum(examples for count, examples in tally.negatives.items() if count < options.negatives),
            filled=tally.filled,
            median_left=tally.median_left,
            rejected={by: tally.rejected(by) for by in tally.verdicts if by != RANDOM},
            fell_back=dict(tally.fell_back),
            scores_dropped=tally.unscored,
            recall=recall,
        )

    @property
    def rate_words(self) -> dict[By, str]:
        """The rejection rates of each source in words."""
        return {
            by: ", ".join(f"{name} {share:.1%}" for name, share in shares.items()) or "nothing"
            for by, shares in self.rejected.items()
        }

    def check(self, options: MiningOptions) -> None:
        """Refuse a result that is mostly not mined.

        Raises:
            InputError: the median query has fewer candidates left than it needs.
        """
        needed = options.negatives - options.quotas.get(RANDOM, 0)
        if self.examples and self.median_left < needed:
            rates = "; ".join(f"{by}: {words}" for by, words in self.rate_words.items())
            raise InputError(
                f"the median query has {self.median_left} candidates left and needs {needed} (dropped: {rates}): "
                "widen --range, loosen the rules, ask for fewer --negatives, or take it as it is with --allow-few"
            )
