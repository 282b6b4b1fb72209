"""What runs the forward pass: one interface for torch and ONNX Runtime."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from trivec.types import FloatArray, Head


@dataclass(frozen=True, eq=False)
class HeadOutputs:
    """Heads of one batch: B texts, padded to L tokens. A head that was not asked for may be None.

    Attributes:
        dense: (B, D).
        token_weights: (B, L), the lexical weight of every token, at least 0.
        token_vectors: (B, L, C), unit rows, one for every token.
    """

    dense: FloatArray | None = None
    token_weights: FloatArray | None = None
    token_vectors: FloatArray | None = None


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

    def forward(self, ids_BL: NDArray[np.int64], mask_BL: NDArray[np.int32], heads: Collection[Head]) -> HeadOutputs:
        """One pass over a right-padded batch; ``mask_BL`` is 1 for real tokens."""
        ...
