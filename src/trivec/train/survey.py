"""One pass over the training data: which examples are trained on, how long they are, and what may share a batch."""

from __future__ import annotations

import hashlib
import logging
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
from trivec.train.lengths import Lengths
from trivec.train.plan import Plan, PlanOptions, make_plan
from trivec.train.reranker_options import AnyOptions
from trivec.train.sampling import passages_drawn
from trivec.types import IntArray

logger = logging.getLogger(__name__)

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
        lengths: (n,), tokens of the longest text of each, or of the longest pair.
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
    prepared: Prepared,
    tokenizer_file: TokenizerFile,
    options: AnyOptions,
    lengths_of: Lengths,
    needs_negatives: bool = False,
) -> Survey:
    """Look at every example once. Lengths are kept beside the data, for the next time.

    Args:
        prepared: all examples.
        tokenizer_file: of the model.
        options: of the run.
        lengths_of: measures examples.
        needs_negatives: whether a query is told from its own negatives alone, so that nothing is learned without any.
            Those of held-out examples are judged as wrong.

    Raises:
        InputError: nothing is left to train on, or a teacher or negatives are asked for that some examples lack.
    """
    evaluation = options.evaluation
    out: frozenset[int] = frozenset()
    if evaluation.dev_share:
        out = held_out((example.query for example in prepared), evaluation.dev_share, _MOST_HELD_OUT)
    numbers = np.asarray([number for number in range(len(prepared)) if number not in out], np.int64)
    if not len(numbers):
        raise InputError(f"all {len(prepared)} examples are held out: lower dev_share {evaluation.dev_share}")
    if needs_negatives:
        numbers = _with_negatives(prepared, numbers, options.skip_bad)
    lengths = _lengths(prepared, tokenizer_file, lengths_of)[numbers]
    sources, mixable, largest_group = _sources(prepared, numbers, options)
    dev = _held_out_set(prepared, sorted(out), numbers, evaluation.dev_passages, needs_negatives) if out else None
    return Survey(numbers, lengths, sources, mixable, largest_group, dev)


def _with_negatives(prepared: Prepared, numbers: IntArray, skips: bool) -> IntArray:
    """The examples that have any."""
    kept = []
    for number in numbers.tolist():
        example = prepared[number]
        if example.negatives:
            kept.append(number)
        elif not skips:
            raise InputError(
                f"{example.place}: no negatives, and nothing else tells a reranker what is wrong: add some by trivec "
                "mine, or give skip_bad to leave such examples out"
            )
    if not kept:
        raise InputError(f"none of {len(numbers)} examples has negatives: add some by trivec mine")
    if len(kept) < len(numbers):
        logger.warning("%d examples have no negatives and were left out", len(numbers) - len(kept))
    return np.asarray(kept, np.int64)


def _lengths(prepared: Prepared, tokenizer_file: TokenizerFile, lengths_of: Lengths) -> IntArray:
    """Of all examples, those that are held out too."""
    made_from = f"{lengths_of.key} {tokenizer_file.lowercase} ".encode() + tokenizer_file.path.read_bytes()
    place = prepared.folder / f"lengths-{hashlib.sha256(made_from).hexdigest()[:16]}.safetensors"
    if not place.is_file():
        write_tensors(place, {"lengths": lengths_of(prepared, tokenizer_file.tokenizer)}, {})
    kept: dict[str, Any] = memory_map(place)
    return np.asarray(kept["lengths"], np.int64)


def _sources(prepared: Prepared, numbers: IntArray, options: AnyOptions) -> tuple[IntArray, IntArray, int]:
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


def _held_out_set(
    prepared: Prepared, out: list[int], numbers: IntArray, passages: int, judges_negatives: bool
) -> JudgedSet:
    """The held-out examples; every so many-th training example adds its passages, up to a number of all."""
    examples = [prepared[number] for number in out]
    own = len({text for example in examples for text in (*example.positives, *example.negatives)})
    step = max(1, len(numbers) // max(1, passages - own))
    chosen = numbers[::step][: max(0, passages - own)].tolist()
    more = (prepared[number].positives[0] for number in chosen)
    return from_examples("held out", examples, more, judges_negatives)
