"""Which passages a query chooses among, and how it scores them: what every loss on scores is given."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from trivec.errors import InputError
from trivec.train.objectives.groups import GroupInfo


@dataclass(frozen=True, eq=False, slots=True)
class Candidates:
    """B queries with K candidates each.

    Attributes:
        logits: (B, K) scores divided by the temperature; -inf where a passage is not a candidate.
        own: (B, G) int64, the columns of the query's own group, the positive first. The positive is a candidate always.
        teacher: (B, G) raw teacher scores of the own group, or None.
    """

    logits: Tensor
    own: Tensor
    teacher: Tensor | None = None

    @property
    def own_logits(self) -> Tensor:
        """(B, G), the columns of the own group."""
        return self.logits.gather(1, self.own)

    def teacher_weights(self, temperature: float) -> Tensor:
        """(B, G), softmax of the teacher's scores over the candidates of the own group.

        Raises:
            InputError: there are no teacher scores.
        """
        if self.teacher is None:
            raise InputError("this loss needs teacher scores and the batch has none: give scored data, or use info_nce")
        scores = self.teacher.to(self.logits) / temperature
        return scores.masked_fill(self.own_logits.detach() == float("-inf"), float("-inf")).softmax(dim=1)


ScoreLoss: TypeAlias = Callable[[Candidates], Tensor]
"""A loss of one matrix of scores: the mean over its queries, a scalar."""


def candidates(scores: Tensor, batch: GroupInfo, temperature: float) -> Candidates:
    """The candidates of each query.

    Args:
        scores: (B, P) of the rank's own passages, (B, all) of those of all ranks, or (B, G) without in-batch negatives.
        batch: how passages belong to queries. Its duplicates are no candidates, the positive excepted.
        temperature: tau.

    Raises:
        InputError: the shapes do not fit.
    """
    _check_teacher(batch.teacher_scores, (len(scores), batch.group_size))
    own, columns = _places(scores, batch)
    logits = scores / temperature
    if batch.in_batch_negatives and scores.shape[1] > own.numel() and batch.everywhere_gradient != 1:
        logits = logits * batch.everywhere_gradient + logits.detach() * (1 - batch.everywhere_gradient)
    if batch.duplicates is not None:
        _check_duplicates(batch.duplicates, batch, own.numel())
        excluded = batch.duplicates.to(scores.device).gather(1, columns).scatter(1, own[:, :1], False)
        logits = logits.masked_fill(excluded, float("-inf"))
    return Candidates(logits, own, batch.teacher_scores)


def _places(scores: Tensor, batch: GroupInfo) -> tuple[Tensor, Tensor]:
    """The columns of each query's own group in the scores, (B, G), and the scores' columns among all passages."""
    queries, width = scores.shape
    group, first = batch.group_size, batch.first_passage
    own = torch.arange(queries * group, device=scores.device).view(queries, group)
    if not batch.in_batch_negatives:
        fits, places, columns = width == group, own[:1].expand(queries, group), own + first
    elif width == queries * group:
        fits, places, columns = True, own, (own.flatten() + first).expand(queries, width)
    else:
        fits, places = first + queries * group <= width, own + first
        columns = torch.arange(width, device=scores.device).expand(queries, width)
    if not fits:
        raise InputError(f"scores {tuple(scores.shape)} do not fit {queries} groups of {group} passages")
    return places, columns


def local(scores: Tensor, batch: GroupInfo) -> Tensor:
    """The columns of the rank's own passages: (B, B * G), or (B, G) without in-batch negatives."""
    room = len(scores) * batch.group_size
    if not batch.in_batch_negatives or scores.shape[1] <= room:
        return scores
    return scores[:, batch.first_passage : batch.first_passage + room]


def _check_duplicates(duplicates: Tensor, batch: GroupInfo, passages: int) -> None:
    shape = (passages // batch.group_size, passages if batch.everywhere is None else len(batch.everywhere))
    if duplicates.shape != shape:
        raise InputError(f"duplicates {tuple(duplicates.shape)} must be {shape}: mark every query and passage")


def _check_teacher(teacher: Tensor | None, shape: tuple[int, int]) -> None:
    if teacher is not None and teacher.shape != shape:
        raise InputError(
            f"teacher scores {tuple(teacher.shape)} for {shape[0]} groups of {shape[1]}: score every passage"
        )
