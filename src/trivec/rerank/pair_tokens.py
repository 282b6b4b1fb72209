"""A query and a document as one row of tokens, by the tokenizer's own template for two texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import InputError
from trivec.rerank.cutting import Kept, cut_pairs
from trivec.rerank.reranker import Pair
from trivec.types import IntArray


class PairTokens:
    """Makes rows such as ``<s> query </s></s> document </s>``.

    A query keeps at most ``query_length`` tokens, and the document has what is left. Queries are cut at the end,
    documents as ``kept`` says, and the special tokens stay.

    Args:
        tokenizer: that of the model.
        max_length: tokens of a row, special tokens included.
        query_length: tokens of a query at most; None is three quarters of ``max_length``, as in the published code.
        kept: of a document that is too long.

    Raises:
        InputError: the lengths leave no room for a query and a document.
    """

    def __init__(
        self, tokenizer: TextTokenizer, max_length: int, query_length: int | None = None, kept: Kept = "start"
    ) -> None:
        self._tokenizer = tokenizer
        self._kept = kept
        self._before, self._between, self._after = tokenizer.pair_template
        specials = self.fixed
        query_length = 3 * max_length // 4 if query_length is None else query_length
        if query_length < 1 or max_length < specials + 2:
            raise InputError(
                f"max_length {max_length} with query_length {query_length} leaves no room for a query and a document "
                f"beside {specials} special tokens"
            )
        self._room = max_length - specials
        self._query_room = min(query_length, self._room - 1)

    @property
    def fixed(self) -> int:
        """Tokens of a row that are neither the query's nor the document's."""
        return len(self._before) + len(self._between) + len(self._after)

    def rows(self, pairs: Sequence[Pair]) -> list[IntArray]:
        """Token ids of each pair. What is cut is told in the log."""
        return self.placed(pairs)[0]

    def placed(self, pairs: Sequence[Pair]) -> tuple[list[IntArray], list[int]]:
        """The same, and how many of them stand before the document."""
        rows, starts = [], []
        for query, document in cut_pairs(self._tokenizer, pairs, self._query_room, self._room, self._kept):
            before = [*self._before, *query, *self._between]
            rows.append(np.asarray([*before, *document, *self._after], np.int64))
            starts.append(len(before))
        return rows, starts
