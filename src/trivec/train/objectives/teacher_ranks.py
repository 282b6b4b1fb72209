"""Distillation from an outside teacher, rank by rank."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trivec.train.objectives.candidates import Candidates


@dataclass(frozen=True, slots=True)
class TeacherRanks:
    """Each passage of a group is a positive against those that the teacher ranks below it and the in-batch negatives.

        a = softmax(teacher scores / T), the group sorted by them, best first
        L = sum over i of a_i (- log of s_i's share among all candidates but the group's first i)

    LLM-Embedder (Zhang et al. 2023, 2310.07554), and the `m3_kd_loss` of FlagEmbedding. The group is sorted here, so
    the order of the data does not matter; equal teacher scores keep their order. It stands in for InfoNCE and equals
    it if all of the teacher's weight is on the positive. Use it where several passages of a group are right.

    Attributes:
        teacher_temperature: T. 1 takes the scores as logits.
    """

    teacher_temperature: float = 1.0

    def __call__(self, candidates: Candidates) -> Tensor:
        """The loss of one matrix of scores.

        Raises:
            InputError: the batch has no teacher scores.
        """
        weights, order = candidates.teacher_weights(self.teacher_temperature).sort(dim=1, descending=True, stable=True)
        ranked = candidates.own.gather(1, order)
        logits, losses = candidates.logits, []
        for rank in range(weights.shape[1]):
            target = ranked[:, rank]
            # A passage without weight may be no candidate; its infinite loss is left out.
            lost = F.cross_entropy(logits, target, reduction="none").masked_fill(weights[:, rank] == 0, 0)
            losses.append(weights[:, rank] * lost)
            logits = logits.scatter(1, target[:, None], float("-inf"))
        return torch.stack(losses).sum(dim=0).mean()
