"""From the ranked candidates of one query to its negatives, with a verdict on every candidate."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from trivec.data.mining.filters import Excluded, Limits, Verdict
from trivec.data.mining.options import RANDOM, By, MiningOptions
from trivec.data.mining.retrieval import Candidate
from trivec.data.mining.sampling import Draw

RANDOM_TRIES = 20_000
"""So many random texts are looked at for a query; where all of these break a rule, so will the rest."""


class RandomTexts(Protocol):
    """What must be known of a text that no source has proposed."""

    @property
    def count(self) -> int:
        """Random texts are those with lower numbers."""
        ...

    def scores(self, numbers: Sequence[int]) -> Sequence[float]:
        """Their scores under the first source."""
        ...

    def is_near_duplicate(self, number: int) -> bool:
        """Whether it is one of a positive."""
        ...


@dataclass(frozen=True, slots=True)
class Judged:
    """A candidate of a source with the verdict on it, and the number that the verdict compares with, if any."""

    by: By
    candidate: Candidate
    verdict: Verdict
    limit: float | None = None


@dataclass(frozen=True)
class Proposals:
    """What is known of a query before anything is chosen."""

    ranked: Mapping[By, Sequence[Candidate]]
    """Candidates of every retrieving source, best first."""
    limits: Mapping[By, Limits]
    """The scores that these must stay below."""
    excluded: Excluded
    near_duplicates: Mapping[int, float]
    """Near-duplicates of a positive among them, with their Jaccard index."""


class Veto:
    """A teacher's word on candidates: those that score too high are false negatives. Asks once for each."""

    def __init__(self, ask: Callable[[Sequence[int]], Sequence[float]], limit: float) -> None:
        self._ask = ask
        self.limit = limit
        self.scores: dict[int, float] = {}

    def passes(self, ahead: Sequence[int]) -> bool:
        """Whether the first of some candidates may stay. The others are scored with it, for they may be next."""
        if ahead[0] not in self.scores:
            missing = [number for number in ahead if number not in self.scores]
            self.scores.update(zip(missing, self._ask(missing), strict=True))
        return self.scores[ahead[0]] < self.limit


