"""`GroupDraws`: the group that an example gives to a batch of an epoch, with shuffled segments now and then."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from trivec.data.examples import Example
from trivec.train.sampling import Group, draw, drawing_generator
from trivec.train.segment_shuffle import SegmentShuffle


@dataclass(frozen=True)
class GroupDraws:
    """How groups are drawn. What is drawn for an example depends on seed, epoch and number alone.

    Attributes:
        group_size: passages a query at most, the positive among them.
        shuffle: of segments of passages.
        seed: of all draws.
    """

    group_size: int = 8
    shuffle: SegmentShuffle = field(default_factory=SegmentShuffle)
    seed: int = 0

    def __call__(self, example: Example, number: int, epoch: int) -> Group:
        """The group of an example with a number, in an epoch."""
        rng = drawing_generator(self.seed, epoch, number)
        group = draw(example, self.group_size, rng)
        if not self.shuffle.probability:
            return group
        return replace(group, passages=tuple(self.shuffle.apply(passage, rng) for passage in group.passages))
