"""What a reranker learns: the positive of a group from its negatives, and a teacher's distribution beside that."""

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

    Where a model gives K logits a pair, one behind each of its layers, the loss is the sum of theirs. Without another
    teacher the last layer, without gradient, teaches all before it:

        L = sum over k of - log softmax(s_k)_0 - sum over k < K and the group of softmax(s_K)_i log softmax(s_k)_i

    Attributes:
        with_teacher: learn from teacher scores beside the labels.
        teacher_temperature: T. 1 takes the scores as logits.
        from_last: layers learn from the last one where nobody else teaches.
    """

    with_teacher: bool = False
    teacher_temperature: float = 1.0
    from_last: bool = True

    def __call__(self, logits_BGK: Tensor, teacher_BG: Tensor | None = None) -> LossParts:
        """The mean over B groups of G pairs with K logits each.

        Raises:
            InputError: there shall be a teacher, and the batch has no teacher scores.
        """
        layers = logits_BGK.unbind(dim=2)
        right = torch.zeros(len(logits_BGK), dtype=torch.int64, device=logits_BGK.device)
        labels = [F.cross_entropy(logits_BG, right) for logits_BG in layers]
        total, parts = torch.stack(labels).sum(), {"labels": labels[-1].detach()}
        if len(layers) > 1:
            parts["labels, all layers"] = total.detach()
        if self.with_teacher:
            if teacher_BG is None:
                raise InputError("the batch has no teacher scores: give scores for all of its examples, or no teacher")
            target, taught = (teacher_BG.detach() / self.teacher_temperature).softmax(dim=1), layers
        elif self.from_last and len(layers) > 1:
            target, taught = layers[-1].detach().softmax(dim=1), layers[:-1]
        else:
            return LossParts(total, parts)
        learned = torch.stack([soft_cross_entropy(logits_BG, target) for logits_BG in taught]).sum()
        return LossParts(total + learned, parts | {"teacher": learned.detach()})
