"""The second stage of a search: which reranker reads how many hits, and how much the first stage has to say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from trivec.errors import LibraryError
from trivec.rerank.reranker import Reranker
from trivec.search.options import SearchOptions

DEPTH = 100
"""Hits that a reranker reads if nobody has said otherwise."""


@dataclass(frozen=True)
class TunedReranker:
    """What was found out about a reranker on a library's own queries, as the library keeps it.

    Attributes:
        name: what it is called.
        depth: hits that it reads.
        first_stage: weight of the scores before.
        tuning: on what evidence, see `trivec.evaluate.reranker_tuning`.
    """

    name: str
    depth: int
    first_stage: float
    tuning: Mapping[str, Any]


@dataclass(frozen=True)
class SecondStage:
    """A reranker in a search.

    Attributes:
        reranker: reads the hits.
        depth: how many of them.
        first_stage: weight of the scores before, see `trivec.rerank.mixing.mixed_scores`.
    """

    reranker: Reranker
    depth: int = DEPTH
    first_stage: float = 0.0

    @classmethod
    def of(cls, reranker: Reranker, options: SearchOptions, tuned: Mapping[str, Mapping[str, Any]]) -> SecondStage:
        """What the options say goes first, then what was tuned for this reranker, then what it came with.

        Args:
            reranker: reads the hits.
            options: of the search.
            tuned: `TunedReranker` by identity of the reranker, as ``library.json`` has it.
        """
        found = tuned.get(reranker.identity) if reranker.identity else None
        own = None if found is None else _read(found)
        depth, weight = (DEPTH, reranker.first_stage) if own is None else (own.depth, own.first_stage)
        return cls(
            reranker,
            depth if options.depth is None else options.depth,
            weight if options.first_stage is None else options.first_stage,
        )


def _read(content: Mapping[str, Any]) -> TunedReranker:
    try:
        return TunedReranker(**content)
    except TypeError as error:
        raise LibraryError(f"library.json says of a reranker {dict(content)!r:.80}: tune it again") from error
