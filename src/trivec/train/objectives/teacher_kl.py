"""Distillation from an outside teacher: its distribution over the group, beside InfoNCE."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from trivec.train.objectives.candidates import Candidates
from trivec.train.objectives.info_nce import info_nce


@dataclass(frozen=True, slots=True)
class TeacherKl:
    """Cross-entropy of the student's softmax over the own group against the teacher's, plus InfoNCE.

        a = softmax(teacher scores / T)      L = InfoNCE - sum over the group of a_i log softmax(s / tau)_i

    Its gradient is that of the Kullback-Leibler divergence, from which it differs by the teacher's entropy. The
    `kl_div` of FlagEmbedding. Use it where a reranker scored positives and negatives.

    Attributes:
        teacher_temperature: T. 1 takes the scores as logits.
    """

    teacher_temperature: float = 1.0

    def __call__(self, candidates: Candidates) -> Tensor:
        """The loss of one matrix of scores.

        Raises:
            InputError: the batch has no teacher scores.
        """
        weights = candidates.teacher_weights(self.teacher_temperature)
        return info_nce(candidates) + soft_cross_entropy(candidates.own_logits, weights)


def soft_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """The mean over rows of - sum target log softmax(logits). Where a logit is -inf the target must be 0."""
    # 0 * log 0 is 0 here: a passage that is no candidate adds nothing.
    log_probabilities = logits.log_softmax(dim=1).masked_fill(logits == float("-inf"), 0)
    return -(target * log_probabilities).sum(dim=1).mean()
