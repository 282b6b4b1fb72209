"""`Reranker`: scores of pairs, and documents put in their order. What reads the pairs is passed in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Protocol, TypeGuard, cast, overload

import numpy as np
from scipy.special import expit

from trivec.encode.tokenizer import clean_text
from trivec.errors import InputError, ModelError
from trivec.progress import Progress
from trivec.rerank.calibration import Calibration
from trivec.rerank.calibration_files import CalibrationFiles
from trivec.rerank.reranking import AnyFound, Found, reranked
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
        identity: digest of what the logits mean: of the weights, and how they are asked, in whatever precision or
            length. What was found out about a reranker is kept under it; empty if nobody has said it.
        first_stage: weight of the scores before beside the logits, where nobody names one.

    Example:
        >>> reranker = trivec.load_reranker("BAAI/bge-reranker-v2-m3")             # doctest: +SKIP
        >>> reranker.score("What boils at 100 °C?", ["Water does.", "Stones don't."])  # doctest: +SKIP
        array([ 5.2, -8.1], dtype=float32)
    """

    def __init__(
        self,
        scorer: PairScorer,
        calibration: Calibration | None = None,
        digest: str = "",
        identity: str = "",
        files: CalibrationFiles | None = None,
        first_stage: float = 0.0,
    ) -> None:
        self.scorer = scorer
        self.calibration = calibration
        self.digest = digest
        self.identity = identity
        self.first_stage = first_stage
        self._files = files

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

    @overload
    def rank(
        self, query: str, documents: Sequence[str], k: int | None = None, progress: bool = False
    ) -> list[Ranked]: ...

    @overload
    def rank(
        self,
        query: str,
        documents: Sequence[AnyFound],
        k: int | None = None,
        progress: bool = False,
        first_stage: float | None = None,
    ) -> list[AnyFound]: ...

    def rank(
        self,
        query: str,
        documents: Sequence[str] | Sequence[AnyFound],
        k: int | None = None,
        progress: bool = False,
        first_stage: float | None = None,
    ) -> list[Ranked] | list[AnyFound]:
        """The best documents, best first; equal ones in the order in which they were given.

        Args:
            query: what they should answer.
            documents: their texts, or the hits of a search. Hits come back as hits: they keep their signals and
                contributions, and tell in ``reranking`` where they were before.
            k: how many; None is all of them.
            progress: a bar on standard error.
            first_stage: of hits, the weight of their scores before beside the logits, see `trivec.rerank.mixing`;
                None is what suits the model.

        Raises:
            InputError: as in `score`, k is below 1, or texts are given a weight.
        """
        if k is not None and k < 1:
            raise InputError(f"k must be at least 1, got {k}")
        if not _are_texts(documents):
            found = cast("Sequence[AnyFound]", documents)
            logits = self.score(query, [_content(one) for one in found], progress)
            weight = self.first_stage if first_stage is None else first_stage
            return reranked(found, self.name, logits, self.probabilities(logits), weight)[:k]
        if first_stage and documents:
            raise InputError(f"first_stage is {first_stage}, and texts have no scores yet: give the hits of a search")
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

    def keep_calibration(self, calibration: Calibration, evidence: Mapping[str, Any] | None = None) -> Path:
        """Make probabilities by this calibration from now on, and keep it where `load_reranker` finds it.

        Args:
            calibration: fitted to this reranker's logits.
            evidence: what is known of its quality, kept beside it for people.

        Returns:
            The file: beside the model if that was loaded from a folder that can be written, else in the cache folder.

        Raises:
            InputError: the reranker was not loaded by `load_reranker`.
        """
        if self._files is None:
            raise InputError(f"{self.name} was not loaded by load_reranker, so its calibration has no place to be kept")
        path = self._files.write(calibration, evidence)
        self.calibration = calibration
        return path

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


def _are_texts(documents: Sequence[object]) -> TypeGuard[Sequence[str]]:
    return all(isinstance(document, str) for document in documents)


def _content(found: Found) -> str:
    """What is read of a hit."""
    if not hasattr(found, "moved"):
        raise InputError(f"documents must be all strings, or all hits of a search, got {found!r:.60} among them")
    return found.content


def _windows(source: Iterator[Pair]) -> Iterator[list[Pair]]:
    while window := list(islice(source, _WINDOW)):
        yield window
