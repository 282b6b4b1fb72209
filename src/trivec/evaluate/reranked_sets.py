"""`rerank_rankings`: what becomes of rankings whose first documents a reranker has read, at several depths at once.

The deepest ranking is read; a shallower one, and one in which the first stage has more to say, is made of the same
logits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedQuery
from trivec.evaluate.measures import Ranking
from trivec.evaluate.ranking import best_places, total_scores
from trivec.evaluate.reading import DocumentReader, Listed, ReadQuery
from trivec.evaluate.scoring_pass import Pass
from trivec.evaluate.systems import System
from trivec.progress import Progress
from trivec.rerank.mixing import check_weight, mixed_scores
from trivec.rerank.reranker import Reranker
from trivec.types import FloatArray, Passage


@dataclass(frozen=True)
class SecondOrder:
    """A way to put the first documents in order again.

    Attributes:
        depth: how many of them.
        first_stage: weight of their scores before, see `trivec.rerank.mixing.mixed_scores`.
    """

    depth: int
    first_stage: float = 0.0

    def __str__(self) -> str:
        """As it stands in the name of a system: ``rerank@50,first-stage=0.5``."""
        return f"rerank@{self.depth}{f',first-stage={self.first_stage:g}' if self.first_stage else ''}"


@dataclass(frozen=True)
class RerankingOptions:
    """What reads the first documents of rankings.

    Attributes:
        reranker: the model.
        depths: how many documents it reads.
        base: the system whose rankings they are; empty for the last one that mixes signals.
        first_stages: weights of the scores before beside its own; none is the one that it came with.
    """

    reranker: Reranker
    depths: Sequence[int] = (100,)
    base: str = ""
    first_stages: Sequence[float] = ()

    def __post_init__(self) -> None:
        if not self.depths or min(self.depths) < 1:
            raise InputError(f"depths must be numbers of at least 1, got {list(self.depths)}")
        for weight in self.first_stages:
            check_weight(weight)

    @property
    def orders(self) -> list[SecondOrder]:
        """Every depth with every weight."""
        weights = self.first_stages or (self.reranker.first_stage,)
        found = (SecondOrder(depth, weight) for depth in self.depths for weight in weights)
        return list(dict.fromkeys(found))

    @property
    def calibration(self) -> str:
        """How the reranker's probabilities are calibrated; empty if they are not."""
        return "" if self.reranker.calibration is None else self.reranker.calibration.method

    def of(self, mixes: Mapping[str, System]) -> System:
        """The system whose rankings are read.

        Raises:
            InputError: it is not among those that are measured.
        """
        if not mixes or (self.base and self.base not in mixes):
            raise InputError(
                f"what is reranked must be one of the systems that mix signals, which are {', '.join(mixes) or 'none'}"
            )
        return mixes[self.base or list(mixes)[-1]]


@dataclass(frozen=True, eq=False)
class RerankedSet:
    """Rankings in their new order.

    Attributes:
        rankings: by order and query id.
        pairs: how many were read for them now, and not before.
        seconds: what that took.
    """

    rankings: Mapping[SecondOrder, Mapping[str, Ranking]]
    pairs: int
    seconds: float

    def query_ms(self, order: SecondOrder) -> float | None:
        """Milliseconds a query, of many at once; None if nothing was read now."""
        return 1000 * order.depth * self.seconds / self.pairs if self.pairs else None


def listed_by_system(
    system: System,
    queries: Sequence[JudgedQuery],
    found: Pass,
    content: Callable[[Passage], str],
    depth: int,
    without_self: bool = False,
) -> Iterator[list[Listed]]:
    """The first documents of every query by a system, each at its best passage.

    Args:
        system: makes the order.
        queries: of the set.
        found: what the signals found for them.
        content: what is read of a passage.
        depth: documents a query.
        without_self: leave out a document whose id is that of the query.
    """
    for query, proposed in zip(queries, found.proposals, strict=True):
        numbers, totals = total_scores(system, proposed)
        places = best_places(numbers, totals, found.owners, depth, query.id if without_self else None)
        yield [
            Listed(name, float(totals[place]), content(found.passages[numbers[place]]))
            for name, place in places.items()
        ]


def rerank_rankings(
    reranking: RerankingOptions,
    queries: Sequence[JudgedQuery],
    listed: Iterable[Sequence[Listed]],
    cache: Path | None = None,
    show_progress: bool = False,
) -> RerankedSet:
    """Read the first documents of every query, and put them in every order that is asked for.

    Args:
        reranking: what reads, and how deep.
        queries: of the set.
        listed: the documents of each, as many as the deepest order takes.
        cache: folder that keeps logits.
        show_progress: a bar on terminals.
    """
    rankings: dict[SecondOrder, dict[str, Ranking]] = {order: {} for order in reranking.orders}
    reader = DocumentReader(reranking.reranker, cache)
    with Progress("reranking", "queries", show_progress, len(queries)) as bar:
        for query, read in zip(queries, reader.read(queries, listed), strict=True):
            for order, ranked in rankings.items():
                ranked[query.id] = ranking_of(read, order)
            bar.update(1)
    return RerankedSet(rankings, reader.pairs, reader.seconds)


def ranking_of(read: ReadQuery, order: SecondOrder) -> dict[str, float]:
    """The documents of a query with their new scores, best first."""
    depth = order.depth
    scores = mixed_scores(read.logits[:depth], read.first_scores[:depth], order.first_stage)
    return reordered(read.documents, scores, depth)


def reordered(names: Sequence[str], scores: FloatArray | NDArray[np.float64], depth: int) -> dict[str, float]:
    """The first ``depth`` documents by new scores, equal ones as before; the others behind them, as before.

    Args:
        names: documents, best first.
        scores: new ones of the first ``depth``, or of more.
        depth: how many count by them.
    """
    order = np.argsort(-scores[:depth], kind="stable").tolist()
    ranking = {names[place]: float(scores[place]) for place in order}
    lowest = min(ranking.values(), default=0.0)
    return ranking | {name: lowest - 1.0 - place for place, name in enumerate(names[depth:])}
