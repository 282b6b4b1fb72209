"""From a pooled hidden state to the dense vector, in numpy: for states that were pooled outside of the runtime."""

from __future__ import annotations

import numpy as np

from trivec.encode.checkpoints.checkpoint import Checkpoint
from trivec.types import FloatArray


def dense_vectors(pooled_ND: FloatArray, checkpoint: Checkpoint) -> FloatArray:
    """The model's layers behind the pooling, and its normalisation. (N, hidden) to (N, D)."""
    for module in checkpoint.dense_modules:
        pooled_ND = pooled_ND @ module.linear.weight.T
        if module.linear.bias is not None:
            pooled_ND = pooled_ND + module.linear.bias
        pooled_ND = np.tanh(pooled_ND) if module.activation == "tanh" else pooled_ND
    return unit_rows(pooled_ND) if checkpoint.normalize else np.asarray(pooled_ND, np.float32)


def unit_rows(rows: FloatArray) -> FloatArray:
    """Rows divided by their lengths; rows of zeros stay."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12), np.float32)
