"""`train`: from a recipe to a trained model; `resume`: go on with a run that was stopped or killed."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trivec.cache import cache_folder
from trivec.data.bad_lines import BadLines
from trivec.data.prepared import Prepared, prepare
from trivec.encode.checkpoints import Checkpoint
from trivec.errors import InputError
from trivec.train.buckets import BucketOptions
from trivec.train.building import plan_options, training_arguments
from trivec.train.callbacks import ReportCallback, RunCallback, Schedule, in_words
from trivec.train.comparing import Row, comparison
from trivec.train.feeding import PlanLoader, PlannedBatches
from trivec.train.finding_tasks import task_of
from trivec.train.fitting import find_buckets
from trivec.train.interrupts import StopRequest
from trivec.train.live_encoder import LiveModel, MeasuresLive
from trivec.train.model import TrainableEncoder
from trivec.train.presets import fill_schedule, fill_share, fill_sizes, total_steps
from trivec.train.reporting import write_report
from trivec.train.reranker_options import AnyOptions
from trivec.train.runs import RunFolder, checkpoint_step
from trivec.train.step_records import StepRecords
from trivec.train.survey import Survey, TokenizerFile, take_survey
from trivec.train.tasks import Task
from trivec.train.trainer import GroupTrainer, Measuring

logger = logging.getLogger(__name__)

Report = Callable[[str], None]
"""Told what happens, a line at a time."""


@dataclass(frozen=True)
class TrainResult:
    """What a run left.

    Attributes:
        model: folder of the trained model.
        steps: optimiser steps taken in all.
        best_step: whose weights were saved.
        table: rows of the table of before and after.
        report: the HTML page.
    """

    model: Path
    steps: int
    best_step: int
    table: list[Row]
    report: Path


@dataclass(frozen=True, eq=False)
class Ready:
    """A run before its first step: everything that is read and nothing that is written.

    Attributes:
        options: the recipe with everything filled in.
        checkpoint: the model to start from.
        batches: of this rank.
        steps: optimiser steps of the run.
        sets: what to measure on: ``dev`` and ``general``, if there are such.
        bad_lines: what was skipped in the data.
    """

    options: AnyOptions
    checkpoint: Checkpoint
    batches: PlannedBatches
    steps: int
    sets: dict[str, MeasuresLive]
    bad_lines: BadLines

    @property
    def task(self) -> Task:
        """The kind of training."""
        return task_of(self.options)

    @property
    def survey(self) -> Survey:
        """What is trained on."""
        return self.batches.survey

    @property
    def prepared(self) -> Prepared:
        """All examples."""
        return self.batches.prepared


def world() -> tuple[int, int]:
    """This process's rank, and how many there are, as ``torchrun`` says."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def make_ready(options: AnyOptions, show_progress: bool = False, buckets: BucketOptions | None = None) -> Ready:
    """Read the data and plan the run.

    Args:
        options: the recipe.
        show_progress: bars on terminals.
        buckets: batch sizes that ``fit_memory`` gave before; without them it tries.

    Raises:
        InputError: the data or an option cannot be used.
        UnknownModelError: there is no such model.
    """
    task = task_of(options)
    checkpoint = task.find_model()
    rank, ranks = world()
    batching = task.batching(checkpoint, ranks)
    bad = BadLines(options.skip_bad)
    paths = [Path(path).expanduser() for path in options.data]
    prepared = prepare(paths, cache_folder() / "prepared", options.format, bad, show_progress=show_progress)
    options = fill_share(fill_sizes(options, len(prepared)))
    file = TokenizerFile(checkpoint.tokenizer_file, checkpoint.lowercase)
    survey = take_survey(prepared, file, options, batching.lengths, batching.needs_negatives)
    if options.batches.fit_memory is not None and buckets is None:
        buckets = find_buckets(checkpoint, file.tokenizer, options, survey)
    plan = plan_options(options, survey, ranks, buckets)
    batches = PlannedBatches(prepared, survey, plan, batching.collator, rank, batching.masking)
    steps = total_steps(options, len(batches))
    sets = _evaluators(options, survey, checkpoint)
    return Ready(fill_schedule(options, steps), checkpoint, batches, steps, sets, bad)


def train(options: AnyOptions, report: Report = logger.info, show_progress: bool = False) -> TrainResult:
    """Train a model as a new run.

    Args:
        options: the recipe.
        report: told what happens.
        show_progress: bars on terminals.

    Raises:
        InputError: the data or an option cannot be used, or the folder of the run is taken.
        KeyboardInterrupt: it was stopped; the message says how to go on.
    """
    if options.out is None:
        raise InputError("nothing says where the run goes: give --out FOLDER")
    ready = make_ready(options, show_progress)
    if world()[0] == 0:
        RunFolder.create(ready.options)
    return _run(ready, RunFolder(options.out), report, show_progress)


def resume(folder: Path, report: Report = logger.info, show_progress: bool = False) -> TrainResult:
    """Go on with a run from its last whole checkpoint, or from the start if there is none.

    On a CPU, in one process, every further step is bit for bit what it would have been.

    Raises:
        InputError: there is no run, or its data has changed.
        KeyboardInterrupt: it was stopped; the message says how to go on.
    """
    run = RunFolder.open(folder)
    return _run(make_ready(run.options, show_progress, run.buckets), run, report, show_progress)


