"""`StepLoss`: encoder and objective as one module, so that a training step is one forward pass of it.

What wraps models for several processes (DistributedDataParallel, FSDP, DeepSpeed) then wraps the step as a whole.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from trivec.train.collate import TokenBatch, TrainBatch
from trivec.train.gather import Gathered, gather_vectors
from trivec.train.model import TrainableEncoder
from trivec.train.objectives import GroupInfo, Objective
from trivec.train.split_batch import SplitOptions, encode_groups, encode_whole
from trivec.train.vectors import TextVectors

Negatives: TypeAlias = Literal["all", "dense", "own"]
"""Passages of which ranks are negatives: of all, of all for the dense head alone, of each rank's own."""


class StepLoss(nn.Module):
    """The loss of a batch.

    Args:
        encoder: what is trained.
        objective: what is minimised.
        split: how batches are encoded in parts.
        negatives: where they come from when there are several ranks.
    """

    accepts_loss_kwargs = False
    """Tells transformers' Trainer that the loss is a mean over the batch."""

    head_parts = ("sparse", "multi")
    """Modules that may have a learning rate of their own."""

    def __init__(
        self, encoder: TrainableEncoder, objective: Objective, split: SplitOptions, negatives: Negatives = "all"
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.objective = objective
        self.split = split
        self.negatives = negatives

    @property
    def config(self) -> Any:  # noqa: ANN401
        """The backbone's configuration, for trackers."""
        return self.encoder.config

    def forward(self, batch: TrainBatch | TokenBatch, step: int = 0) -> tuple[Tensor, dict[str, Tensor]] | TextVectors:
        """The loss of a batch and its parts; of mere texts, their vectors.

        Args:
            batch: queries with their passages, or texts.
            step: optimiser steps done.
        """
        if isinstance(batch, TokenBatch):
            return encode_whole(self.encoder, batch)
        queries, passages = encode_groups(self.encoder, batch, self.split)
        gathered = self._gather(passages, batch)
        info = GroupInfo(
            group_size=batch.group_size,
            in_batch_negatives=batch.in_batch_negatives,
            teacher_scores=batch.teacher_scores,
            step=step,
            duplicates=batch.duplicates,
        )
        loss = self.objective(queries, passages, info if gathered is None else gathered.group_info(info))
        share = 1.0 if gathered is None else gathered.share
        return loss.total * share, dict(loss.parts)

    def _gather(self, passages: TextVectors, batch: TrainBatch) -> Gathered | None:
        several = torch.distributed.is_available() and torch.distributed.is_initialized()
        if not several or torch.distributed.get_world_size() == 1:
            return None
        if self.negatives == "own" or not batch.in_batch_negatives:
            return None
        return gather_vectors(passages, ["dense"] if self.negatives == "dense" else None)
