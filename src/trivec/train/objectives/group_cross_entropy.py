"""What a reranker learns: the positive of a group from its negatives, beside a teacher or the search before."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from trivec.errors import InputError
from trivec.train.objectives.groups import LossParts
from trivec.train.objectives.teacher_kl import soft_cross_entropy

Teacher: TypeAlias = Literal["none", "kl", "first-stage"]


@dataclass(frozen=True, slots=True)
class GroupCrossEntropy:
    """Softmax cross-entropy within each group, the positive first.

        L = - log softmax(s)_0          with a teacher:  L - sum over the group of softmax(t / T)_i log softmax(s)_i

    The localised contrastive loss of Gao et al. 2021 (2101.08751): each pair is read by itself, so passages of other
    queries would cost a pass each and are no negatives. Logits are on a scale of their own, so they are not divided
    by a temperature.

    Scores r of the search whose results will be read can stand beside the logits, as they will when results are put in
    order: L = - log softmax(s)_0 - log softmax(s + r / T)_0. The second part teaches what that search does not know, as
    a boosted model learns what those before it do not; the first keeps the logits worth something by themselves.

    Where a model gives K logits a pair, one behind each of its layers, the loss is the sum of theirs. Without another
    teacher the last layer, without gradient, teaches all before it:

        L = sum over k of - log softmax(s_k)_0 - sum over k < K and the group of softmax(s_K)_i log softmax(s_k)_i

    Attributes:
        teacher: what scores of the batches are for: a teacher's distribution (kl) is learned from beside the labels,
            those of the first stage are added to the logits.
        teacher_temperature: T. 1 takes the scores as logits.
        from_last: layers learn from the last one where nobody else teaches.
    """

    teacher: Teacher = "none"
    teacher_temperature: float = 1.0
    from_last: bool = True

    def __call__(self, logits_BGK: Tensor, teacher_BG: Tensor | None = None) -> LossParts:
        """The mean over B groups of G pairs with K logits each.

        Raises:
            InputError: there shall be a teacher, and the batch has no teacher scores.
        """
        scores_BG = self._scores(teacher_BG)
        layers = logits_BGK.unbind(dim=2)
        right = torch.zeros(len(logits_BGK), dtype=torch.int64, device=logits_BGK.device)
        labels = [F.cross_entropy(logits_BG, right) for logits_BG in layers]
        total, parts = torch.stack(labels).sum(), {"labels": labels[-1].detach()}
        if len(layers) > 1:
            parts["labels, all layers"] = total.detach()
        if scores_BG is not None and self.teacher == "first-stage":
            beside = torch.stack([F.cross_entropy(logits_BG + scores_BG, right) for logits_BG in layers]).sum()
            total, parts = total + beside, parts | {"beside the first stage": beside.detach()}
        if scores_BG is not None and self.teacher == "kl":
            target, taught = scores_BG.softmax(dim=1), layers
        elif self.from_last and len(layers) > 1:
            target, taught = layers[-1].detach().softmax(dim=1), layers[:-1]
        else:
            return LossParts(total, parts)
        learned = torch.stack([soft_cross_entropy(logits_BG, target) for logits_BG in taught]).sum()
        return LossParts(total + learned, parts | {"teacher": learned.detach()})

    def _scores(self, teacher_BG: Tensor | None) -> Tensor | None:
        """The scores that count, by the temperature."""
        if self.teacher == "none":
            return None
        if teacher_BG is None:
            raise InputError("the batch has no teacher scores: give scores for all of its examples, or no teacher")
        return teacher_BG.detach() / self.teacher_temperature
