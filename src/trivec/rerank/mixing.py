"""The order of a reranker and that of the first stage as one: the same sum for search, eval and tune."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from trivec.errors import InputError
from trivec.types import FloatArray


def mixed_scores(logits: FloatArray, first_scores: FloatArray, first_stage: float) -> NDArray[np.float64]:
    """(n,) scores that n documents of one query are ranked by.

    Logits count as they are: they say how sure a reranker is, and one that knows nothing about a query changes nothing.
    First scores are made standard scores over these documents, for their scale is that of any search.

    Args:
        logits: (n,) of the reranker.
        first_scores: (n,) of the first stage, for the same documents.
        first_stage: weight of the first scores; 0 leaves the logits as they are.

    Raises:
        InputError: the weight is below 0, or no number.
    """
    check_weight(first_stage)
    reread = np.asarray(logits, np.float64)
    if not first_stage:
        return reread
    return reread + first_stage * _standard(np.asarray(first_scores, np.float64))


def check_weight(first_stage: float) -> None:
    """Refuse what is no weight of the first stage.

    Raises:
        InputError: naming it.
    """
    if not 0 <= first_stage < math.inf:
        raise InputError(f"first_stage must be a weight of at least 0, got {first_stage}")


def _standard(values: NDArray[np.float64]) -> NDArray[np.float64]:
    spread = float(values.std()) if len(values) else 0.0
    return (values - values.mean()) / spread if spread else np.zeros_like(values)
