"""From a recipe to the parts of a run.

The model, the objective and the batches are those of an encoder; the plan, the parts that batches are encoded in, and
the arguments of transformers' Trainer are those of any run.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from transformers import TrainingArguments

from trivec.encode.checkpoints import Checkpoint
from trivec.encode.loading import find_checkpoint, fingerprint
from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import InputError
from trivec.train.buckets import BucketOptions
from trivec.train.collate import CollateOptions, Collator
from trivec.train.lora import LoraOptions
from trivec.train.model import TrainableEncoder
from trivec.train.objectives import (
    M3,
    HeadWeights,
    M3Options,
    Matryoshka,
    MatryoshkaOptions,
    Objective,
    early_version,
)
from trivec.train.objectives.m3 import LossName
from trivec.train.option_groups import LoraFields
from trivec.train.options import TrainOptions
from trivec.train.plan import PlanOptions
from trivec.train.reranker_options import AnyOptions
from trivec.train.segment_shuffle import SegmentShuffle
from trivec.train.split_batch import Mode, SplitOptions
from trivec.train.survey import Survey

_PAPER_BATCH = 48
"""Queries of a device in the shortest bucket of the paper's table."""

_LOSSES: dict[str, LossName] = {"none": "info_nce", "kl": "teacher_kl", "ranks": "teacher_ranks"}
_MODES: dict[str, Mode] = {"off": "whole", "checkpointed": "checkpointed", "cached": "cached"}


def find_model(options: TrainOptions) -> Checkpoint:
    """The model to start from.

    Raises:
        UnknownModelError: it is nowhere.
    """
    checkpoint = find_checkpoint(options.model, precision="float32")
    changes: dict[str, Any] = {"sparse_terms": options.sparse_terms, "pooling": options.pooling}
    return replace(checkpoint, **{name: value for name, value in changes.items() if value is not None})


def make_encoder(checkpoint: Checkpoint, options: TrainOptions) -> TrainableEncoder:
    """The model, ready to be trained."""
    encoder = TrainableEncoder.from_checkpoint(
        checkpoint,
        options.heads,
        options.multi_width,
        freeze_encoder=options.freeze,
        lora=lora_options(options.lora),
        seed=options.run.seed,
        freeze_embeddings=options.freeze_embeddings,
        freeze_layers=options.freeze_layers,
        remember=None
        if options.remember is None
        else _states_folder(options.remember.expanduser(), checkpoint, options),
        dropout=options.dropout,
        max_length=options.positions,
        extension=options.position_filling,
    )
    if options.run.gradient_checkpointing:
        encoder.gradient_checkpointing_enable()
    return encoder


def lora_options(fields: LoraFields) -> LoraOptions | None:
    """Low-rank updates, if there shall be any."""
    if not fields.lora_rank:
        return None
    return LoraOptions(fields.lora_rank, fields.lora_alpha, fields.lora_dropout, fields.lora_layers)


def _states_folder(folder: Path, checkpoint: Checkpoint, options: TrainOptions) -> Path:
    """A folder of its own for each model, number of layers, precision and table of positions."""
    layers = "all" if options.freeze else options.freeze_layers
    parts = [fingerprint(checkpoint).digest[:16], layers, options.run.precision]
    if options.positions is not None:
        parts += [options.position_filling, options.positions]
    return folder / "-".join(map(str, parts))


def text_lengths(checkpoint: Checkpoint, options: TrainOptions) -> tuple[int, int]:
    """Most tokens of a query and of a passage.

    Raises:
        InputError: the model does not take so many.
    """
    window = max(checkpoint.max_length, options.positions or 0)
    lengths = options.batches.query_length or window, options.batches.passage_length or window
    for name, length in zip(("query_length", "passage_length"), lengths, strict=True):
        if length > window:
            raise InputError(
                f"{name} is {length}, and {checkpoint.name} takes {window} tokens: lower it, or give positions {length}"
            )
    return lengths


