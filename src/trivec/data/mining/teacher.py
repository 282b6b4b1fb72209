"""Teachers: whatever scores passages for a query. Their scores veto false negatives, and are written for training."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol, TypeAlias

import numpy as np

from trivec.data.mining.bounded_cache import BoundedCache
from trivec.embeddings import Embeddings
from trivec.encode.encoder import Encoder
from trivec.errors import InputError
from trivec.rerank.reranker import Reranker
from trivec.scoring import M3_WEIGHTS, score
from trivec.types import FloatArray, Head

TeacherBy: TypeAlias = Literal["dense", "hybrid"]

_KEPT_BYTES = 1 << 28


class Teacher(Protocol):
    """Scores passages for a query: raw scores, higher is better, on any scale that is the same for all queries."""

    @property
    def name(self) -> str:
        """Name, revision and length limit: all that its scores depend on. It stands beside them in the output."""
        ...

    def score(self, query: str, texts: Sequence[str]) -> FloatArray:
        """Scores of passages for a query, shape (len(texts),)."""
        ...


class RerankerTeacher:
    """A reranker as a teacher: its logits."""

    def __init__(self, reranker: Reranker) -> None:
        self._reranker = reranker
        self.name = f"{reranker.name} {reranker.digest} logits".replace("  ", " ")

    def score(self, query: str, texts: Sequence[str]) -> FloatArray:
        """Scores of passages for a query, shape (len(texts),)."""
        return self._reranker.score(query, texts)


class EncoderTeacher:
    """An encoder as a teacher: its dense score, or the sum of all its heads with M3's weights.

    Vectors of passages that come up again are remembered, up to 256 MB.
    """

    def __init__(self, encoder: Encoder, by: TeacherBy = "hybrid", max_length: int | None = None) -> None:
        self._encoder = encoder
        self._heads: tuple[Head, ...] = tuple(head for head in encoder.heads if head in M3_WEIGHTS)
        if by == "dense":
            self._heads = tuple(head for head in self._heads if head == "dense")
        if not self._heads:
            raise InputError(f"{encoder.name} cannot teach by {by}, it has the heads {', '.join(encoder.heads)} only")
        self._max_length = max_length
        length = max_length or encoder.max_length
        self.name = f"{encoder.name} {encoder.fingerprint.digest} {by} {length} tokens"
        self._known: BoundedCache[str, Embeddings] = BoundedCache(_KEPT_BYTES)

    def score(self, query: str, texts: Sequence[str]) -> FloatArray:
        """Scores of passages for a query, shape (len(texts),)."""
        if not texts:
            return np.zeros(0, np.float32)
        vectors = self._encoder.encode_queries([query], self._heads)
        scores: FloatArray = score(vectors, self._passages(texts)).hybrid[0]
        return scores

    def _passages(self, texts: Sequence[str]) -> Embeddings:
        found = {text: vectors for text in texts if (vectors := self._known.get(text)) is not None}
        missing = [text for text in dict.fromkeys(texts) if text not in found]
        if missing:
            fresh = self._encoder.encode_documents(missing, self._heads, self._max_length)
            for text, vectors in zip(missing, fresh, strict=True):
                found[text] = vectors
                # a copy: a slice would keep the whole batch in memory
                self._known.put(text, Embeddings.concatenate([vectors]), _bytes(vectors))
        return Embeddings.concatenate([found[text] for text in texts])


def checked_scores(teacher: Teacher, query: str, texts: Sequence[str]) -> list[float]:
    """A teacher's scores.

    Raises:
        InputError: they are not one finite number for each text.
    """
    scores = np.asarray(teacher.score(query, texts), np.float32)
    if scores.shape != (len(texts),):
        raise InputError(
            f"the teacher {teacher.name} gave scores of shape {scores.shape} for {len(texts)} texts: let it give one "
            "for each"
        )
    wrong = np.flatnonzero(~np.isfinite(scores))
    if len(wrong):
        raise InputError(
            f"the teacher {teacher.name} gave {scores[wrong[0]]} for the query {query!r:.80} and the text "
            f"{texts[int(wrong[0])]!r:.80}: finite numbers are needed"
        )
    return [float(value) for value in scores]


def _bytes(vectors: Embeddings) -> int:
    """About what the vectors of one text take."""
    dense = 0 if vectors.dense is None else vectors.dense.nbytes
    multi = 0 if vectors.multi is None else vectors.multi.values.nbytes
    sparse = 0 if vectors.sparse is None else 8 * vectors.sparse.nnz
    return 2000 + dense + multi + sparse
