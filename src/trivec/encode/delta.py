"""A delta: a small safetensors file that turns a backbone into a trained model.

It may hold heads (``sparse.weight``, ``sparse.bias``, ``multi.weight``, ``multi.bias``), the two layers of a
cross-encoder's (``inner.weight``, ``inner.bias``, ``last.weight``, ``last.bias``) and, for any weight W of the
backbone, a low-rank update ``W.lora_a`` (r, in) and ``W.lora_b`` (out, r), merged as W + scale * B A (Hu et al.
2021, 2106.09685); ``scale`` stands in the file's metadata and is 1 if absent. So do ``sparse_terms``, which terms the
lexical head weighs, ``cased`` if absent, or ``folded``; and ``pooling``, that of the backbone if absent.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np

from trivec.encode.checkpoints.bge_m3 import stray_tensors
from trivec.encode.checkpoints.checkpoint import Linear, Pooling
from trivec.encode.checkpoints.weights import read_linear
from trivec.encode.sparse_terms import SparseTerms
from trivec.errors import CorruptModelError
from trivec.tensorfile import memory_map, read_header
from trivec.types import FloatArray

_DOWN, _UP = ".lora_a", ".lora_b"
CLASSIFIER = ("inner.", "last.")
"""Layers of a cross-encoder's head, the first with tanh."""


class Delta:
    """What a delta file holds.

    Raises:
        CorruptModelError: half of a low-rank pair is missing, a tensor is neither of a pair nor of a head, the scale
            is no number, or the kind of terms or the pooling is not known.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        tensors = {name: np.asarray(value, np.float32) for name, value in memory_map(path).items()}
        metadata = read_header(path)[1]
        self._scale = _read_scale(path, metadata)
        self._sparse_terms: SparseTerms = _one_of(path, metadata, "sparse_terms", SparseTerms, "cased")
        self._pooling: Pooling | None = _one_of(path, metadata, "pooling", Pooling, None)
        self._downs = _take(tensors, _DOWN)
        self._ups = _take(tensors, _UP)
        self._classifier = {name: tensors.pop(name) for name in list(tensors) if name.startswith(CLASSIFIER)}
        self._heads = tensors
        halves = sorted(self._downs.keys() ^ self._ups.keys())
        if halves:
            raise CorruptModelError(f"{path} holds half a low-rank pair for {halves}: fetch it again")
        stray = stray_tensors(tensors)
        if stray:
            raise CorruptModelError(
                f"{path} holds {stray}, which belong to no head and no low-rank pair: name a pair W{_DOWN} and W{_UP}"
            )

    @property
    def heads(self) -> dict[str, FloatArray]:
        """The tensors of the heads."""
        return dict(self._heads)

    @property
    def classifier(self) -> tuple[Linear, ...]:
        """The layers of a cross-encoder's head; none for an encoder."""
        found = [read_linear(self._classifier, prefix) for prefix in CLASSIFIER]
        return tuple(layer for layer in found if layer is not None)

    @property
    def scale(self) -> float:
        """What a low-rank product is multiplied by."""
        return self._scale

    @property
    def sparse_terms(self) -> SparseTerms:
        """Which terms the lexical head weighs."""
        return self._sparse_terms

    @property
    def pooling(self) -> Pooling | None:
        """Which states make the dense vector, if it says so."""
        return self._pooling

    def merge(self, backbone: Iterable[tuple[str, FloatArray]]) -> Iterator[tuple[str, FloatArray]]:
        """The weights of the backbone, updated.

        Raises:
            CorruptModelError: the delta updates a weight that the backbone does not have, or has in another shape.
        """
        left = set(self._downs)
        for name, weight in backbone:
            if name in left:
                left.discard(name)
                yield name, weight + np.float32(self._scale) * self._update(name, weight.shape)
            else:
                yield name, weight
        if left:
            raise CorruptModelError(
                f"{self._path} updates weights that the backbone lacks: {sorted(left)}; fetch the delta of this model"
            )

    def _update(self, name: str, shape: tuple[int, ...]) -> FloatArray:
        """B A, of exactly the weight's shape: numpy would spread a smaller one over the weight."""
        up, down = self._ups[name], self._downs[name]
        if not up.ndim == down.ndim == 2 or up.shape[1] != down.shape[0] or (up.shape[0], down.shape[1]) != shape:
            raise CorruptModelError(
                f"{self._path} updates {name} of shape {shape} by {up.shape} times {down.shape}, which does not fit: "
                "fetch the delta of this model"
            )
        return up @ down


def _one_of(path: Path, metadata: Mapping[str, str], name: str, known: Any, absent: Any) -> Any:  # noqa: ANN401
    """A value of the metadata that is one of a type's."""
    if name not in metadata:
        return absent
    if metadata[name] not in get_args(known):
        raise CorruptModelError(
            f"{path} has the {name} {metadata[name]!r}, none of {', '.join(get_args(known))}: fetch it again"
        )
    return metadata[name]


def _read_scale(path: Path, metadata: Mapping[str, str]) -> float:
    text = metadata.get("scale", "1")
    try:
        scale = float(text)
    except ValueError:
        scale = math.nan
    if not math.isfinite(scale):
        raise CorruptModelError(f"{path} has the scale {text!r}, which is no finite number: fetch or write it again")
    return scale


def _take(tensors: dict[str, FloatArray], ending: str) -> dict[str, FloatArray]:
    """Move the tensors whose name has the ending into a dict of their own, without it."""
    names = [name for name in tensors if name.endswith(ending)]
    return {name.removesuffix(ending): tensors.pop(name) for name in names}
