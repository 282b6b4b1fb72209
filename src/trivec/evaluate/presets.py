"""Presets: a published protocol's systems, measures, depths and lengths, by name.

M3-Embedding (Chen et al. 2024, 2402.03216), section 4 and its public evaluation code: dense and sparse retrieval list
1,000 documents each; their mix counts 0 for a document that one of them does not list; multi-vectors, and the mix of
all three, rank the first 200 of dense retrieval. Documents are cut at the model's length, not split.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from trivec.errors import InputError
from trivec.evaluate.options import EvaluateOptions
from trivec.evaluate.systems import System
from trivec.search.fusion import WeightedSum
from trivec.search.long_documents import LongDocuments
from trivec.types import Signal

_CUT = LongDocuments("cut")


def _m3(pair: Mapping[Signal, float], three: Mapping[Signal, float]) -> list[System]:
    """The five systems of the paper's tables."""
    return [
        System("dense", WeightedSum({"dense": 1.0})),
        System("sparse", WeightedSum({"sparse": 1.0})),
        System("multi", WeightedSum({"multi": 1.0}), "first-dense"),
        System("dense+sparse", WeightedSum(pair), "listed"),
        System("dense+sparse+multi", WeightedSum(three), "first-dense"),
    ]


_SHORT = _m3({"dense": 1.0, "sparse": 0.3}, {"dense": 1.0, "sparse": 0.3, "multi": 1.0})
_LONG = _m3({"dense": 0.2, "sparse": 0.8}, {"dense": 0.15, "sparse": 0.5, "multi": 0.35})

PRESETS: Mapping[str, EvaluateOptions] = {
    "m3-miracl": EvaluateOptions(_SHORT, ("nDCG@10", "R@100"), long_documents=_CUT, max_length=512),
    "m3-mkqa": EvaluateOptions(_SHORT, ("Success@100", "Success@20"), long_documents=_CUT, max_length=512),
    "m3-mldr": EvaluateOptions(_LONG, ("nDCG@10",), long_documents=_CUT, max_length=8192),
    "beir": EvaluateOptions((), ("nDCG@10", "R@100"), long_documents=_CUT, max_length=512),
    "mr-tydi": EvaluateOptions((), ("RR@100", "R@100"), long_documents=_CUT, max_length=512),
    "ms-marco": EvaluateOptions((), ("RR@10", "R@50", "R@1000"), long_documents=_CUT, max_length=512),
    "trec-dl": EvaluateOptions((), ("nDCG@10", "AP(rel=2)", "R(rel=2)@1000"), long_documents=_CUT, max_length=512),
    "narrative-qa": EvaluateOptions((), ("nDCG@10",), long_documents=_CUT, max_length=8192),
    "air-bench-qa": EvaluateOptions((), ("nDCG@10",), long_documents=_CUT),
    "air-bench-long-doc": EvaluateOptions((), ("R@10",), long_documents=_CUT),
}
"""What is not said here is as `EvaluateOptions` has it; a model with fewer positions takes as many as it has."""


def preset(name: str | None, **changes: Any) -> EvaluateOptions:  # noqa: ANN401
    """The options of a protocol, with changes.

    Args:
        name: one of `PRESETS`; None: what `EvaluateOptions` has.
        changes: fields of `EvaluateOptions`; None leaves what the protocol says.

    Raises:
        InputError: there is no such preset, or the changes contradict it.
    """
    if name is not None and name not in PRESETS:
        raise InputError(f"there is no preset {name!r}: choose one of {', '.join(PRESETS)}")
    base = EvaluateOptions() if name is None else PRESETS[name]
    return replace(base, **{field: value for field, value in changes.items() if value is not None})
