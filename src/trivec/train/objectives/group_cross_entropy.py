"""What a cross-encoder learns: the positive of a group from its negatives, and a teacher's distribution beside that."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trivec.errors import InputError
from trivec.train.objectives.groups import LossParts
from trivec.train.objectives.teacher_kl import soft_cross_entropy


@dataclass(frozen=True, slots=True)
class GroupCrossEntropy:
    """Softmax cross-entropy within each group, the positive first.

        L = - log softmax(s)_0          with a teacher:  L - sum over the group of softmax(t / T)_i log softmax(s)_i

    The localised contrastive loss of Gao et al. 2021 (2101.08751): each pair is read by itself, so passages of other
    queries would cost a pass each and are no negatives. Logits are on a scale of their own, so they are not divided
    by a temperature.

    Attributes:
        with_teacher: learn from teacher scores beside the labels.
        teacher_temperature: T. 1 takes the scores as logits.
    """

    with_teacher: bool = False
    teacher_temperature: float = 1.0

    def __call__(self, logits_BG: Tensor, teacher_BG: Tensor | None = None) -> LossParts:
        """The mean over B groups of G logits.

        Raises:
            InputError: there shall be a teacher, and the batch has no teacher scores.
        """
        right = torch.zeros(len(logits_BG), dtype=torch.int64, device=logits_BG.device)
        labels = F.cross_entropy(logits_BG, right)
        if not self.with_teacher:
            return LossParts(labels, {"labels": labels.detach()})
        if teacher_BG is None:
            raise InputError("the batch has no teacher scores: give scores for all of its examples, or no teacher")
        target = (teacher_BG.detach() / self.teacher_temperature).softmax(dim=1)
        taught = soft_cross_entropy(logits_BG, target)
        return LossParts(labels + taught, {"labels": labels.detach(), "teacher": taught.detach()})
