"""`rerank_set`: a system's rankings after a reranker has read their first documents, at several depths at once.

The deepest ranking is read; a shallower one is made of the same logits. Logits are kept on disk like vectors, some
queries at a time, so that a run can be stopped and taken up.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedQuery
from trivec.evaluate.measures import Ranking
from trivec.evaluate.ranking import best_places, total_scores
from trivec.evaluate.scoring_pass import Pass
from trivec.evaluate.systems import System
from trivec.progress import Progress
from trivec.rerank.reranker import Pair, Reranker
from trivec.tensorfile import memory_map, write_tensors
from trivec.types import FloatArray, Passage

_AT_ONCE = 32
"""Queries whose pairs are read together, and kept in one file."""


@dataclass(frozen=True)
class RerankingOptions:
    """What reads the first documents of rankings.

    Attributes:
        reranker: the model.
        depths: how many documents it reads.
        base: the system whose rankings they are; empty for the last one that mixes signals.
    """

    reranker: Reranker
    depths: Sequence[int] = (100,)
    base: str = ""

    def __post_init__(self) -> None:
        if not self.depths or min(self.depths) < 1:
            raise InputError(f"depths must be numbers of at least 1, got {list(self.depths)}")

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
        rankings: by depth and query id.
        pairs: how many were read for them now, and not before.
        seconds: what that took.
    """

    rankings: Mapping[int, Mapping[str, Ranking]]
    pairs: int
    seconds: float

    @property
    def pair_ms(self) -> float | None:
        """Milliseconds a pair, of many at once; None if none was read now."""
        return 1000 * self.seconds / self.pairs if self.pairs else None


def rerank_set(
    reranking: RerankingOptions,
    system: System,
    queries: Sequence[JudgedQuery],
    found: Pass,
    content: Callable[[Passage], str],
    without_self: bool = False,
    cache: Path | None = None,
    show_progress: bool = False,
) -> RerankedSet:
    """Read the first documents of every query, each by its best passage, and put them in the reranker's order.

    Args:
        reranking: what reads, and how deep.
        system: makes the first order.
        queries: of the set.
        found: what the signals found for them.
        content: what is read of a passage.
        without_self: leave out a document whose id is that of the query.
        cache: folder that keeps logits.
        show_progress: a bar on terminals.
    """
    deepest = max(reranking.depths)
    listed: list[dict[str, Passage]] = []
    for query, proposed in zip(queries, found.proposals, strict=True):
        numbers, totals = total_scores(system, proposed)
        places = best_places(numbers, totals, found.owners, deepest, query.id if without_self else None)
        listed.append({name: found.passages[numbers[place]] for name, place in places.items()})
    rankings: dict[int, dict[str, Ranking]] = {depth: {} for depth in reranking.depths}
    reader = _Reader(reranking.reranker, cache)
    with Progress("reranking", "queries", show_progress, len(queries)) as bar:
        for first in range(0, len(queries), _AT_ONCE):
            rows = range(first, min(first + _AT_ONCE, len(queries)))
            pairs = [Pair(queries[row].text, content(passage)) for row in rows for passage in listed[row].values()]
            logits = reader.read(pairs)
            place = 0
            for row in rows:
                own, names = logits[place : place + len(listed[row])], list(listed[row])
                place += len(names)
                for depth, ranked in rankings.items():
                    ranked[queries[row].id] = reordered(names, own, depth)
            bar.update(len(rows))
    return RerankedSet(rankings, reader.pairs, reader.seconds)


def reordered(names: Sequence[str], logits: FloatArray, depth: int) -> dict[str, float]:
    """The first ``depth`` documents by their logits, equal ones as before; the others behind them, as before.

    Args:
        names: documents, best first.
        logits: (n,) of each.
        depth: how many count by their logits.
    """
    order = np.argsort(-logits[:depth], kind="stable").tolist()
    ranking = {names[place]: float(logits[place]) for place in order}
    lowest = min(ranking.values(), default=0.0)
    return ranking | {name: lowest - 1.0 - place for place, name in enumerate(names[depth:])}


class _Reader:
    """Reads pairs, or takes their logits from the cache; counts what it really read."""

    def __init__(self, reranker: Reranker, cache: Path | None) -> None:
        self._reranker = reranker
        self._cache = cache if reranker.digest else None
        self.pairs, self.seconds = 0, 0.0

    def read(self, pairs: Sequence[Pair]) -> FloatArray:
        path = self._path(pairs)
        if path is not None and path.is_file():
            return np.array(memory_map(path)["logits"])
        start = time.perf_counter()
        logits = self._reranker.score_pairs(pairs)
        self.seconds += time.perf_counter() - start
        self.pairs += len(pairs)
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_tensors(path, {"logits": logits}, {})
        return logits

    def _path(self, pairs: Sequence[Pair]) -> Path | None:
        if self._cache is None:
            return None
        named = "\0\0".join([self._reranker.digest, *(f"{pair.query}\0{pair.document}" for pair in pairs)])
        return self._cache / f"{hashlib.sha256(named.encode('utf-8', 'surrogatepass')).hexdigest()[:24]}.safetensors"
