"""Groups of options that kinds of training share: the loss, learning, batches, LoRA, measuring and the run.

Nothing here needs torch, so that the command line can tell its options quickly. None means that the size of the data
decides (`trivec.train.presets`), or the model.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeAlias

from cyclopts import Group, Parameter

from trivec.errors import InputError

Layout: TypeAlias = Literal["trivec", "bge-m3", "sentence-transformers"]
Several = Parameter(consume_multiple=True)

MEASURES = ("nDCG@10", "R@100", "RR@10")
"""What is measured, by the names of ir-measures."""

LOSS_GROUP = Group("Loss", sort_key=2)
_LEARNING = Group("Learning", sort_key=3)
_BATCHES = Group("Batches", sort_key=4)
_LORA = Group("LoRA", sort_key=5)
EVALUATION_GROUP = Group("Evaluation", sort_key=6)
RUN_GROUP = Group("Run", sort_key=7)


def at_least(name: str, value: float | None, least: float) -> None:
    """Refuse a value below the least; None is no value.

    Raises:
        InputError: naming it.
    """
    if value is not None and value < least:
        raise InputError(f"{name} must be at least {least:g}, got {value:g}")


@Parameter(name="*", group=LOSS_GROUP)
@dataclass(frozen=True)
class LossFields:
    """What is minimised."""

    temperature: float = 0.02
    """Scores are divided by it."""

    distillation: Literal["self", "early", "none"] = "self"
    """self: the heads learn from their weighted sum (M3-Embedding); early:
    that of the paper's first version; none."""

    distill_from_step: int | None = None
    """Optimiser steps before self-distillation begins. Without it: a tenth of
    all steps."""

    ensemble_weights: tuple[float, float, float] = (1.0, 0.3, 1.0)
    """Of dense, sparse and multi in their sum."""

    loss_weights: tuple[float, float, float] = (1.0, 0.1, 1.0)
    """Of the losses of dense, sparse and multi."""

    teacher: Literal["none", "kl", "ranks"] = "none"
    """How teacher scores of the data are learned from: not at all, their
    distribution beside the labels, or their order instead of the labels."""

    teacher_temperature: float = 1.0
    """Teacher scores are divided by it."""

    negatives: Literal["all", "dense", "own"] = "all"
    """With several processes, whose passages are negatives: those of all, of
    all for the dense head alone, or each process's own."""

    duplicates: Literal["mask", "keep"] = "mask"
    """Passages of the batch that are known to be right for a query: mask takes
    them out of its negatives."""

    dimensions: Annotated[tuple[int, ...], Several] = ()
    """Train these shortened widths of the dense vector too (Matryoshka)."""

    def __post_init__(self) -> None:
        at_least("temperature", self.temperature, 1e-6)
        at_least("teacher_temperature", self.teacher_temperature, 1e-6)
        for name in ("ensemble_weights", "loss_weights"):
            at_least(name, min(getattr(self, name)), 0)
        at_least("distill_from_step", self.distill_from_step, 0)
        for width in self.dimensions:
            at_least("dimensions", width, 1)


@Parameter(name="*", group=_LEARNING)
@dataclass(frozen=True)
class LearningFields:
    """How the weights move."""

    learning_rate: float | None = None
    """Its peak. Without it: by the size of the data; ten times that with low-rank
    updates, a hundred times for the heads alone."""

    head_learning_rate: float | None = None
    """For the sparse and the multi-vector head, or a reranker's. Without it: the
    same."""

    epochs: float | None = None
    """Passes over the data. Without it: by the size of the data."""

    steps: int | None = None
    """Optimiser steps, instead of epochs."""

    warmup: float = 0.1
    """Share of the steps over which the learning rate rises."""

    schedule: Literal["linear", "cosine", "constant"] = "linear"
    """How it falls after that."""

    weight_decay: float = 0.01
    """Of AdamW."""

    max_gradient: float = 1.0
    """Longer gradients are scaled down to it; 0 leaves them."""

    accumulate: int = 1
    """Batches to an optimiser step."""

    def __post_init__(self) -> None:
        if self.epochs is not None and self.steps is not None:
            raise InputError(f"epochs {self.epochs} and steps {self.steps} contradict each other: give one of them")
        for name in ("learning_rate", "head_learning_rate", "weight_decay", "max_gradient"):
            at_least(name, getattr(self, name), 0)
        at_least("steps", self.steps, 1)
        at_least("accumulate", self.accumulate, 1)
        if self.epochs is not None and self.epochs <= 0:
            raise InputError(f"epochs must be above 0, got {self.epochs}")
        if not 0 <= self.warmup <= 1:
            raise InputError(f"warmup is a share of the steps between 0 and 1, got {self.warmup}")


