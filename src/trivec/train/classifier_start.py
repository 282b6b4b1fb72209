"""What a cross-encoder begins as: one that is there already, or the backbone of an encoder with a new head."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch

from trivec.encode.checkpoints import classifier
from trivec.encode.checkpoints.checkpoint import Checkpoint, Linear
from trivec.encode.loading import find_checkpoint, resolve
from trivec.errors import ModelError

logger = logging.getLogger(__name__)

_SPREAD = 0.02
"""Of drawn weights: what BERT, RoBERTa and XLM-RoBERTa begin with (``initializer_range``)."""


def find_classifier(model: str, seed: int) -> Checkpoint:
    """The cross-encoder to start from.

    Args:
        model: a name or a folder, of a cross-encoder or of an encoder.
        seed: of a new head.

    Raises:
        UnknownModelError: it is nowhere.
        ModelError: its architecture is none of those that are known as cross-encoders.
    """
    folder, _ = resolve(model)
    if classifier.matches(folder):
        name = folder.name if Path(model).expanduser().is_dir() else model
        return replace(classifier.read_classifier(folder), name=name)
    checkpoint = find_checkpoint(model, precision="float32")
    kind = str(checkpoint.config.get("model_type"))
    if kind not in classifier.ARCHITECTURES:
        known = ", ".join(classifier.ARCHITECTURES)
        raise ModelError(f"{checkpoint.name} is a {kind!r}, and a cross-encoder may be {known}: take another model")
    logger.info("%s is no cross-encoder yet: its head is drawn, seed %d", checkpoint.name, seed)
    inner, last = _new_head(checkpoint.hidden_size, seed)
    return classifier.as_classifier(checkpoint, inner, last)


def _new_head(size: int, seed: int) -> tuple[Linear, Linear]:
    """Normal weights and zero biases: logits begin small, so that the first loss is about log G."""
    generator = torch.Generator().manual_seed(seed)
    drawn = [_SPREAD * torch.randn(rows, size, generator=generator) for rows in (size, 1)]
    inner, last = (Linear(weight.numpy(), np.zeros(len(weight), np.float32)) for weight in drawn)
    return inner, last
