"""`PairRows`: pairs as rows of tokens, however a model wants them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from trivec.rerank.reranker import Pair
from trivec.types import IntArray


class PairRows(Protocol):
    """Makes rows of pairs."""

    def placed(self, pairs: Sequence[Pair]) -> tuple[list[IntArray], list[int]]:
        """Token ids of each pair, and how many of them stand before the document."""
        ...