@Parameter(name="*", group=_BATCHES)
@dataclass(frozen=True)
class BatchFields:
    """What is learned from at once."""

    batch_size: int | None = None
    """Queries to a batch of short texts, on each process; batches of longer
    texts are smaller in the proportion of the paper. Without it: by the size
    of the data."""

    batch_tokens: int | None = None
    """Padded tokens to a batch instead, whatever the length."""

    fit_memory: float | None = None
    """Find batch sizes by trying, for each length of texts: the largest whose
    step stays within so many gigabytes. batch_size is the most then."""

    group_size: int = 8
    """Passages to a query: a positive, and the rest negatives."""

    source_limit: int = 0
    """Most examples of one file of the data in an epoch, other ones in each, so
    that large files do not drown the small; 0 sets no limit."""

    query_length: int | None = None
    """Most tokens of a query. Without it: the model's window; for a reranker 64."""

    passage_length: int | None = None
    """Most tokens of a passage. Without it: the model's window; for a reranker
    448, which with the query fill a pair."""

    split: Literal["off", "checkpointed", "cached"] = "off"
    """Encode a batch in parts, to fit more into memory: activations are
    computed again when needed, or the parts encoded twice."""

    split_tokens: int = 16384
    """Padded tokens to such a part."""

    segment_shuffle: float = 0.002
    """Share of positives whose three segments change places."""

    def __post_init__(self) -> None:
        if self.batch_size is not None and self.batch_tokens is not None:
            raise InputError(
                f"batch_size {self.batch_size} and batch_tokens {self.batch_tokens} contradict each other: give one"
            )
        if self.fit_memory is not None and self.batch_tokens is not None:
            raise InputError(
                f"fit_memory {self.fit_memory:g} and batch_tokens {self.batch_tokens} contradict each other: give one"
            )
        if self.fit_memory is not None and not self.fit_memory > 0:
            raise InputError(f"fit_memory must be above 0, got {self.fit_memory:g}")
        for name in ("batch_size", "batch_tokens", "group_size", "split_tokens"):
            at_least(name, getattr(self, name), 1)
        for name in ("query_length", "passage_length"):
            at_least(name, getattr(self, name), 4)
        at_least("source_limit", self.source_limit, 0)
        if not 0 <= self.segment_shuffle <= 1:
            raise InputError(f"segment_shuffle is a share between 0 and 1, got {self.segment_shuffle}")


@Parameter(name="*", group=_LORA)
@dataclass(frozen=True)
class LoraFields:
    """Low-rank updates instead of full ones."""

    lora_rank: int = 0
    """Rank of the updates; 0 trains all weights of the backbone."""

    lora_alpha: float = 32.0
    """The update is scaled by alpha / rank."""

    lora_dropout: float = 0.0
    """Before the update."""

    lora_layers: Annotated[tuple[str, ...], Several] = ()
    """Linear layers that get one, such as query value. Without it: all."""

    def __post_init__(self) -> None:
        at_least("lora_rank", self.lora_rank, 0)


@Parameter(name="*", group=EVALUATION_GROUP)
@dataclass(frozen=True)
class EvaluationFields:
    """What retrieval is measured on while training."""

    SYSTEMS: ClassVar[tuple[str, ...]] = ("dense", "sparse", "multi", "hybrid")
    MEASURES: ClassVar[tuple[str, ...]] = MEASURES

    dev: str | None = None
    """A folder in BEIR layout (corpus, queries, qrels), or a file of examples.
    Without it: examples that are held out."""

    dev_share: float | None = None
    """Share of the examples to hold out, by query. Without it: 0.05, at most
    500 queries; 0 holds none out."""

    general: str | None = None
    """A folder in BEIR layout that says what the training cost elsewhere;
    measured before and after."""

    dev_passages: int = 1000
    """Passages of the training examples fill the held-out ones up to so many."""

    evaluate_every: int | None = None
    """Steps between measurements. Without it: ten over the run; 0 measures
    before and after only."""

    metric: str = "hybrid nDCG@10"
    """Which checkpoint is best: dense, sparse, multi or hybrid, and nDCG@10,
    R@100 or RR@10."""

    patience: int = 0
    """Stop after so many measurements without a better one; 0 never does."""

    def __post_init__(self) -> None:
        if self.dev is not None and self.dev_share:
            raise InputError(f"dev {self.dev} and dev_share {self.dev_share} contradict each other: give one of them")
        if not 0 <= (self.dev_share or 0) < 1:
            raise InputError(f"dev_share is a share from 0 to below 1, got {self.dev_share}")
        for name in ("dev_passages", "evaluate_every", "patience"):
            at_least(name, getattr(self, name), 0)
        system, _, measure = self.metric.partition(" ")
        if system not in self.SYSTEMS or measure not in self.MEASURES:
            raise InputError(
                f"metric {self.metric!r} is not known: give {' or '.join(self.SYSTEMS)}, and one of "
                f"{', '.join(self.MEASURES)}, such as '{self.SYSTEMS[-1]} {self.MEASURES[0]}'"
            )


@Parameter(name="*", group=RUN_GROUP)
@dataclass(frozen=True)
class CommonRunFields:
    """How a run of any kind goes."""

    precision: Literal["float32", "bf16", "fp16"] = "float32"
    """Of the forward pass; bf16 is for GPUs."""

    gradient_checkpointing: bool = False
    """Compute activations again instead of keeping them."""

    checkpoint_every: int | None = None
    """Steps between checkpoints. Without it: ten over the run."""

    keep_checkpoints: int = 2
    """How many stay, beside the best."""

    log_every: int = 10
    """Steps between lines on the screen; metrics.jsonl has every step."""

    workers: int = 0
    """Processes that prepare batches."""

    trackers: Annotated[tuple[str, ...], Several] = ()
    """Trackers that transformers knows, such as tensorboard."""

    def __post_init__(self) -> None:
        at_least("checkpoint_every", self.checkpoint_every, 1)
        for name in ("keep_checkpoints", "log_every"):
            at_least(name, getattr(self, name), 1)
        at_least("workers", self.workers, 0)


@Parameter(name="*", group=RUN_GROUP)
@dataclass(frozen=True)
class RunFields(CommonRunFields):
    """How the run goes, and what it leaves."""

    layouts: Annotated[tuple[Layout, ...], Several] = ("trivec",)
    """Model folders to write at the end. trivec loads here, in
    sentence-transformers and in FlagEmbedding, and holds an ONNX graph."""

    name: str | None = None
    """What the trained model is called. Without it: the folder's name."""

    seed: int = 0
    """Of everything that is drawn."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.layouts:
            raise InputError("layouts is empty: name at least one, such as trivec")
