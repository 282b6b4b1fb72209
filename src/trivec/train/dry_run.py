"""What a run would do: how its batches come out, and about how much memory a step takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch

from trivec.train.activations import activation_bytes, update_bytes
from trivec.train.feeding import AnyBatch, padded_share
from trivec.train.training import Ready


@dataclass(frozen=True)
class BucketRow:
    """The batches of one bucket in the first epoch.

    Attributes:
        tokens: shortest and longest example, in tokens of its longest text.
        examples: in these batches.
        batches: how many.
        queries: most in a batch, all processes together.
        batch_size: queries to a batch and process, where there are so many.
    """

    tokens: tuple[int, int]
    examples: int
    batches: int
    queries: int
    batch_size: int


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
        memory_bytes: about what the parts of a training step take: "weights", "gradients", "optimiser" (its state),
            "update" (what it needs beside that) and "activations".
        peak_bytes: about the most of them at once, without what torch and its libraries need, some 400 MB.
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
    peak_bytes: int


def dry_run(ready: Ready) -> DryRun:
    """Plan everything and train nothing."""
    survey, plan = ready.survey, ready.batches.plan(0)
    encoder = ready.task.make_encoder(ready.checkpoint)
    weights = [(parameter.numel(), parameter.requires_grad) for parameter in encoder.parameters()]
    trained = sum(size for size, is_trained in weights if is_trained)
    parameters = sum(size for size, _ in weights)
    rows, sizes = [], ready.batches.options.buckets.batch_sizes
    for bucket in np.unique(plan.buckets).tolist():
        positions = np.flatnonzero(plan.buckets == bucket).tolist()
        lengths = np.concatenate([survey.lengths[plan[position]] for position in positions])
        most = max(len(plan[position]) for position in positions)
        rows.append(
            BucketRow((int(lengths.min()), int(lengths.max())), len(lengths), len(positions), most, sizes[bucket])
        )
    on_gpu = torch.cuda.is_available()
    memory = {
        "weights": 4 * parameters,
        "gradients": 4 * trained,
        "optimiser": 8 * trained,
        "update": update_bytes(encoder, on_gpu),
        "activations": activation_bytes(encoder, _largest_batch(ready), ready.options, on_gpu),
    }
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
        memory_bytes=memory,
        peak_bytes=peak_bytes(memory, ready.options.learning.accumulate > 1),
    )


def peak_bytes(memory: Mapping[str, int], accumulates: bool) -> int:
    """The most of `DryRun.memory_bytes` at once.

    Gradients come as activations go, unless a batch before left some to be added to.
    """
    gradients, activations = memory["gradients"], memory["activations"]
    passing = activations + gradients if accumulates else max(activations, gradients)
    return memory["weights"] + memory["optimiser"] + max(passing, gradients + memory["update"])


def _largest_batch(ready: Ready) -> AnyBatch:
    """The one with the most tokens, as far as the lengths tell."""
    plan, lengths = ready.batches.plan(0), ready.survey.lengths
    return ready.batches[(0, max(range(len(plan)), key=lambda position: int(lengths[plan[position]].sum())))]
