"""What an objective is told about a batch, what it gives back, and the protocol between the two."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from torch import Tensor

from trivec.errors import InputError
from trivec.train.vectors import TextVectors


@dataclass(frozen=True, eq=False, slots=True)
class GroupInfo:
    """How the passages of a batch belong to its B queries.

    The passages of query b are rows b * G to b * G + G - 1 of the batch's passages; the first is the positive.

    Attributes:
        group_size: G, at least 1.
        in_batch_negatives: False: a query is compared with its own group alone, as for data of classes or clusters.
        teacher_scores: (B, G), raw scores of a teacher such as a reranker; larger is better.
        step: optimiser steps done before this batch. Micro-batches of one step share a number.
        duplicates: (B, P) bool, True where passage p is no true negative of query b; see `false_negatives`. P counts
            ``everywhere`` where that is given.
        everywhere: the passages of all ranks, see `trivec.train.gather`. Heads that it lacks see the rank's own.
        first_passage: the row in ``everywhere`` of the rank's own first passage.
        everywhere_gradient: what the gradient of losses over ``everywhere`` is multiplied by. 1 is exact; 1 / ranks is
            what FlagEmbedding has after data-parallel averaging. The loss itself stays.

    Raises:
        InputError: ``group_size`` is below 1.
    """

    group_size: int
    in_batch_negatives: bool = True
    teacher_scores: Tensor | None = None
    step: int = 0
    duplicates: Tensor | None = None
    everywhere: TextVectors | None = None
    first_passage: int = 0
    everywhere_gradient: float = 1.0

    def __post_init__(self) -> None:
        if self.group_size < 1:
            raise InputError(f"group size {self.group_size}: give each query at least its positive, 1")


@dataclass(frozen=True, eq=False, slots=True)
class LossParts:
    """A loss and what it was made of.

    Attributes:
        total: the loss to go back from, a scalar.
        parts: scalars without gradient, by name, for a log.
    """

    total: Tensor
    parts: Mapping[str, Tensor] = field(default_factory=dict)


class Objective(Protocol):
    """What training minimises."""

    def __call__(self, queries: TextVectors, passages: TextVectors, batch: GroupInfo) -> LossParts:
        """The loss of B queries against B * G passages."""
        ...