def make_objective(options: TrainOptions) -> Objective:
    """What is minimised. ``distill_from_step`` must be filled in."""
    loss = options.loss
    constants = M3Options(heads=options.heads) if loss.distillation != "early" else early_version(options.heads)
    if loss.distillation != "early":
        constants = replace(
            constants,
            ensemble_weights=HeadWeights(*loss.ensemble_weights),
            loss_weights=HeadWeights(*loss.loss_weights),
        )
    constants = replace(
        constants,
        loss=_LOSSES[loss.teacher],
        temperature=loss.temperature,
        teacher_temperature=loss.teacher_temperature,
        distill_from_step=None if loss.distillation == "none" else loss.distill_from_step,
    )
    objective = M3(constants)
    return Matryoshka(objective, MatryoshkaOptions(loss.dimensions)) if loss.dimensions else objective


def split_options(options: AnyOptions) -> SplitOptions:
    """How batches are encoded in parts."""
    return SplitOptions(_MODES[options.batches.split], options.batches.split_tokens)


def plan_options(options: AnyOptions, survey: Survey, world: int, buckets: BucketOptions | None = None) -> PlanOptions:
    """How batches are made up. Sources that fill no batch by themselves share one with others of their kind.

    Args:
        options: of the run.
        survey: what is trained on.
        world: processes.
        buckets: those that were found by trying; None makes them as the options say.
    """
    buckets = buckets or _given_buckets(options, survey)
    smallest = max(buckets.batch_sizes) * world
    limit = options.batches.source_limit
    return PlanOptions(buckets, options.run.seed, world, rest="keep", merge_below=smallest, source_limit=limit)


def _given_buckets(options: AnyOptions, survey: Survey) -> BucketOptions:
    batches = options.batches
    if batches.batch_tokens is not None:
        longest = int(survey.lengths.max())
        return BucketOptions.token_budget(max(1, batches.batch_tokens // options.texts_per_query), longest)
    assert batches.batch_size is not None
    return BucketOptions.paper(scale=batches.batch_size / _PAPER_BATCH)


def make_collator(checkpoint: Checkpoint, tokenizer: TextTokenizer, pad_id: int, options: TrainOptions) -> Collator:
    """What makes batches of examples."""
    query_length, passage_length = text_lengths(checkpoint, options)
    collating = CollateOptions(
        group_size=options.batches.group_size,
        query_length=query_length,
        passage_length=passage_length,
        query_prompt=checkpoint.query_prompt,
        document_prompt=checkpoint.document_prompt,
        shuffle=SegmentShuffle(options.batches.segment_shuffle),
        seed=options.run.seed,
        marks_duplicates=options.loss.duplicates == "mask",
    )
    return Collator(tokenizer, pad_id, collating)


def training_arguments(options: AnyOptions, checkpoints: Path, steps: int) -> TrainingArguments:
    """The arguments of transformers' Trainer. Measuring and saving are left to our callbacks."""
    learning, run = options.learning, options.run
    assert learning.learning_rate is not None
    others: dict[str, Any] = {"bf16": run.precision == "bf16", "fp16": run.precision == "fp16"}
    return TrainingArguments(
        output_dir=str(checkpoints),
        max_steps=steps,
        learning_rate=learning.learning_rate,
        lr_scheduler_type="constant_with_warmup" if learning.schedule == "constant" else learning.schedule,
        warmup_steps=round(learning.warmup * steps),
        weight_decay=learning.weight_decay,
        max_grad_norm=learning.max_gradient,
        gradient_accumulation_steps=learning.accumulate,
        optim="adamw_torch",
        seed=run.seed,
        logging_strategy="no",
        eval_strategy="no",
        save_strategy="no",
        report_to=list(run.trackers) or "none",
        run_name=checkpoints.parent.name,
        disable_tqdm=True,
        remove_unused_columns=False,
        dataloader_num_workers=run.workers,
        ddp_find_unused_parameters=False,
        use_cpu=not torch.cuda.is_available() and not torch.backends.mps.is_available(),
        **others,
    )
