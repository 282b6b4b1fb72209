"""`PromptScorer`: pairs through a language model, each query read once for all of its documents."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from trivec.encode.batches import plan_batches
from trivec.rerank.prompts import PromptRow, PromptTokens
from trivec.rerank.reranker import Pair
from trivec.types import FloatArray

if TYPE_CHECKING:
    from trivec.rerank.remembered import Remembered

_SHARED_FROM = 4
"""Documents of a query from which on its part is read apart: for fewer, larger batches gain as much."""
_REPEATED_TOKENS = 8
"""A batch may repeat this many remembered tokens for each of its own: bounds the memory for them."""


class RowReader(Protocol):
    """Runs rows through a model. The scores of a row do not depend on the other rows."""

    @property
    def layers(self) -> tuple[int, ...]:
        """Of which layers it gives scores, the last one last; empty if it gives one score a row."""
        ...

    @property
    def batch_tokens(self) -> int:
        """Padded tokens a batch at which it is fastest."""
        ...

    def remember(self, query: Sequence[int]) -> Remembered | None:
        """The model's state behind a query's part of rows; None if it has none that can be used again."""
        ...

    def read(self, rows: Sequence[PromptRow], remembered: Remembered | None = None) -> FloatArray:
        """(rows, layers) logits, or (rows, 1) without layers; rows go on from what is remembered of their query."""
        ...


class PromptScorer:
    """Scores pairs by a language model that is asked about them.

    Args:
        name: what the model is called.
        reader: runs it.
        tokens: makes a row of a pair.
        batch_tokens: padded tokens a batch; None is what the reader likes best.
        share_queries: read the part that all rows of a query have in common once; see `PromptRow`.
    """

    def __init__(
        self,
        name: str,
        reader: RowReader,
        tokens: PromptTokens,
        batch_tokens: int | None = None,
        share_queries: bool = True,
    ) -> None:
        self.name = name
        self.reader = reader
        self._tokens = tokens
        self._batch_tokens = batch_tokens or reader.batch_tokens
        self._share_queries = share_queries

    @property
    def layers(self) -> tuple[int, ...]:
        """Of which layers it gives scores."""
        return self.reader.layers

    def score(self, pairs: Sequence[Pair]) -> FloatArray:
        """(n, layers) logits, or (n, 1) without layers."""
        rows = self._tokens.rows(pairs)
        scores = np.zeros((len(rows), max(1, len(self.layers))), np.float32)
        alone: list[int] = []
        for query, numbers in _by_query(rows).items():
            worth_it = self._share_queries and len(numbers) >= _SHARED_FROM
            remembered = self.reader.remember(query) if worth_it else None
            if remembered is None:
                alone += numbers
            else:
                self._fill(scores, rows, numbers, remembered)
        self._fill(scores, rows, alone)
        return scores

    def _fill(
        self,
        scores: FloatArray,
        rows: Sequence[PromptRow],
        numbers: Sequence[int],
        remembered: Remembered | None = None,
    ) -> None:
        """Read some of the rows, in batches of like length."""
        known = 0 if remembered is None else remembered.length
        most = max(1, _REPEATED_TOKENS * self._batch_tokens // max(1, known))
        lengths = [len(rows[number]) - known for number in numbers]
        for batch in plan_batches(lengths, self._batch_tokens, min(256, most)):
            chosen = [numbers[place] for place in batch]
            scores[chosen] = self.reader.read([rows[number] for number in chosen], remembered)


def _by_query(rows: Sequence[PromptRow]) -> dict[tuple[int, ...], list[int]]:
    groups: dict[tuple[int, ...], list[int]] = {}
    for number, row in enumerate(rows):
        groups.setdefault(row.query, []).append(number)
    return groups
