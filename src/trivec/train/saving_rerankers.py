"""The model folder of a trained cross-encoder: that of transformers' classification models, which all tools read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from trivec.encode.checkpoints.classifier import write_classifier
from trivec.train.model import TrainableEncoder
from trivec.train.saving import replaced, write_delta
from trivec.train.trained import backbone_tensors, trained_checkpoint


def save_reranker(encoder: TrainableEncoder, folder: Path) -> Path:
    """Write a trained cross-encoder as the folder ``model`` below a folder; an earlier one is replaced.

    Low-rank updates are merged into the weights, and stand in ``delta.safetensors`` as well, with the head.
    """
    checkpoint = trained_checkpoint(encoder, encoder.checkpoint.folder)
    with replaced(folder / "model") as written:
        write_classifier(replace(checkpoint, precision="float32"), backbone_tensors(encoder), written)
    write_delta(encoder, folder)
    return folder / "model"
