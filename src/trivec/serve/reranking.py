"""Pairs to logits, together with the pairs of other requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trivec.rerank.reranker import Reranker
from trivec.serve.batcher import Batcher, Job
from trivec.serve.failures import TooLarge
from trivec.serve.options import Limits
from trivec.types import FloatArray

_BYTES_A_TOKEN = 4
_MOST_TOKENS = 512
"""A reranker reads no more of a pair, unless it was loaded otherwise."""


@dataclass(frozen=True)
class Reranked:
    """What a reranker thinks of documents, in their order.

    Attributes:
        logits: (n,).
        probabilities: (n,), see `trivec.rerank.reranker.Reranker.probabilities`.
        order: numbers of the documents, best first; equal ones as they were given.
        tokens: of all pairs, estimated at four bytes a token.
    """

    logits: FloatArray
    probabilities: FloatArray
    order: Sequence[int]
    tokens: int


class Reranking:
    """Reranks for requests.

    Args:
        batcher: joins them.
        limits: of each request.
    """

    def __init__(self, batcher: Batcher, limits: Limits) -> None:
        self._batcher = batcher
        self._limits = limits

    async def rerank(
        self, reranker: Reranker, query: str, documents: Sequence[str], most_tokens: int | None = None
    ) -> Reranked:
        """Logits of documents for a query.

        Args:
            reranker: reads the pairs.
            query: of all of them.
            documents: any number.
            most_tokens: read no more of a document, estimated at four bytes a token.

        Raises:
            TooLarge: there are too many documents, or tokens.
        """
        if len(documents) > self._limits.texts:
            raise TooLarge(
                f"{len(documents)} documents, and a request may have {self._limits.texts}: send several",
                code="too_many",
            )
        if most_tokens is not None:
            documents = [_cut(document, most_tokens) for document in documents]
        costs = [_tokens(query) + _tokens(document) for document in documents]
        if sum(costs) > self._limits.tokens:
            raise TooLarge(f"about {sum(costs)} tokens, and a request may have {self._limits.tokens}: send several")
        pairs = [(query, document) for document in documents]
        work = [min(cost, _MOST_TOKENS) for cost in costs]
        job = Job("reranking", id(reranker), reranker.score_pairs, pairs, work)
        parts = await self._batcher.submit(job, self._limits.request_timeout_s)
        logits: FloatArray = np.concatenate(parts)
        order: list[int] = np.argsort(-logits, kind="stable").tolist()
        return Reranked(logits, reranker.probabilities(logits), order, sum(costs))


def _tokens(text: str) -> int:
    return 2 + len(text.encode("utf-8", "replace")) // _BYTES_A_TOKEN


def _cut(text: str, tokens: int) -> str:
    content = text.encode("utf-8", "replace")
    return content[: tokens * _BYTES_A_TOKEN].decode("utf-8", "ignore")
