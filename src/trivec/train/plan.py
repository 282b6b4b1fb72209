"""Which examples make up each batch of an epoch: the same list on every rank, from the lengths and a seed alone.

Every batch comes from one source and one bucket, so that all ranks get texts of like length, negatives in the batch
are of one kind, and little is padded. Within both, everything is shuffled anew in each epoch.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, get_args

import numpy as np

from trivec.errors import InputError
from trivec.train.buckets import BucketOptions
from trivec.train.source_limits import drawn_rows
from trivec.types import IntArray

logger = logging.getLogger(__name__)

Rest: TypeAlias = Literal["up", "keep", "drop"]
"""What becomes of the examples of a bucket that fill no batch.

``up`` hands them to the next longer bucket of their source; ``keep`` makes a smaller batch of them; ``drop`` leaves
them out. Whatever cannot give every rank two queries is left out in the end, other examples in each epoch: a query
alone has nothing to be told from.
"""


@dataclass(frozen=True)
class PlanOptions:
    """How batches are made up.

    Attributes:
        buckets: lengths and batch sizes.
        seed: of all shuffles.
        world: ranks that share each batch in equal slices.
        rest: examples that fill no batch; those of the longest bucket, which has no longer one, are kept if it is
            ``up``.
        merge_below: sources with fewer examples in a bucket are taken together there, as far as they may be mixed.
        drop_below: what then has fewer examples in a bucket is left out.
        source_limit: most examples of one source in an epoch, other ones in each; 0 sets no limit.
    """

    buckets: BucketOptions = field(default_factory=BucketOptions)
    seed: int = 0
    world: int = 1
    rest: Rest = "keep"
    merge_below: int = 0
    drop_below: int = 0
    source_limit: int = 0

    def __post_init__(self) -> None:
        if self.rest not in get_args(Rest):
            raise InputError(f"unknown rest {self.rest!r}: choose one of {', '.join(get_args(Rest))}")
        if self.world < 1 or self.seed < 0:
            raise InputError(f"world {self.world} and seed {self.seed}: give at least 1 and at least 0")


@dataclass(frozen=True, eq=False)
class Plan:
    """The batches of one epoch.

    Attributes:
        epoch: which one.
        rows: numbers of examples, batch after batch.
        offsets: (batches + 1,), where each batch begins in ``rows``.
        sources: (batches,), the source of each batch; the first of them where sources are merged.
        buckets: (batches,), the bucket of each batch.
        world: ranks.
        left_out: how many of the epoch's examples are in no batch.
    """

    epoch: int
    rows: IntArray
    offsets: IntArray
    sources: IntArray
    buckets: IntArray
    world: int
    left_out: int

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, position: int) -> IntArray:
        """Examples of a batch, those of all ranks."""
        if not 0 <= position < len(self):
            raise IndexError(f"there is no batch {position} among {len(self)}")
        return self.rows[self.offsets[position] : self.offsets[position + 1]]

    def of_rank(self, position: int, rank: int) -> IntArray:
        """A rank's own slice of a batch; slices have equal lengths."""
        batch = self[position]
        size = len(batch) // self.world
        return batch[rank * size : (rank + 1) * size]

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits that tell plans apart."""
        content = hashlib.sha256(np.ascontiguousarray(self.rows).tobytes())
        content.update(np.ascontiguousarray(self.offsets).tobytes())
        return content.hexdigest()[:16]


def make_plan(
    lengths: IntArray,
    sources: IntArray,
    options: PlanOptions,
    epoch: int = 0,
    mixable: IntArray | None = None,
) -> Plan:
    """Plan an epoch. Takes about a second for a million examples.

    Args:
        lengths: tokens of each example, see `trivec.train.lengths`.
        sources: a number for each example: where it is from. Examples that cannot share a batch need different ones.
        options: how batches are made up.
        epoch: changes the plan.
        mixable: a number for each source: those with the same number may be merged; None lets all be.

    Raises:
        InputError: the arrays do not fit each other, or there is no batch.
    """
    if lengths.shape != sources.shape or lengths.ndim != 1:
        raise InputError(f"lengths {lengths.shape} and sources {sources.shape}: give one of each for every example")
    rng = np.random.default_rng([options.seed, epoch])
    buckets = options.buckets.buckets_of(lengths)
    drawn = drawn_rows(sources, buckets, options.source_limit, rng)
    parts = _parts(_merged(sources[drawn], buckets[drawn], options, mixable), buckets[drawn], rng)
    parts = [part for part in parts if len(part[2]) >= options.drop_below]
    chunks: list[IntArray] = []
    sources_of: list[int] = []
    buckets_of: list[int] = []
    rest = np.zeros(0, np.int64)
    for number, (source, bucket, rows) in enumerate(parts):
        is_last = number + 1 == len(parts) or parts[number + 1][0] != source
        cut, rest = _cut(np.concatenate([rest, rows]), options, bucket, is_last)
        chunks += cut
        sources_of += [source] * len(cut)
        buckets_of += [bucket] * len(cut)
    if not chunks:
        raise InputError(
            f"{len(lengths)} examples fill no batch of at least {2 * options.world}: give more, or smaller thresholds"
        )
    order = rng.permutation(len(chunks))
    rows = drawn[np.concatenate([chunks[i] for i in order])]
    left_out = len(drawn) - len(rows)
    if left_out:
        logger.info("%d of %d examples are in no batch of epoch %d", left_out, len(drawn), epoch)
    return Plan(
        epoch=epoch,
        rows=rows,
        offsets=np.cumsum([0, *(len(chunks[i]) for i in order)], dtype=np.int64),
        sources=np.asarray(sources_of, np.int64)[order],
        buckets=np.asarray(buckets_of, np.int64)[order],
        world=options.world,
        left_out=left_out,
    )


def _parts(sources: IntArray, buckets: IntArray, rng: np.random.Generator) -> list[tuple[int, int, IntArray]]:
    """(source, bucket, shuffled rows), ordered by source and then by bucket."""
    width = int(buckets.max(initial=0)) + 1
    shuffled = rng.permutation(len(sources))
    keys = (sources * width + buckets)[shuffled]
    order = np.argsort(keys, kind="stable")
    unique, starts = np.unique(keys[order], return_index=True)
    rows = np.split(shuffled[order], starts[1:])
    return [(int(key) // width, int(key) % width, part) for key, part in zip(unique, rows, strict=True)]


def _merged(sources: IntArray, buckets: IntArray, options: PlanOptions, mixable: IntArray | None) -> IntArray:
    """Sources, where those that are small in a bucket have the number of the first that they are merged with."""
    if not options.merge_below or not len(sources):
        return sources
    width = int(buckets.max()) + 1
    unique, inverse, counts = np.unique(sources * width + buckets, return_inverse=True, return_counts=True)
    source, bucket = unique // width, unique % width
    small = counts < options.merge_below
    family = np.zeros(len(unique), np.int64) if mixable is None else np.asarray(mixable, np.int64)[source]
    _, first, member = np.unique(family[small] * width + bucket[small], return_index=True, return_inverse=True)
    source[small] = source[small][first][member]
    merged: IntArray = source[inverse]
    return merged


def _cut(rows: IntArray, options: PlanOptions, bucket: int, is_last: bool) -> tuple[list[IntArray], IntArray]:
    """Full batches, perhaps a smaller one, and what goes up to the next bucket."""
    size, world = options.buckets.batch_sizes[bucket] * options.world, options.world
    full = len(rows) // size
    batches = np.split(rows[: full * size], full) if full else []
    rest = rows[full * size :]
    if options.rest == "up" and not is_last:
        return batches, rest
    kept = len(rest) // world * world
    if options.rest != "drop" and kept >= 2 * world:
        batches.append(rest[:kept])
    return batches, rest[:0]
