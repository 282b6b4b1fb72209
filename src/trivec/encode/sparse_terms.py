"""Which terms a token's lexical weight counts for.

    cased    the token's own id, as published (Chen et al. 2024, 2402.03216, section 3)
    folded   the subwords of the lower-cased text that share characters with the token: the terms that BM25 counts

A vocabulary with capitals has several ids for one word ("Ice", "ice", "IC" + "E"), which never match. Folded terms
match, while the encoder still sees the text as it was written.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from trivec.types import IntArray

SparseTerms: TypeAlias = Literal["cased", "folded"]

Spans: TypeAlias = Sequence[tuple[int, int]]
"""First character and the one behind the last, ascending."""


@dataclass(frozen=True, eq=False, slots=True)
class TokenTerms:
    """What the tokens of a text weigh for: token number ``places[i]`` for the term ``ids[i]``.

    Places count from the first token behind the prompt; special tokens have no terms. A term that several tokens
    weigh for stands there several times, and the largest weight counts.
    """

    places: IntArray
    ids: IntArray

    @classmethod
    def cased(cls, ids: Sequence[int]) -> TokenTerms:
        """Each token's own id."""
        return cls(np.arange(len(ids)), np.asarray(ids, np.int64))

    @classmethod
    def folded(cls, tokens: Spans, terms: Spans, ids: Sequence[int]) -> TokenTerms:
        """The ids of all terms, each with the tokens that share a character with it.

        Args:
            tokens: where the text's tokens stand in it.
            terms: where the subwords of the lower-cased text stand in it.
            ids: of these subwords.
        """
        token_spans, term_spans = _spans(tokens), _spans(terms)
        first = np.searchsorted(token_spans[:, 1], term_spans[:, 0], side="right")
        last = np.searchsorted(token_spans[:, 0], term_spans[:, 1], side="left")
        counts = (last - first).clip(0)
        before = np.cumsum(counts) - counts
        places = np.arange(counts.sum()) + np.repeat(first - before, counts)
        return cls(places, np.repeat(np.asarray(ids, np.int64), counts))

    def first(self, tokens: int) -> TokenTerms:
        """Those of the first tokens alone."""
        kept = self.places < tokens
        return TokenTerms(self.places[kept], self.ids[kept])


def _spans(spans: Spans) -> IntArray:
    return np.asarray(spans, np.int64).reshape(-1, 2)
