"""Batch sizes that fit into memory, found by whole training steps on made-up texts.

On a GPU torch keeps the peak itself. On a CPU its own record of allocations is added up: the resident size of the
process would say little of a step, since memory that a larger one gave back stays with the process, and pages of the
model's file come and go. The record is also the same in every run. It leaves out what libraries take for themselves,
some hundred megabytes.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from trivec.encode.checkpoints import Checkpoint
from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import InputError
from trivec.train.buckets import BucketOptions, fit_batch_sizes
from trivec.train.building import training_arguments
from trivec.train.feeding import AnyBatch
from trivec.train.finding_tasks import task_of
from trivec.train.reranker_options import AnyOptions
from trivec.train.scores import DEFAULT_SCORING
from trivec.train.survey import Survey

logger = logging.getLogger(__name__)

_LARGEST = 1024
"""Queries to a batch, where no batch size is given."""

_SCRATCH = 4 * DEFAULT_SCORING.block_bytes / 1e9
"""GB, more than any scores take beside themselves."""


def find_buckets(
    checkpoint: Checkpoint, tokenizer: TextTokenizer, options: AnyOptions, survey: Survey
) -> BucketOptions:
    """The largest batches whose step stays within ``options.batches.fit_memory``, for each bucket of the data.

    The first process tries, and tells all others; each of them must call this.

    Raises:
        InputError: not even one query fits, or the device does not say what it takes.
    """
    args = training_arguments(options, Path("checkpoints"), 1)  # as in the run: the same device, and processes meet
    found: list[BucketOptions | None] = [None]
    if args.process_index == 0:
        trial = StepTrial(checkpoint, tokenizer, options, survey.largest_group, args.device, args.world_size)
        found = [_fit(trial, options, survey)]
    if args.world_size > 1:
        torch.distributed.broadcast_object_list(found, src=0, device=args.device)
    assert found[0] is not None
    return found[0]


def _fit(trial: StepTrial, options: AnyOptions, survey: Survey) -> BucketOptions:
    """Buckets that are in the data, each up to the longest text that it really has."""
    assert options.batches.fit_memory is not None
    buckets = BucketOptions().buckets_of(survey.lengths)
    longest = [int(survey.lengths[buckets == bucket].max()) for bucket in np.unique(buckets)]
    bounds = (0, *(length + 1 for length in longest[:-1]))
    largest = options.batches.batch_size or min(_LARGEST, len(survey.numbers))
    return fit_batch_sizes(trial, options.batches.fit_memory, longest[-1], bounds, largest)


class StepTrial:
    """Takes training steps on made-up texts, and says what they took. Called as `fit_batch_sizes` wants it.

    A step is all that a run does: forward, backward (twice, if batches are accumulated) and the optimiser. The model
    is loaded for this alone, and none is trained: the learning rate is 0. Vectors of other processes' passages, and
    sharded weights, are not in it.

    Args:
        checkpoint: the model to start from.
        tokenizer: the model's.
        options: of the run; its limit is ``batches.fit_memory``.
        group_size: most passages a query.
        device: where it is trained.
        processes: that share each batch; several keep a second copy of the gradients.

    Raises:
        InputError: the device does not say what was taken.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        tokenizer: TextTokenizer,
        options: AnyOptions,
        group_size: int,
        device: torch.device,
        processes: int = 1,
    ) -> None:
        if device.type not in ("cpu", "cuda"):
            raise InputError(f"fit_memory cannot tell what a step takes on {device.type}: give batch_tokens instead")
        self._loss, self._batch = task_of(options).trial(checkpoint, tokenizer, group_size)
        self._loss.to(device)
        trained = [parameter for parameter in self._loss.parameters() if parameter.requires_grad]
        self._optimizer = torch.optim.AdamW(trained, lr=0.0)
        self._copied = _bytes(trained) if processes > 1 else 0
        self._options, self._group_size, self._device = options, group_size, device
        self._tried: dict[int, dict[int, float]] = {}
        for _ in range(2):  # the first makes the optimiser's state, which stays
            self._fixed = self._peak(1, 4)

    def __call__(self, queries: int, tokens: int) -> float:
        """The most memory that a step takes, in GB.

        Raises:
            MemoryError: it is sure to take more than the limit, and was not tried.
        """
        limit = self._options.batches.fit_memory
        tried = self._tried.setdefault(tokens, {0: self._fixed})
        if len(tried) == 1 and queries > 1:  # half of the first is known to fit, and says what to expect
            tried[queries // 2] = self._peak(queries // 2, tokens)
        if limit is not None and self._least(queries, tokens) > limit:
            raise MemoryError
        tried[queries] = peak = self._peak(queries, tokens)
        logger.info("a batch of %d queries with %d tokens takes %.2f GB", queries, tokens, peak)
        return peak

    def _least(self, queries: int, tokens: int) -> float:
        """What a step is sure to take, by those of smaller batches: without the scratch of scores, it grows evenly.

        On a CPU nothing else keeps a try from taking all of the machine's memory. Batches that are encoded in parts
        grow evenly once they have several.
        """
        split = self._options.batches
        several = 0 if split.split == "off" else split.split_tokens / (self._group_size * tokens)
        smaller = [(size, peak) for size, peak in self._tried[tokens].items() if several <= size < queries]
        if len(smaller) < 2:
            return 0.0
        (size, peak), (largest, most) = sorted(smaller)[-2:]
        return most + (most - peak - _SCRATCH) / (largest - size) * (queries - largest)

    def _peak(self, queries: int, tokens: int) -> float:
        self._optimizer.zero_grad()  # where the last one did not fit, there are some
        batch = self._batch(queries, tokens)
        devices = [self._device] if self._device.type == "cuda" else []
        with torch.random.fork_rng(devices):
            torch.manual_seed(0)  # what is dropped decides how many words weigh anything
            if not devices:
                peak = self._held() + added_bytes(lambda: self._step(batch))
            else:
                torch.cuda.empty_cache()
                torch.cuda.reset_peak_memory_stats(self._device)
                self._step(batch)
                peak = torch.cuda.max_memory_allocated(self._device)
        return (peak + self._copied) / 1e9

    def _held(self) -> int:
        """Weights and the optimiser's state."""
        states = [value for state in self._optimizer.state.values() for value in state.values()]
        return _bytes([*self._loss.parameters(), *self._loss.buffers(), *states])

    def _step(self, batch: AnyBatch) -> None:
        precision = torch.float16 if self._options.run.precision == "fp16" else torch.bfloat16
        batch = batch.to(self._device)
        for _ in range(min(2, self._options.learning.accumulate)):
            with torch.autocast(self._device.type, precision, self._options.run.precision != "float32"):
                loss, _parts = self._loss(batch)
            loss.backward()
            del loss, _parts
        self._optimizer.step()
        self._optimizer.zero_grad()


def added_bytes(run: Callable[[], object]) -> int:
    """The most that torch held at once on the CPU during a call, above what it held before."""
    os.environ.setdefault("KINETO_LOG_LEVEL", "99")  # else the recorder writes two lines to the terminal each time
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as record:
        run()
    assert record.profiler is not None and record.profiler.kineto_results is not None
    events = [event for event in record.profiler.kineto_results.events() if event.name() == "[memory]"]
    held = peak = 0
    for event in sorted(events, key=lambda event: event.start_ns()):
        held += event.nbytes()
        peak = max(peak, held)
    return peak


def _bytes(tensors: Sequence[Tensor]) -> int:
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors)