def _run(ready: Ready, run: RunFolder, report: Report, show_progress: bool) -> TrainResult:
    options = ready.options
    rank, ranks = world()
    report = report if rank == 0 else _silent
    for warning in ready.bad_lines.warnings:
        report(warning)
    encoder = ready.task.make_encoder(ready.checkpoint)
    args = training_arguments(options, run.checkpoints, ready.steps)
    if rank == 0:
        if options.batches.fit_memory is not None:
            run.keep_buckets(ready.batches.options.buckets)
        plan = ready.batches.plan(0).digest
        run.check_data({"data": ready.prepared.fingerprint, "plan": plan, "processes": ranks})
    report(
        f"{len(ready.survey.numbers):,} examples, {len(ready.batches):,} batches an epoch, {ready.steps:,} steps, "
        f"learning rate {options.learning.learning_rate:g}"
    )
    if options.batches.fit_memory is not None:
        report(f"batches within {options.batches.fit_memory:g} GB: {ready.batches.options.buckets.in_words()}")
    with StopRequest(report) as stop:
        trainer, callback = _make_trainer(ready, run, encoder, args, stop, report, show_progress and rank == 0)
        last = _measure_before(trainer, run, ready.sets, report)
        if last is None or checkpoint_step(last) < ready.steps:
            _train_from(trainer, last, run)
        else:
            _take_up(trainer, last)
        if callback.interrupted:
            step = trainer.state.global_step
            raise KeyboardInterrupt(f"stopped at step {step}: go on by trivec train resume {run.path}")
    return _finish(trainer, run, encoder, ready, report)


def _train_from(trainer: GroupTrainer, checkpoint: Path | None, run: RunFolder) -> None:
    import torch

    try:
        trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(f"stopped at once: go on by trivec train resume {run.path}") from stop
    except torch.OutOfMemoryError as error:
        raise InputError(
            f"the device has too little memory at step {trainer.state.global_step + 1}: lower batch_size, or give "
            "split checkpointed"
        ) from error


def _silent(line: str) -> None:
    pass


def _make_trainer(
    ready: Ready,
    run: RunFolder,
    encoder: TrainableEncoder,
    args: Any,  # noqa: ANN401
    stop: StopRequest,
    report: Report,
    show_progress: bool,
) -> tuple[GroupTrainer, RunCallback]:
    options, sets = ready.options, ready.sets
    loss = ready.task.make_loss(encoder)
    records = StepRecords(run if world()[0] == 0 else None)
    schedule = Schedule(
        measure_every=(options.evaluation.evaluate_every or 0) if "dev" in sets else 0,
        save_every=options.run.checkpoint_every or ready.steps,
        log_every=options.run.log_every,
        metric=options.evaluation.metric,
        patience=options.evaluation.patience,
    )
    callback = RunCallback(schedule, stop, records, show_progress)
    trainer = GroupTrainer(
        loss,
        args,
        PlanLoader(ready.batches, options.run.workers),
        run,
        Measuring(sets.get("dev"), LiveModel.of(encoder, loss, args.device)),
        records,
        [callback, ReportCallback(report, options.evaluation.metric)],
        options.run.keep_checkpoints,
        options.learning.head_learning_rate,
    )
    return trainer, callback


def _evaluators(options: AnyOptions, survey: Survey, checkpoint: Checkpoint) -> dict[str, MeasuresLive]:
    """The development set and the general set, if there are such."""
    evaluation, task = options.evaluation, task_of(options)
    judged = survey.dev if evaluation.dev is None else Path(evaluation.dev).expanduser()
    found = {} if judged is None else {"dev": task.evaluator(judged, checkpoint)}
    if evaluation.general is not None:
        found["general"] = task.evaluator(Path(evaluation.general).expanduser(), checkpoint)
    return found


def _measure_before(
    trainer: GroupTrainer, run: RunFolder, sets: dict[str, MeasuresLive], report: Report
) -> Path | None:
    """The checkpoint to go on from; without one, every set is measured with the untrained model."""
    trainer.accelerator.wait_for_everyone()
    last = run.last_checkpoint()
    if trainer.is_world_process_zero():
        run.forget_after(-1 if last is None else checkpoint_step(last))
    trainer.accelerator.wait_for_everyone()
    if last is not None:
        report(f"going on from step {checkpoint_step(last)}")
        return last
    for name, evaluator in sets.items():
        values = trainer.measure(evaluator)
        trainer.record("measurement", name, values)
        report(f"before, {name}: {in_words(values, 'nDCG@10')}")
    return None


def _take_up(trainer: GroupTrainer, checkpoint: Path) -> None:
    """The weights and the state of a run that had come to its last step."""
    from transformers import TrainerState
    from transformers.trainer import TRAINER_STATE_NAME

    trainer._load_from_checkpoint(str(checkpoint))
    trainer.state = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME))


def _finish(
    trainer: GroupTrainer,
    run: RunFolder,
    encoder: TrainableEncoder,
    ready: Ready,
    report: Report,
) -> TrainResult:
    """Measure the best weights, and save them."""
    steps = trainer.state.global_step
    best = trainer.load_best()
    for name, evaluator in ready.sets.items():
        values = trainer.measure(evaluator)
        trainer.record("final", name, values)
        report(f"after, {name}: {in_words(values, 'nDCG@10')}")
    table: list[Row] = []
    whole = trainer.gathered_weights()
    if trainer.is_world_process_zero():
        if whole is not None:
            encoder = ready.task.make_encoder(ready.checkpoint)
            encoder.load_state_dict(whole)
        ready.task.save(encoder, run.path)
        table = comparison(run.records())
        write_report(run, table)
    trainer.accelerator.wait_for_everyone()
    return TrainResult(run.model, steps, steps if best is None else best, table, run.report)
