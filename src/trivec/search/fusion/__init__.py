"""Rules that make one score of several signals, one file each; `make_fusion` finds them by name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from trivec.errors import InputError
from trivec.search.fusion.min_max import MinMax
from trivec.search.fusion.reciprocal_rank import ReciprocalRank
from trivec.search.fusion.rule import Fusion
from trivec.search.fusion.weighted_sum import WeightedSum
from trivec.search.fusion.z_score import ZScore
from trivec.types import Signal

__all__ = ["FUSIONS", "Fusion", "MinMax", "ReciprocalRank", "WeightedSum", "ZScore", "fusion_name", "make_fusion"]

FUSIONS: dict[str, Callable[..., Fusion]] = {
    "weighted-sum": WeightedSum,
    "rrf": ReciprocalRank,
    "z-score": ZScore,
    "min-max": MinMax,
}


def make_fusion(name: str, weights: Mapping[Signal, float] | None = None) -> Fusion:
    """A rule by name, with its own weights or the given ones.

    Raises:
        InputError: there is no such rule, or a weight cannot be used.
    """
    if name not in FUSIONS:
        raise InputError(f"there is no fusion rule {name!r}: choose one of {', '.join(FUSIONS)}")
    return FUSIONS[name]() if weights is None else FUSIONS[name](weights=weights)


def fusion_name(rule: Fusion) -> str:
    """The name that a rule is found by."""
    return next(name for name, kind in FUSIONS.items() if kind is type(rule))
