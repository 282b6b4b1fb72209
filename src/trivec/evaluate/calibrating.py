"""`cross_calibrate`: a reranker's calibration, and how good its probabilities are on queries it was not fitted to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray

from trivec.errors import InputError
from trivec.evaluate.choosing import chosen_by_others, simplest
from trivec.evaluate.significance import Difference, difference
from trivec.rerank.calibration import (
    FEWEST_PAIRS,
    Calibration,
    Method,
    brier_scores,
    calibration_error,
    fit,
    log_losses,
)
from trivec.rerank.reranker import Reranker
from trivec.types import FloatArray, IntArray

_METHODS: Sequence[Method] = get_args(Method)
"""The simpler first."""


@dataclass(frozen=True)
class JudgedLogits:
    """What was read for one query.

    Attributes:
        logits: (n,) of its documents.
        right: (n,) which of them answer it.
    """

    logits: FloatArray
    right: NDArray[np.bool_]


@dataclass(frozen=True)
class ProbabilityQuality:
    """How near probabilities are to the truth: 0 is best.

    Attributes:
        log_loss: mean over queries.
        brier: mean squared distance, over queries.
        calibration_error: expected, over all pairs; see `trivec.rerank.calibration.calibration_error`.
    """

    log_loss: float
    brier: float
    calibration_error: float


@dataclass(frozen=True)
class CrossCalibrated:
    """What was found.

    Attributes:
        calibration: fitted to all pairs.
        pairs: how many.
        right: how many of them answer their query.
        before: of the probabilities that the reranker gives now.
        after: by cross-validation, each query's by a calibration that was fitted to others.
        change: of the log loss, from before to after; below 0 is better.
    """

    calibration: Calibration
    pairs: int
    right: int
    before: ProbabilityQuality
    after: ProbabilityQuality
    change: Difference

    @property
    def is_better(self) -> bool:
        """Whether the log loss falls beyond chance (p < 0.05)."""
        return self.change.mean < 0 and self.change.p < 0.05

    def evidence(self) -> dict[str, Any]:
        """As it is kept with the calibration."""
        return {"method": self.calibration.method, **{k: v for k, v in asdict(self).items() if k != "calibration"}}


def cross_calibrate(
    reranker: Reranker, judged: Sequence[JudgedLogits], folds: IntArray, method: Method | None = None, seed: int = 0
) -> CrossCalibrated:
    """Fit a calibration, and measure it by cross-validation over queries.

    Args:
        reranker: whose logits they are; the probabilities that it gives now are the ones to beat.
        judged: of each query.
        folds: (q,) of the queries.
        method: None is the one with the lower log loss, Platt's if they are not measurably apart.
        seed: of random samples.

    Raises:
        InputError: there are too few right or wrong pairs, or higher logits are no better.
    """
    there = np.asarray([len(one.logits) > 0 for one in judged], bool)
    pairs = _Pairs([one for one, has_any in zip(judged, there, strict=True) if has_any], folds[there])
    methods = pairs.methods(method)
    held_out = np.stack([pairs.held_out(one) for one in methods])
    losses = np.stack([-pairs.by_query(log_losses(row, pairs.right)) for row in held_out])
    sizes = [_METHODS.index(one) for one in methods]
    chosen = chosen_by_others(losses, sizes, pairs.folds)
    after = held_out[chosen[pairs.owner], np.arange(len(pairs.owner))]
    before = reranker.probabilities(pairs.logits)
    best = methods[simplest(losses, sizes)]
    change = difference(
        pairs.by_query(log_losses(before, pairs.right)), pairs.by_query(log_losses(after, pairs.right)), seed
    )
    return CrossCalibrated(
        calibration=fit(pairs.logits, pairs.right, best),
        pairs=len(pairs.right),
        right=int(pairs.right.sum()),
        before=pairs.quality(before),
        after=pairs.quality(after),
        change=change,
    )


class _Pairs:
    """The pairs of all queries, end to end.

    Attributes:
        logits: (n,).
        right: (n,).
        owner: (n,) number of each pair's query.
        folds: (q,) of the queries.
    """

    def __init__(self, judged: Sequence[JudgedLogits], folds: IntArray) -> None:
        counts = [len(one.logits) for one in judged]
        self.logits = np.concatenate([np.zeros(0, np.float32), *(one.logits for one in judged)])
        self.right = np.concatenate([np.zeros(0, bool), *(one.right for one in judged)])
        self.owner = np.repeat(np.arange(len(judged)), counts)
        self.folds = folds
        self._counts = np.asarray(counts)

    def methods(self, asked: Method | None) -> list[Method]:
        """Those that every four fifths of the queries suffice for.

        Raises:
            InputError: they do not suffice for the method that is asked for, or for any.
        """
        fewest = min((self._fewest(fold) for fold in np.unique(self.folds).tolist()), default=0)
        needed = asked or _METHODS[0]
        if fewest < FEWEST_PAIRS[needed]:
            raise InputError(
                f"of {len(self.right)} pairs {int(self.right.sum())} are right, which leaves {fewest} right or wrong "
                f"ones without a fifth of the queries, and {needed} calibration needs {FEWEST_PAIRS[needed]} of each: "
                "judge more queries"
            )
        return [asked] if asked else [method for method in _METHODS if fewest >= FEWEST_PAIRS[method]]

    def held_out(self, method: Method) -> FloatArray:
        """(n,) probabilities, of each query by a calibration that was fitted to the other folds."""
        found = np.zeros(len(self.logits), np.float32)
        for fold in np.unique(self.folds).tolist():
            inside = self.folds[self.owner] == fold
            found[inside] = fit(self.logits[~inside], self.right[~inside], method)(self.logits[inside])
        return found

    def by_query(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """(q,) means of (n,) values."""
        return np.asarray(np.bincount(self.owner, weights=values) / self._counts, np.float64)

    def quality(self, probabilities: FloatArray) -> ProbabilityQuality:
        """Of (n,) probabilities."""
        return ProbabilityQuality(
            float(self.by_query(log_losses(probabilities, self.right)).mean()),
            float(self.by_query(brier_scores(probabilities, self.right)).mean()),
            calibration_error(probabilities, self.right),
        )

    def _fewest(self, fold: int) -> int:
        """Right or wrong pairs outside of a fold, whichever are fewer."""
        right = self.right[self.folds[self.owner] != fold]
        return min(int(right.sum()), int((~right).sum()))
