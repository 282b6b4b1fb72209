"""Late interaction without training, for encoders that have no multi-vector head.

Hidden states of a contrastively trained encoder already tell its tokens apart well enough for MaxSim. Their
width can be reduced by a random matrix with orthonormal rows, which keeps dot products in expectation. Such
heads are marked ``training-free`` in every fingerprint.
"""

from __future__ import annotations

import numpy as np

from trivec.encode.checkpoints.checkpoint import Linear, MultiHead
from trivec.errors import InputError
from trivec.types import FloatArray


def training_free_head(hidden_size: int, width: int | None = 128, seed: int = 0) -> MultiHead:
    """A multi-vector head made of raw hidden states.

    Args:
        hidden_size: width d of the backbone.
        width: columns c kept by a seeded random projection; None keeps all d.
        seed: of the projection.

    Raises:
        InputError: ``width`` is not between 1 and ``hidden_size``.
    """
    if width is None or width == hidden_size:
        return MultiHead(None, seed)
    if not 1 <= width <= hidden_size:
        raise InputError(f"width {width} is not between 1 and the model's {hidden_size}: choose a smaller one, or None")
    return MultiHead(Linear(orthonormal_rows(width, hidden_size, seed)), seed)


def orthonormal_rows(rows: int, columns: int, seed: int) -> FloatArray:
    """A random matrix W (rows, columns) with W W^T = I, the same for a seed on every machine.

    Gram-Schmidt in float64 over numpy's frozen legacy generator: no LAPACK, whose signs may differ.
    """
    gaussian = np.random.RandomState(seed).standard_normal((rows, columns))
    for row in range(rows):
        for _ in range(2):  # a second pass removes what rounding left
            gaussian[row] -= (gaussian[:row] @ gaussian[row]) @ gaussian[:row]
        gaussian[row] /= np.sqrt(gaussian[row] @ gaussian[row])
    return gaussian.astype(np.float32)
