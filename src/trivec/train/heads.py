"""Heads that a checkpoint lacks, made ready for training, and those it has, as torch layers.

A new lexical head starts with almost the same small weight for every token, so that s_lex begins as a count of the
terms that two texts share: neither so large that it drowns the other losses, nor zero for half of the vocabulary, as
rectified random weights would be. A new multi-vector head starts as the orthogonal projection that already works
without training (`trivec.encode.training_free`).
"""

from __future__ import annotations

import logging
import math

import numpy as np
import torch
from torch import nn

from trivec.encode.checkpoints.checkpoint import Checkpoint, Linear
from trivec.encode.training_free import training_free_head
from trivec.types import FloatArray

logger = logging.getLogger(__name__)

_FIRST_WEIGHT = 0.1
"""What a new lexical head gives a token, on average: ten shared terms add 0.1 to the score."""


def sparse_layer(checkpoint: Checkpoint, seed: int) -> nn.Linear:
    """The lexical head: the checkpoint's, or a new one drawn from the seed."""
    if checkpoint.sparse is not None:
        return linear_layer(checkpoint.sparse)
    logger.info("%s has no sparse head: it starts from small random weights, seed %d", checkpoint.name, seed)
    size = checkpoint.hidden_size
    drawn = torch.randn(1, size, generator=torch.Generator().manual_seed(seed)) * (_FIRST_WEIGHT / 10 / math.sqrt(size))
    return linear_layer(Linear(drawn.numpy(), np.full(1, _FIRST_WEIGHT, np.float32)))


def multi_layer(checkpoint: Checkpoint, width: int, seed: int) -> nn.Linear:
    """The multi-vector head: the checkpoint's, or a seeded orthogonal projection to ``width`` columns."""
    head, size = checkpoint.multi, checkpoint.hidden_size
    if head is None:
        head = training_free_head(size, min(width, size), seed)
        logger.info(
            "%s has no multi-vector head: it starts as an orthogonal projection, seed %d", checkpoint.name, seed
        )
    weight = np.eye(size, dtype=np.float32) if head.linear is None else head.linear.weight
    bias = None if head.linear is None else head.linear.bias
    return linear_layer(Linear(weight, np.zeros(len(weight), np.float32) if bias is None else bias))


def linear_layer(linear: Linear) -> nn.Linear:
    """A torch layer with these numbers."""
    layer = nn.Linear(linear.weight.shape[1], linear.width, linear.bias is not None)
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(linear.weight))
        if linear.bias is not None:
            layer.bias.copy_(torch.tensor(linear.bias))
    return layer


def numbers_of(layer: nn.Linear) -> Linear:
    """The numbers of a torch layer, as a checkpoint has them."""
    return Linear(_array(layer.weight), None if layer.bias is None else _array(layer.bias))


def _array(tensor: torch.Tensor) -> FloatArray:
    return tensor.detach().to("cpu", torch.float32).numpy().copy()
