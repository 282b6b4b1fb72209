"""What runs the forward pass: one interface for torch and ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from trivec.types import FloatArray, Head

GRAPH_EDITION = "trivec graph 2"
"""Stands in every ONNX graph made here. It changes when newer graphs compute the same in less time."""


@dataclass(frozen=True, eq=False)
class HeadOutputs:
    """Heads of one batch: B texts, padded to L tokens. A head that was not asked for may be None.

    Attributes:
        dense: (B, D).
        token_weights: (B, L), the lexical weight of every token, at least 0.
        token_vectors: (B, L, C), unit rows, one for every token.
        token_states: (B, L, hidden), the last hidden states.
    """

    dense: FloatArray | None = None
    token_weights: FloatArray | None = None
    token_vectors: FloatArray | None = None
    token_states: FloatArray | None = None


class Runtime(Protocol):
    """Runs a backbone and all its heads in one forward pass."""

    @property
    def name(self) -> str:
        """``onnx`` or ``torch``, and the device."""
        ...

    @property
    def batch_tokens(self) -> int:
        """Padded tokens a batch at which this runtime is fastest."""
        ...

    def forward(
        self, ids_BL: NDArray[np.int64], mask_BL: NDArray[np.int32], heads: Collection[Head], states: bool = False
    ) -> HeadOutputs:
        """One pass over a right-padded batch; ``mask_BL`` is 1 for real tokens. ``states`` asks for token states."""
        ...


def token_types(ids_BL: NDArray[np.int64], separator: int | None) -> NDArray[np.int64]:
    """0 for tokens of a first text and 1 for those behind the first separator, (B, L); all 0 without a separator."""
    if separator is None:
        return np.zeros_like(ids_BL)
    ends_BL = (ids_BL == separator).astype(np.int64)
    seen_BL = np.cumsum(ends_BL, axis=1, dtype=np.int64)
    return np.asarray(seen_BL > ends_BL, np.int64)


Forward: TypeAlias = Callable[[NDArray[np.int64], NDArray[np.int32], Collection[Head]], HeadOutputs]
"""`Runtime.forward`, with or without token states."""


@runtime_checkable
class Laned(Protocol):
    """A runtime that gets through many batches faster when it runs several at once."""

    def lanes(self, states: bool = False) -> Sequence[Forward]:
        """Forward passes that may run at the same time, each for one thread at a time; the same results from each."""
        ...
