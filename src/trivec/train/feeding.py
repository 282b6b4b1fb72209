"""The batches of a run, in the order of its plan: what the trainer's data loader reads.

A batch is named by (epoch, position), and made from nothing but that: a run taken up anywhere goes on with the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from trivec.data.examples import Example
from trivec.data.prepared import Prepared
from trivec.train.collate import TrainBatch
from trivec.train.objectives.masks import NO_KEY, false_negatives, text_key
from trivec.train.pair_batches import PairBatch
from trivec.train.plan import Plan, PlanOptions
from trivec.train.sampling import draw, drawing_generator
from trivec.train.survey import Survey

Place: TypeAlias = tuple[int, int]
"""Epoch, and position in the epoch's plan."""


AnyBatch: TypeAlias = TrainBatch | PairBatch
"""What a training step takes, of an encoder or of a cross-encoder."""


class Collates(Protocol):
    """Makes batches of examples."""

    def __call__(self, examples: Sequence[Example], numbers: Sequence[int], epoch: int) -> AnyBatch:
        """One batch, of examples with these numbers in the data set."""
        ...


@dataclass(frozen=True)
class Masking:
    """Takes passages that are known to be right for a query out of its negatives.

    Attributes:
        sees_all: whether negatives come from the slices of all ranks.
        group_size: most passages a query, as the collator has it.
        seed: of draws, as the collator has it.
    """

    sees_all: bool
    group_size: int
    seed: int

    def duplicates(self, examples: Sequence[Example], numbers: Sequence[int], own: slice, epoch: int) -> Tensor | None:
        """(own queries, passages of all that are seen): True where a passage is known to be right for the query."""
        passages = [text for pair in zip(examples, numbers, strict=True) for text in self._drawn(*pair, epoch)]
        group_size = len(passages) // len(examples)
        keys = torch.tensor([[text_key(text)] for text in passages])
        right = _right_keys(examples)[own]
        marked = false_negatives(keys, right, group_size, own.start * group_size)
        return marked if bool(marked.any()) else None

    def _drawn(self, example: Example, number: int, epoch: int) -> tuple[str, ...]:
        return draw(example, self.group_size, drawing_generator(self.seed, epoch, number)).passages


class PlannedBatches(Dataset[AnyBatch]):
    """Batches by place; each rank sees its own slice of them.

    Args:
        prepared: all examples.
        survey: which of them are trained on.
        options: of the plan.
        collator: makes batches of examples.
        rank: of this process.
        masking: of negatives in batches that have them of other queries; None masks nothing.
    """

    def __init__(
        self,
        prepared: Prepared,
        survey: Survey,
        options: PlanOptions,
        collator: Collates,
        rank: int,
        masking: Masking | None = None,
    ) -> None:
        self.prepared, self.survey, self.options, self.collator = prepared, survey, options, collator
        self._rank, self._masking = rank, masking
        self._plan: Plan | None = None

    def plan(self, epoch: int) -> Plan:
        """The plan of an epoch."""
        if self._plan is None or self._plan.epoch != epoch:
            self._plan = self.survey.plan(self.options, epoch)
        return self._plan

    def __len__(self) -> int:
        """Batches in an epoch; every epoch has as many."""
        return len(self.plan(0 if self._plan is None else self._plan.epoch))

    def __getitem__(self, place: Place) -> AnyBatch:
        epoch, position = place
        plan, masking = self.plan(epoch), self._masking
        own = self.survey.numbers[plan.of_rank(position, self._rank)].tolist()
        examples = [self.prepared[number] for number in own]
        batch = self.collator(examples, own, epoch)
        if masking is None or not isinstance(batch, TrainBatch) or not batch.in_batch_negatives:
            return batch
        seen = self.survey.numbers[plan[position]].tolist() if masking.sees_all else own
        first = self._rank * len(own) if masking.sees_all else 0
        others = [self.prepared[number] for number in seen]
        return replace(batch, duplicates=masking.duplicates(others, seen, slice(first, first + len(own)), epoch))


def _right_keys(examples: Sequence[Example]) -> list[list[int]]:
    """Keys of all that answers each example's query, as far as these examples know."""
    queries = [text_key(example.query) for example in examples]
    right: dict[int, set[int]] = {}
    for query, example in zip(queries, examples, strict=True):
        right.setdefault(query, set()).update(map(text_key, example.positives))
    return [sorted(right[query] - {NO_KEY}) for query in queries]


class PlanSampler(Sampler[list[Place]]):
    """Names one batch after the other; `set_epoch` says of which epoch."""

    def __init__(self, batches: PlannedBatches) -> None:
        self._batches = batches
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Go on with the plan of this epoch."""
        self._epoch = epoch

    def __len__(self) -> int:
        return len(self._batches)

    def __iter__(self) -> Iterator[list[Place]]:
        epoch = self._epoch
        for position in range(len(self._batches.plan(epoch))):
            yield [(epoch, position)]


class PlanLoader(DataLoader[AnyBatch]):
    """Reads the batches of a plan; it draws no number from torch's global generator, which is the dropout's."""

    def __init__(self, batches: PlannedBatches, workers: int) -> None:
        super().__init__(
            batches,
            batch_sampler=PlanSampler(batches),
            num_workers=workers,
            collate_fn=as_inputs,
            generator=torch.Generator(),
        )

    def set_epoch(self, epoch: int) -> None:
        """Go on with the plan of this epoch."""
        assert isinstance(self.batch_sampler, PlanSampler)
        self.batch_sampler.set_epoch(epoch)


def as_inputs(batches: list[AnyBatch]) -> dict[str, AnyBatch]:
    """The one batch of a place, as the trainer hands it on."""
    return {"batch": batches[0]}


def padded_share(batches: PlannedBatches, sample: int = 20) -> float:
    """How much of the tokens of some batches of the first epoch is padding, from 0 to 1."""
    real = padded = 0
    for position in sorted({round(place) for place in np.linspace(0, len(batches) - 1, sample).tolist()}):
        batch = batches[(0, position)]
        for side in batch.sides:
            real, padded = real + int(side.mask.sum()), padded + side.mask.numel()
    return 1 - real / max(1, padded)
