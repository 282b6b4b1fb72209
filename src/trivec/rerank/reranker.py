"""`Reranker`: scores of pairs, and documents put in their order. What reads the pairs is passed in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import NamedTuple, Protocol

import numpy as np
from scipy.special import expit

from trivec.encode.tokenizer import clean_text
from trivec.errors import InputError, ModelError
from trivec.progress import Progress
from trivec.rerank.calibration import Calibration
from trivec.types import FloatArray

_WINDOW = 4096
"""Pairs that are sorted by length together; bounds memory for endless iterables."""


class Pair(NamedTuple):
    """A query, and a document that may answer it."""

    query: str
    document: str


class PairScorer(Protocol):
    """Reads pairs.

    A pair's scores do not depend on the other pairs, and each pair is read once.
    """

    @property
    def name(self) -> str:
        """What the model is called."""
        ...

    @property
    def layers(self) -> tuple[int, ...]:
        """Of which layers it gives scores, the last one last; empty if it gives one score a pair."""
        ...

    def score(self, pairs: Sequence[Pair]) -> FloatArray:
        """(n, layers) logits, or (n, 1) without layers."""
        ...


class Ranked(NamedTuple):
    """A document in its new place: its number in what was given, and its logit."""

    number: int
    score: float


class Reranker:
    """Says how well documents answer queries: the higher the logit, the better.

    Logits of different models have nothing to do with each other, and none is a probability: see `probabilities`.

    Attributes:
        scorer: reads the pairs.
        calibration: makes probabilities of logits, or None.
        digest: of all that the logits depend on; empty if nobody has said it, and then they are not kept anywhere.

    Example:
        >>> reranker = trivec.load_reranker("BAAI/bge-reranker-v2-m3")             # doctest: +SKIP
        >>> reranker.score("What boils at 100 °C?", ["Water does.", "Stones don't."])  # doctest: +SKIP
        array([ 5.2, -8.1], dtype=float32)
    """

    def __init__(self, scorer: PairScorer, calibration: Calibration | None = None, digest: str = "") -> None:
        self.scorer = scorer
        self.calibration = calibration
        self.digest = digest

    def __repr__(self) -> str:
        return f"Reranker({self.name!r})"

    @property
    def name(self) -> str:
        """What the model is called."""
        return self.scorer.name

    def score(self, query: str, documents: Sequence[str], progress: bool = False) -> FloatArray:
        """(n,) logits of documents for one query, in the order of the documents.

        Raises:
            InputError: a text is no string, or documents is one.
            ModelError: the model gives something that is no number.
        """
        if isinstance(documents, str):
            raise InputError(f"documents must be a list of strings, got the string {documents!r:.60}: put it in a list")
        return self.score_pairs((Pair(query, document) for document in documents), progress)

    def score_pairs(self, pairs: Iterable[tuple[str, str]], progress: bool = False) -> FloatArray:
        """(n,) logits of pairs of query and document, in order. Errors as in `score`."""
        return self.score_layers(pairs, progress)[:, -1]

    def score_layers(self, pairs: Iterable[tuple[str, str]], progress: bool = False) -> FloatArray:
        """(n, layers) logits, the last layer's last; one column for a model that gives one score. Errors as in `score`.

        Args:
            pairs: of query and document.
            progress: a bar on standard error.
        """
        parts = [np.zeros((0, max(1, len(self.scorer.layers))), np.float32)]
        total = len(pairs) if isinstance(pairs, Sequence) else None
        with Progress("reranking", "pairs", progress, total) as bar:
            for window in _windows(_checked(pairs)):
                scores = self.scorer.score(window)
                self._check(scores, window)
                parts.append(scores)
                bar.update(len(window))
        return np.concatenate(parts)

    def rank(self, query: str, documents: Sequence[str], k: int | None = None, progress: bool = False) -> list[Ranked]:
        """The best documents, best first; equal ones in the order in which they were given.

        Args:
            query: what they should answer.
            documents: their texts.
            k: how many; None is all of them.
            progress: a bar on standard error.

        Raises:
            InputError: as in `score`, or k is below 1.
        """
        if k is not None and k < 1:
            raise InputError(f"k must be at least 1, got {k}")
        scores = self.score(query, documents, progress)
        best = np.argsort(-scores, kind="stable")[:k]
        return [Ranked(number, float(scores[number])) for number in best.tolist()]

    def probabilities(self, scores: FloatArray) -> FloatArray:
        """Numbers between 0 and 1 in the order of the logits: probabilities if the model was calibrated.

        Without `trivec.rerank.calibration` they are logits through the logistic function, which says nothing of how
        often such pairs are right.
        """
        if self.calibration is not None:
            return self.calibration(scores)
        return np.asarray(expit(np.asarray(scores, np.float64)), np.float32)

    def _check(self, scores: FloatArray, window: Sequence[Pair]) -> None:
        wrong = ~np.isfinite(scores).all(axis=1)
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            raise ModelError(
                f"{self.name} gives {scores[row][-1]} for the query {window[row].query!r:.40}: its weights are "
                "damaged, or its numbers too large for the dtype; fetch it again, or load it in float32"
            )


def _checked(pairs: Iterable[tuple[str, str]]) -> Iterator[Pair]:
    for pair in pairs:
        if isinstance(pair, str) or len(pair) != 2:
            raise InputError(f"a pair must be a query and a document, got {pair!r:.80}")
        yield Pair(clean_text(pair[0]), clean_text(pair[1]))


def _windows(source: Iterator[Pair]) -> Iterator[list[Pair]]:
    while window := list(islice(source, _WINDOW)):
        yield window
