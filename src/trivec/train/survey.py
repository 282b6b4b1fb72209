"""One pass over the training data: which examples are trained on, how long they are, and what may share a batch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from trivec.data.examples import Example
from trivec.data.prepared import Prepared
from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedSet, from_examples, held_out
from trivec.tensorfile import memory_map, write_tensors
from trivec.train.lengths import measure_lengths
from trivec.train.options import TrainOptions
from trivec.train.plan import Plan, PlanOptions, make_plan
from trivec.train.sampling import passages_drawn
from trivec.types import IntArray

_MOST_HELD_OUT = 500
"""Queries: their nDCG is then known to about 0.01."""


@dataclass(frozen=True)
class TokenizerFile:
    """A tokenizer, and what it was read from."""

    path: Path
    lowercase: bool

    @property
    def tokenizer(self) -> TextTokenizer:
        """Read it."""
        return TextTokenizer.from_file(self.path, self.lowercase)


@dataclass(frozen=True, eq=False)
class Survey:
    """What a plan is made of. The examples are rows 0 to n - 1; ``numbers`` says which of the prepared ones they are.

    Attributes:
        numbers: (n,), ascending.
        lengths: (n,), tokens of the longest text of each.
        sources: (n,), what may be in one batch has the same number: a data set, groups of one size, one way with
            negatives.
        mixable: (sources,), sources of one number may be merged where they are small.
        largest_group: most passages that an example gives to a batch.
        dev: what was held out, or None.
    """

    numbers: IntArray
    lengths: IntArray
    sources: IntArray
    mixable: IntArray
    largest_group: int
    dev: JudgedSet | None

    def plan(self, options: PlanOptions, epoch: int) -> Plan:
        """The batches of an epoch; their rows are those of the survey."""
        return make_plan(self.lengths, self.sources, options, epoch, self.mixable)


def take_survey(
    prepared: Prepared, tokenizer_file: TokenizerFile, options: TrainOptions, query_length: int, passage_length: int
) -> Survey:
    """Look at every example once. Lengths are kept beside the data, for the next time.

    Raises:
        InputError: nothing is left to train on, or a teacher is asked for that some examples lack.
    """
    evaluation = options.evaluation
    out: frozenset[int] = frozenset()
    if evaluation.dev_share:
        out = held_out((example.query for example in prepared), evaluation.dev_share, _MOST_HELD_OUT)
    numbers = np.asarray([number for number in range(len(prepared)) if number not in out], np.int64)
    if not len(numbers):
        raise InputError(f"all {len(prepared)} examples are held out: lower dev_share {evaluation.dev_share}")
    lengths = _lengths(prepared, tokenizer_file, query_length, passage_length)[numbers]
    sources, mixable, largest_group = _sources(prepared, numbers, options)
    dev = _held_out_set(prepared, sorted(out), numbers, evaluation.dev_passages) if out else None
    return Survey(numbers, lengths, sources, mixable, largest_group, dev)


def _lengths(prepared: Prepared, tokenizer_file: TokenizerFile, query_length: int, passage_length: int) -> IntArray:
    """Of all examples, those that are held out too."""
    made_from = (
        f"{query_length} {passage_length} {tokenizer_file.lowercase} ".encode() + tokenizer_file.path.read_bytes()
    )
    place = prepared.folder / f"lengths-{hashlib.sha256(made_from).hexdigest()[:16]}.safetensors"
    if not place.is_file():
        lengths = measure_lengths(prepared, tokenizer_file.tokenizer, query_length, passage_length)
        write_tensors(place, {"lengths": lengths}, {})
    kept: dict[str, Any] = memory_map(place)
    return np.asarray(kept["lengths"], np.int64)


def _sources(prepared: Prepared, numbers: IntArray, options: TrainOptions) -> tuple[IntArray, IntArray, int]:
    """The source of each example, the family of each source, and the size of the largest group."""
    sources: dict[tuple[int, bool, int], int] = {}
    found: list[int] = []
    for number in numbers.tolist():
        example = prepared[number]
        if options.loss.teacher != "none" and not _is_scored(example):
            raise InputError(
                f"{example.place}: no teacher scores: give pos_scores and neg_scores, or leave out the teacher"
            )
        size = passages_drawn(example, options.batches.group_size)
        kind = (prepared.dataset_of(number), example.in_batch_negatives, size)
        found.append(sources.setdefault(kind, len(sources)))
    families: dict[tuple[bool, int], int] = {}
    mixable = [families.setdefault(kind[1:], len(families)) for kind in sources]
    largest = max(size for _, _, size in sources)
    return np.asarray(found, np.int64), np.asarray(mixable, np.int64), largest


def _is_scored(example: Example) -> bool:
    return example.positive_scores is not None and (example.negative_scores is not None or not example.negatives)


def _held_out_set(prepared: Prepared, out: list[int], numbers: IntArray, passages: int) -> JudgedSet:
    """The held-out examples; every so many-th training example adds its passages, up to a number of all."""
    examples = [prepared[number] for number in out]
    own = len({text for example in examples for text in (*example.positives, *example.negatives)})
    step = max(1, len(numbers) // max(1, passages - own))
    chosen = numbers[::step][: max(0, passages - own)].tolist()
    return from_examples("held out", examples, (prepared[number].positives[0] for number in chosen))
