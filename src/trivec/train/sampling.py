"""One training group out of an example: the query, one of its positives, and negatives, drawn anew in each epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trivec.data.examples import Example
from trivec.errors import InputError


@dataclass(frozen=True, slots=True)
class Group:
    """What a query is compared with.

    Attributes:
        query: without a prompt.
        passages: the positive first, then G - 1 negatives.
        teacher_scores: one for each passage, or None if the example lacks one of them.
        prompt: of the query in place of the model's, or None.
    """

    query: str
    passages: tuple[str, ...]
    teacher_scores: tuple[float, ...] | None = None
    prompt: str | None = None


def passages_drawn(example: Example, group_size: int) -> int:
    """G, the passages that `draw` gives for an example: ``group_size``, or fewer.

    Without any negative it is 1: then only the passages of other queries are wrong. Some kinds of examples take fewer
    negatives, see `Example.most_negatives`. Batches hold examples of one G.

    Raises:
        InputError: ``group_size`` is not at least 1.
    """
    if group_size < 1:
        raise InputError(f"group_size is {group_size}: give at least 1, the positive")
    if not example.negatives:
        return 1
    most = example.most_negatives
    return group_size if most is None else min(group_size, 1 + most)


def draw(example: Example, group_size: int, rng: np.random.Generator) -> Group:
    """Draw a group; see `passages_drawn` for how many passages it has.

    Negatives are drawn without replacement. Where there are too few, each is taken as often as the others, give or
    take one. With scores for all passages the group has them too.
    """
    positive = int(rng.integers(len(example.positives)))
    negatives = _draw_negatives(len(example.negatives), passages_drawn(example, group_size) - 1, rng)
    return Group(
        query=example.query,
        passages=(example.positives[positive], *(example.negatives[i] for i in negatives)),
        teacher_scores=_scores(example, positive, negatives),
        prompt=example.prompt,
    )


def drawing_generator(seed: int, epoch: int, number: int) -> np.random.Generator:
    """The generator for example ``number`` in an epoch: the same whatever was drawn before, and on whichever rank."""
    return np.random.Generator(np.random.Philox(key=seed, counter=[0, 0, epoch, number]))


def _draw_negatives(there: int, wanted: int, rng: np.random.Generator) -> list[int]:
    """Numbers of ``wanted`` negatives, every one of them before any is taken again."""
    drawn: list[int] = []
    while len(drawn) < wanted:
        drawn += rng.permutation(there)[: wanted - len(drawn)].tolist()
    return drawn


def _scores(example: Example, positive: int, negatives: Sequence[int]) -> tuple[float, ...] | None:
    if example.positive_scores is None or (negatives and example.negative_scores is None):
        return None
    wrong = example.negative_scores or ()
    return (example.positive_scores[positive], *(wrong[i] for i in negatives))
