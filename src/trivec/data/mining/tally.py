"""Counts of what became of candidates, which add up over examples and parts of the work."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from trivec.data.mining.filters import Verdict
from trivec.data.mining.options import By

NOT_REJECTED: frozenset[Verdict] = frozenset({"kept", "not-sampled", "taken"})


@dataclass
class Tally:
    """What became of the candidates of some examples."""

    examples: int = 0

    verdicts: dict[By, Counter[Verdict]] = field(default_factory=dict)
    """By source: how many candidates in range got each verdict; random texts are all in range."""

    left: Counter[int] = field(default_factory=Counter)
    """How many examples had so many candidates left before the draw, random ones not counted."""

    negatives: Counter[int] = field(default_factory=Counter)
    """How many examples have got so many negatives."""

    fell_back: Counter[By] = field(default_factory=Counter)
    """By source: for how many queries the positive scored 0 or less."""

    filled: int = 0
    """Random texts that took the place of candidates that were missing."""

    unscored: int = 0
    """Examples whose teacher's scores were dropped."""

    def add(self, other: Tally) -> None:
        """Add the counts of other examples."""
        self.examples += other.examples
        for source, counts in other.verdicts.items():
            self.verdicts.setdefault(source, Counter()).update(counts)
        self.left.update(other.left)
        self.negatives.update(other.negatives)
        self.fell_back.update(other.fell_back)
        self.filled += other.filled
        self.unscored += other.unscored

    @property
    def median_left(self) -> int:
        """The lower median of `left`."""
        before = 0
        for count, examples in sorted(self.left.items()):
            before += examples
            if 2 * before >= self.examples:
                return count
        return 0

    def rejected(self, source: By) -> dict[Verdict, float]:
        """The share of a source's candidates that each rule dropped, largest first.

        A teacher's veto is a share of all candidates too, though it is asked only about those that are drawn.
        """
        counts = self.verdicts.get(source, Counter())
        total = sum(counts.values())
        dropped = [name for name, _ in counts.most_common() if name not in NOT_REJECTED]
        return {name: counts[name] / total for name in dropped}

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        return {**vars(self), "left": sorted(self.left.items()), "negatives": sorted(self.negatives.items())}

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> Tally:
        """From `to_json`."""
        return cls(
            examples=content["examples"],
            verdicts={source: Counter(counts) for source, counts in content["verdicts"].items()},
            left=Counter(dict(content["left"])),
            negatives=Counter(dict(content["negatives"])),
            fell_back=Counter(content["fell_back"]),
            filled=content["filled"],
            unscored=content["unscored"],
        )