@dataclass
class Selection:
    """The negatives of a query, in the order in which they were taken, and what became of all candidates."""

    options: MiningOptions
    proposals: Proposals
    draw: Draw
    veto: Veto | None = None
    taken: dict[int, Judged] = field(default_factory=dict)
    judged: list[Judged] = field(default_factory=list)
    left: int = 0
    """Candidates that no rule has dropped, each counted once."""
    filled: int = 0
    _dropped: set[int] = field(default_factory=set)
    _queues: dict[By, list[Candidate]] = field(default_factory=dict)

    def choose(self, texts: RandomTexts) -> None:
        """Judge all candidates, and take as many as are wanted. Random texts come from ``texts``."""
        self._judge()
        quotas = self.options.quotas
        for by, queue in self._queues.items():
            self._take(by, queue, quotas[by])
        for by, queue in self._queues.items():
            self._take(by, queue, self._missing - quotas.get(RANDOM, 0))
        random_texts = self._random_texts(texts)
        self._take_random(random_texts, min(self._missing, quotas.get(RANDOM, 0)))
        for by, queue in self._queues.items():
            self._take(by, queue, self._missing)
        if self.options.fill and self._missing:
            before = len(self.taken)
            self._take_random(random_texts, self._missing)
            self.filled = len(self.taken) - before
        self._conclude()

    @property
    def negatives(self) -> list[Judged]:
        """What was taken: sources in their order, each by rank."""
        places = {source.by: place for place, source in enumerate(self.options.sources)}
        return sorted(
            self.taken.values(),
            key=lambda judged: (
                places.get(judged.by, len(places)),
                judged.candidate.rank or 0,
                judged.candidate.number,
            ),
        )

    @property
    def _missing(self) -> int:
        return self.options.negatives - len(self.taken)

    def _judge(self) -> None:
        """The verdicts of the rules. What one source drops, no other brings back."""
        found: dict[By, list[tuple[Candidate, tuple[Verdict, float | None] | None]]] = {}
        for by, candidates in self.proposals.ranked.items():
            found[by] = [(candidate, self._verdict(by, candidate)) for candidate in candidates]
            self._dropped |= {candidate.number for candidate, verdict in found[by] if verdict is not None}
        left: set[int] = set()
        for by, pairs in found.items():
            for candidate, verdict in pairs:
                if verdict is not None or candidate.number in self._dropped:
                    self.judged.append(Judged(by, candidate, *(verdict or ("elsewhere", None))))
            rest = [candidate for candidate, _ in pairs if candidate.number not in self._dropped]
            self._queues[by] = self._ordered(rest)
            left |= {candidate.number for candidate in rest}
        self.left = len(left)

    def _verdict(self, by: By, candidate: Candidate) -> tuple[Verdict, float | None] | None:
        excluded = self.proposals.excluded.verdict(candidate.number)
        if excluded is not None:
            return excluded, None
        similarity = self.proposals.near_duplicates.get(candidate.number)
        if similarity is not None:
            return "near-duplicate", similarity
        if candidate.rank is not None and candidate.rank < self.options.ranks[0]:
            return "before-range", self.options.ranks[0]
        return self.proposals.limits[by].verdict(candidate.score)

    def _ordered(self, candidates: Sequence[Candidate]) -> list[Candidate]:
        if self.options.sampling == "top":
            return list(candidates)
        by_number = {candidate.number: candidate for candidate in candidates}
        return [by_number[number] for number in self.draw.order(by_number)]

    def _take(self, by: By, queue: list[Candidate], count: int) -> None:
        """Take so many more of a queue, as far as it goes; what is passed over leaves it."""
        wanted = len(self.taken) + count
        while queue and len(self.taken) < wanted:
            ahead = [candidate.number for candidate in queue[: wanted - len(self.taken)]]
            self._accept(by, queue.pop(0), ahead)

    def _accept(self, by: By, candidate: Candidate, ahead: Sequence[int]) -> None:
        if candidate.number in self.taken:
            self.judged.append(Judged(by, candidate, "taken"))
        elif self.veto is not None and not self.veto.passes(ahead):
            self.judged.append(Judged(by, candidate, "veto", self.veto.limit))
            self.left -= by != RANDOM and candidate.number not in self._dropped
            self._dropped.add(candidate.number)
        else:
            self.taken[candidate.number] = Judged(by, candidate, "kept")
            self.judged.append(self.taken[candidate.number])

    def _take_random(self, texts: Iterator[Candidate], count: int) -> None:
        wanted = len(self.taken) + count
        while len(self.taken) < wanted and (candidate := next(texts, None)) is not None:
            self._accept(RANDOM, candidate, [candidate.number])

    def _random_texts(self, texts: RandomTexts) -> Iterator[Candidate]:
        """Random texts that are not taken yet and that no rule drops. Those that are dropped leave no trace."""
        limits = self.proposals.limits[self.options.sources[0].by]
        walk = itertools.islice(self.draw.walk(texts.count), RANDOM_TRIES)
        at_once = 16
        while some := list(itertools.islice(walk, at_once)):
            numbers = [number for number in some if self.proposals.excluded.verdict(number) is None]
            for number, score in zip(numbers, texts.scores(numbers), strict=True):
                known = number in self.taken or number in self._dropped
                if not known and limits.verdict(score) is None and not texts.is_near_duplicate(number):
                    yield Candidate(number, None, score)
            at_once = min(2 * at_once, 2048)

    def _conclude(self) -> None:
        for by, queue in self._queues.items():
            for candidate in queue:
                self.judged.append(Judged(by, candidate, "taken" if candidate.number in self.taken else "not-sampled"))
