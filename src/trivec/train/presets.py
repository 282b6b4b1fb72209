"""What the size of the data decides: batch size, epochs and learning rate, where the recipe leaves them open.

Few examples are seen often, in small batches, so that there are some hundred steps at all; many are seen once, in the
batches of the paper (48 queries of a device, M3-Embedding table 9), whose negatives are worth more than another epoch.
The learning rate of the reference's fine-tuning, 1e-5, is for long runs; short ones need twice that to arrive.
Low-rank updates and heads by themselves start from (nearly) nothing, so they take 10 and 100 times as large steps.

Rerankers have no negatives in the batch, so theirs are smaller; their learning rate is that of the reference's example
where data is little, and what is common for cross-encoders where it is much.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from trivec.train.options import TrainOptions
from trivec.train.reranker_options import AnyOptions

Options = TypeVar("Options", bound=AnyOptions)


@dataclass(frozen=True)
class Preset:
    """For data of up to ``examples`` examples."""

    examples: float
    batch_size: int
    epochs: float
    learning_rate: float


PRESETS = (
    Preset(2_000, batch_size=16, epochs=5, learning_rate=2e-5),
    Preset(20_000, batch_size=32, epochs=3, learning_rate=2e-5),
    Preset(200_000, batch_size=48, epochs=2, learning_rate=1e-5),
    Preset(math.inf, batch_size=48, epochs=1, learning_rate=1e-5),
)
RERANKER_PRESETS = (
    Preset(2_000, batch_size=8, epochs=4, learning_rate=6e-5),
    Preset(20_000, batch_size=16, epochs=2, learning_rate=6e-5),
    Preset(200_000, batch_size=16, epochs=1, learning_rate=2e-5),
    Preset(math.inf, batch_size=32, epochs=1, learning_rate=2e-5),
)
LORA_FACTOR, HEADS_FACTOR = 10, 100
_TIMES = 10
"""Measurements and checkpoints over a run."""

_HELD_OUT_SHARE = 0.05


def fill_sizes(options: Options, examples: int) -> Options:
    """The options with batch size, epochs and learning rates filled in."""
    is_encoder = isinstance(options, TrainOptions)
    preset = next(preset for preset in (PRESETS if is_encoder else RERANKER_PRESETS) if examples <= preset.examples)
    freezes = isinstance(options, TrainOptions) and options.freeze
    factor = HEADS_FACTOR if freezes else LORA_FACTOR if options.lora.lora_rank else 1
    learning, batches = options.learning, options.batches
    if learning.learning_rate is None:
        learning = replace(learning, learning_rate=preset.learning_rate * factor)
    if learning.epochs is None and learning.steps is None:
        learning = replace(learning, epochs=preset.epochs)
    if batches.batch_size is None and batches.batch_tokens is None and batches.fit_memory is None:
        batches = replace(batches, batch_size=preset.batch_size)
    return replace(options, learning=learning, batches=batches)


def fill_share(options: Options) -> Options:
    """The options with the share of held-out examples filled in."""
    evaluation: Any = options.evaluation
    if evaluation.dev_share is not None:
        return options
    share = 0.0 if evaluation.dev is not None else _HELD_OUT_SHARE
    return replace(options, evaluation=replace(evaluation, dev_share=share))


def total_steps(options: AnyOptions, batches: int) -> int:
    """Optimiser steps of the run, when an epoch has so many batches."""
    if options.learning.steps is not None:
        return options.learning.steps
    per_epoch = math.ceil(batches / options.learning.accumulate)
    return max(1, math.ceil((options.learning.epochs or 1) * per_epoch))


def fill_schedule(options: Options, steps: int) -> Options:
    """The options with everything filled in that hangs on the number of steps."""
    often = max(1, steps // _TIMES)
    changes: dict[str, Any] = {}
    if isinstance(options, TrainOptions) and options.loss.distill_from_step is None:
        changes["loss"] = replace(options.loss, distill_from_step=steps // _TIMES)
    if options.evaluation.evaluate_every is None:
        changes["evaluation"] = replace(options.evaluation, evaluate_every=often)
    if options.run.checkpoint_every is None:
        changes["run"] = replace(options.run, checkpoint_every=often)
    return replace(options, **changes)
