"""`PairLoss`: a reranker and its objective as one module, as `StepLoss` is for an encoder."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from trivec.train.collate import TokenBatch
from trivec.train.model import TrainableEncoder
from trivec.train.objectives import GroupCrossEntropy
from trivec.train.pair_batches import PairBatch
from trivec.train.split_batch import SplitOptions, encode_split, encode_whole
from trivec.train.vectors import TextVectors


class PairLoss(nn.Module):
    """The loss of a batch of pairs.

    Args:
        encoder: what is trained: its dense vector is the logit of a pair, or one logit for each of several layers.
        objective: what is minimised.
        split: how batches are encoded in parts.
    """

    accepts_loss_kwargs = False
    """Tells transformers' Trainer that the loss is a mean over the batch."""

    head_parts = ("dense_layers",)
    """Modules that may have a learning rate of their own."""

    def __init__(self, encoder: TrainableEncoder, objective: GroupCrossEntropy, split: SplitOptions) -> None:
        super().__init__()
        self.encoder = encoder
        self.objective = objective
        self.split = split

    @property
    def config(self) -> Any:  # noqa: ANN401
        """The backbone's configuration, for trackers."""
        return self.encoder.config

    def forward(self, batch: PairBatch | TokenBatch, step: int = 0) -> tuple[Tensor, dict[str, Tensor]] | TextVectors:
        """The loss of a batch and its parts; of mere rows of tokens, their logits as dense vectors (n, K).

        Args:
            batch: groups of pairs, or rows.
            step: optimiser steps done.
        """
        if isinstance(batch, TokenBatch):
            self.begin(None)
            return encode_whole(self.encoder, batch)
        self.begin(step)
        logits = encode_split(self.encoder, batch.pairs, self.split).dense
        assert logits is not None
        loss = self.objective(logits[batch.rows].view(-1, batch.group_size, logits.shape[1]), batch.teacher_scores)
        return loss.total, dict(loss.parts)

    def begin(self, step: int | None) -> None:
        """Told before each batch is read, or None before rows are measured. A cross-encoder reads all alike."""
