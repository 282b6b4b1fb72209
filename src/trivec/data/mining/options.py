"""How negatives are mined: where candidates come from, which are dropped, and how many of the rest are taken."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias, get_args

from trivec.errors import InputError
from trivec.search.options import Mode
from trivec.types import Signal

By: TypeAlias = Literal["dense", "sparse", "bm25", "multi", "hybrid", "random"]
Sampling: TypeAlias = Literal["uniform", "top"]

RANDOM: Literal["random"] = "random"


@dataclass(frozen=True, slots=True)
class Source:
    """One way of finding candidates, and its share of the negatives."""

    by: By
    share: float = 1.0

    def __post_init__(self) -> None:
        if self.by not in get_args(By):
            raise InputError(f"there is no source {self.by!r} of negatives: choose among {', '.join(get_args(By))}")
        if not 0 < self.share < math.inf:
            raise InputError(f"the share of {self.by} is {self.share}: give a number above 0")

    @property
    def mode(self) -> Mode:
        """The search mode of a source that retrieves."""
        if self.by == "random":
            raise InputError("random texts are not searched for: name a source that retrieves")
        return self.by


@dataclass(frozen=True)
class MiningOptions:
    """How negatives are mined. See `trivec.data.mining.filters` for the rules.

    Attributes:
        sources: where candidates come from. The first must retrieve; by its scores random texts are judged.
        ranks: candidates are those of ranks ``[ranks[0], ranks[1])`` of a source's list, 0 the best. What stands
            above is taken for a likely answer, and dropped for every source.
        negatives: how many an example gets.
        sampling: ``uniform`` draws among what is left, ``top`` takes the best.
        percent: keep what scores below this share of the positive's score; None is no such rule. NV-Retriever
            (Moreira et al. 2024, 2407.15831).
        margin: keep what scores below the positive's score less this; None is no such rule.
        fallback_margin: takes the place of ``percent`` where the positive scores 0 or less, unless ``margin`` does.
        below: keep what scores below this, whatever the positive's score.
        near_duplicate: drop texts whose sets of five letters overlap one of a positive by this Jaccard index or
            more; None is no such rule.
        veto_margin: with a teacher, keep what it scores below its lowest score of a positive, less this.
        veto_below: with a teacher, keep what it scores below this.
        fill: where too few are left, take random texts, which pass the same rules; 20,000 are tried for a query.
        keep_negatives: keep those that an example has, and add the mined ones.
        drop_scores: let go of a teacher's scores in the input where there is no teacher now.
        seed: of all draws. A draw depends on it, on the query's text and on nothing else.
        weights: of the signals in the mix of ``hybrid``; None takes the model's own.
        max_length: tokens of a candidate, as `Encoder.encode_documents` has it.
        graph_from: from how many texts on a graph finds dense vectors, which is faster in large corpora and can
            miss some; None is never.
    """

    sources: tuple[Source, ...] = (Source("dense"),)
    ranks: tuple[int, int] = (2, 200)
    negatives: int = 7
    sampling: Sampling = "uniform"
    percent: float | None = 0.95
    margin: float | None = None
    fallback_margin: float = 0.05
    below: float | None = None
    near_duplicate: float | None = 0.8
    veto_margin: float = 0.0
    veto_below: float | None = None
    fill: bool = True
    keep_negatives: bool = False
    drop_scores: bool = False
    seed: int = 0
    weights: Mapping[Signal, float] | None = None
    max_length: int | None = None
    graph_from: int | None = None

    def __post_init__(self) -> None:
        _check_sources(self.sources)
        first, last = self.ranks
        if not 0 <= first < last:
            raise InputError(f"the ranks {first}-{last} hold no candidate: give them as 2-200, the best rank is 0")
        if self.negatives < 1:
            raise InputError(f"negatives must be at least 1, got {self.negatives}")
        if self.sampling not in get_args(Sampling):
            raise InputError(f"there is no sampling {self.sampling!r}: choose {' or '.join(get_args(Sampling))}")
        self._check_rules()
        if self.weights is not None and all(source.by != "hybrid" for source in self.sources):
            raise InputError("weights are for the source 'hybrid', which is not among the sources: leave them out")

    def _check_rules(self) -> None:
        if self.percent is not None and not 0 < self.percent <= 1:
            raise InputError(f"percent = {self.percent}: give a share above 0 and up to 1, such as 0.95")
        if self.near_duplicate is not None and not 0 < self.near_duplicate <= 1:
            raise InputError(f"near_duplicate = {self.near_duplicate}: give a share above 0 and up to 1, such as 0.8")
        for name in ("margin", "fallback_margin", "veto_margin", "below", "veto_below"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                raise InputError(f"{name} = {value}: give a finite number")
        if self.graph_from is not None and self.graph_from < 1:
            raise InputError(f"graph_from must be at least 1, got {self.graph_from}")

    @property
    def retrieving(self) -> tuple[Source, ...]:
        """The sources that rank candidates: all but the random one."""
        return tuple(source for source in self.sources if source.by != RANDOM)

    @property
    def quotas(self) -> dict[By, int]:
        """How many negatives each source should give: shares of the whole, by largest remainder."""
        total = sum(source.share for source in self.sources)
        exact = [self.negatives * source.share / total for source in self.sources]
        counts = [math.floor(amount) for amount in exact]
        rest = sorted(range(len(exact)), key=lambda place: (counts[place] - exact[place], place))
        for place in rest[: self.negatives - sum(counts)]:
            counts[place] += 1
        return {source.by: count for source, count in zip(self.sources, counts, strict=True)}

    def settings(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        return {
            **asdict(self),
            "sources": [[source.by, source.share] for source in self.sources],
            "ranks": list(self.ranks),
            "weights": None if self.weights is None else dict(self.weights),
        }


def _check_sources(sources: tuple[Source, ...]) -> None:
    names = [source.by for source in sources]
    if len(set(names)) < len(names):
        raise InputError(f"the sources {', '.join(names)} name one twice: name it once, with its whole share")
    if not names or names[0] == RANDOM:
        raise InputError("random texts are judged by the scores of the first source: put one that retrieves first")


DEFAULT_OPTIONS = MiningOptions()
