"""Several rerankers as one: the weighted mean of what each holds for likely.

Logits of different models have different scales. Where a model was calibrated, its probability is turned back into
log-odds, which mean the same for all; where it was not, its logit is taken as it is.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.special import logit

from trivec.errors import InputError
from trivec.rerank.calibration import SURE
from trivec.rerank.reranker import Pair, Reranker
from trivec.types import FloatArray


class Ensemble:
    """Scores pairs by several rerankers.

    Args:
        rerankers: at least one.
        weights: of each; None weighs all alike.

    Raises:
        InputError: there is none, or the weights do not fit.
    """

    layers: tuple[int, ...] = ()

    def __init__(self, rerankers: Sequence[Reranker], weights: Sequence[float] | None = None) -> None:
        weights = [1.0] * len(rerankers) if weights is None else list(weights)
        if len(weights) != len(rerankers) or not all(weight >= 0 for weight in weights) or not sum(weights) > 0:
            raise InputError(
                f"{len(rerankers)} rerankers with the weights {weights}: give each one of 0 or more, and one above 0"
            )
        self._rerankers = list(rerankers)
        self._weights = np.asarray(weights, np.float64) / sum(weights)

    @property
    def name(self) -> str:
        """All names."""
        return "+".join(reranker.name for reranker in self._rerankers)

    def score(self, pairs: Sequence[Pair]) -> FloatArray:
        """(n, 1) mean log-odds."""
        each = np.stack([_log_odds(reranker, reranker.score_pairs(pairs)) for reranker in self._rerankers])
        return np.asarray(self._weights @ each, np.float32)[:, None]


def _log_odds(reranker: Reranker, scores: FloatArray) -> FloatArray:
    if reranker.calibration is None:
        return scores
    probabilities = reranker.probabilities(scores).astype(np.float64)
    return np.asarray(logit(probabilities.clip(SURE, 1 - SURE)), np.float32)
