"""An encoder as a reranker: MaxSim of its multi-vectors, which are made when they are asked for and not stored.

It brings late interaction (Khattab and Zaharia 2020, 2004.12832) to a library without multi-vectors, or another
encoder's to any library.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from trivec.embeddings import Embeddings
from trivec.encode.encoder import Encoder
from trivec.rerank.reranker import Pair
from trivec.scoring import maxsim_pair_scores
from trivec.types import FloatArray, Head, IntArray

_MULTI: tuple[Head, ...] = ("multi",)


class MaxSim:
    """Scores pairs by the mean similarity of each query token's closest document token, in [-1, 1].

    Args:
        encoder: has multi-vectors.

    Raises:
        MissingHeadError: it has none.
    """

    layers: tuple[int, ...] = ()

    def __init__(self, encoder: Encoder) -> None:
        encoder.check_heads(_MULTI)
        self._encoder = encoder

    @property
    def name(self) -> str:
        """What the model is called, and what it is used for."""
        return f"{self._encoder.name} by MaxSim"

    def score(self, pairs: Sequence[Pair]) -> FloatArray:
        """(n, 1) scores. A text that stands in several pairs is encoded once."""
        queries, query_rows = _once([pair.query for pair in pairs])
        documents, document_rows = _once([pair.document for pair in pairs])
        asked: Embeddings = self._encoder.encode_queries(queries, _MULTI).select(query_rows)
        told: Embeddings = self._encoder.encode_documents(documents, _MULTI).select(document_rows)
        return maxsim_pair_scores(asked, told)[:, None]


def _once(texts: Sequence[str]) -> tuple[list[str], IntArray]:
    """The different texts, and which of them stands where."""
    rows: dict[str, int] = {}
    places = [rows.setdefault(text, len(rows)) for text in texts]
    return list(rows), np.asarray(places, np.int64)
