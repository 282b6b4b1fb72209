"""What a run would do: how its batches come out, and about how much memory a step takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from trivec.train.building import make_encoder, split_options
from trivec.train.feeding import padded_share
from trivec.train.model import TrainableEncoder
from trivec.train.training import Ready

_FULL_LAYER, _LEAN_LAYER = 17, 1
"""Values of width h that a transformer layer keeps for each token until its backward pass: all of them
(Korthikanti et al. 2022, 2205.05198, section 4.1, without the attention matrix), or its input alone."""


@dataclass(frozen=True)
class BucketRow:
    """The batches of one bucket in the first epoch.

    Attributes:
        tokens: shortest and longest example, in tokens of its longest text.
        examples: in these batches.
        batches: how many.
        queries: most in a batch, all processes together.
    """

    tokens: tuple[int, int]
    examples: int
    batches: int
    queries: int


@dataclass(frozen=True)
class DryRun:
    """What a run would do.

    Attributes:
        examples: trained on.
        held_out: for measuring.
        left_out: of the first epoch, because they fill no batch.
        batches: an epoch.
        steps: of the optimiser, in all.
        padded_share: of the tokens in batches, by a sample.
        buckets: the batches by length.
        parameters: of the model.
        trained: how many of them are trained.
        memory_bytes: about what a training step takes, by its parts; without what torch and its libraries need.
    """

    examples: int
    held_out: int
    left_out: int
    batches: int
    steps: int
    padded_share: float
    buckets: tuple[BucketRow, ...]
    parameters: int
    trained: int
    memory_bytes: Mapping[str, int]


def dry_run(ready: Ready) -> DryRun:
    """Plan everything and train nothing."""
    survey, plan = ready.survey, ready.batches.plan(0)
    encoder = make_encoder(ready.checkpoint, ready.options)
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in encoder.parameters()]
    trained = sum(size for size, is_trained in sizes if is_trained)
    parameters = sum(size for size, _ in sizes)
    rows = []
    for bucket in np.unique(plan.buckets).tolist():
        positions = np.flatnonzero(plan.buckets == bucket).tolist()
        lengths = np.concatenate([survey.lengths[plan[position]] for position in positions])
        most = max(len(plan[position]) for position in positions)
        rows.append(BucketRow((int(lengths.min()), int(lengths.max())), len(lengths), len(positions), most))
    memory = {"weights": 4 * parameters, "gradients": 4 * trained, "optimiser": 8 * trained}
    return DryRun(
        examples=len(survey.numbers),
        held_out=len(ready.prepared) - len(survey.numbers),
        left_out=plan.left_out,
        batches=len(plan),
        steps=ready.steps,
        padded_share=padded_share(ready.batches),
        buckets=tuple(rows),
        parameters=parameters,
        trained=trained,
        memory_bytes={**memory, "activations": activation_bytes(encoder, ready)},
    )


def activation_bytes(encoder: TrainableEncoder, ready: Ready) -> int:
    """About what the activations of the largest batch take, scores not counted."""
    options = ready.options
    if encoder.encoder_frozen:
        return 0
    plan, lengths = ready.batches.plan(0), ready.survey.lengths
    largest = max(range(len(plan)), key=lambda position: int(lengths[plan[position]].sum()))
    batch = ready.batches[(0, largest)]
    tokens = int(batch.queries.mask.sum() + batch.passages.mask.sum())
    split = split_options(options)
    if split.mode != "whole":
        tokens = min(tokens, split.max_tokens)
    kept = _LEAN_LAYER if options.run.gradient_checkpointing else _FULL_LAYER
    value_bytes = 4 if options.run.precision == "float32" else 2
    config = encoder.config
    layers = config.num_hidden_layers - encoder.frozen_layers
    return int(tokens * layers * kept * config.hidden_size * value_bytes)
