"""`RerankerOptions`: everything that says how a reranker is trained; what `TrainOptions` is for an encoder.

Most groups of fields are the same. What belongs to vectors (heads, pooling, in-batch negatives, layouts) is not here.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Literal, TypeAlias

from cyclopts import Group, Parameter

from trivec.errors import InputError
from trivec.train.option_groups import (
    EVALUATION_GROUP,
    LOSS_GROUP,
    RUN_GROUP,
    BatchFields,
    CommonRunFields,
    EvaluationFields,
    LearningFields,
    LoraFields,
    Several,
    at_least,
)
from trivec.train.options import TrainOptions

_DECODER = Group("Language models", sort_key=5)
_RATIOS = (2, 4, 8)
"""How many tokens the published model can make one of."""


@Parameter(name="*", group=LOSS_GROUP)
@dataclass(frozen=True)
class RerankerLossFields:
    """What is minimised."""

    teacher: Literal["none", "kl", "first-stage"] = "none"
    """What scores of the data are for: nothing; learned from beside the labels,
    as a teacher's distribution (kl); or added to the logits, being those of
    the search whose results it will read (first-stage)."""

    teacher_temperature: float = 1.0
    """These scores are divided by it."""

    def __post_init__(self) -> None:
        at_least("teacher_temperature", self.teacher_temperature, 1e-6)


@Parameter(name="*", group=_DECODER)
@dataclass(frozen=True)
class DecoderFields:
    """For language models alone."""

    prompt: str | None = None
    """What the model is asked about a pair. Without it: what published
    models of its kind were."""

    start_layer: int | None = None
    """Give the model a logit behind each layer from this one on, instead of
    that of Yes behind the last."""

    distillation: Literal["self", "none"] = "self"
    """Layers learn from the last one, where no teacher is named; none: from
    labels alone."""

    compress_layers: Annotated[tuple[int, ...], Several] = ()
    """Behind these layers, merge tokens of the document."""

    compress_ratios: Annotated[tuple[int, ...], Several] = ()
    """How many of them become one: each step draws one of these, or none is
    merged. Without it: 2 4 8, if there are compress_layers."""

    def __post_init__(self) -> None:
        at_least("start_layer", self.start_layer, 1)
        for name in ("compress_layers", "compress_ratios"):
            at_least(name, min(getattr(self, name), default=None), 1)
        if self.compress_ratios and not self.compress_layers:
            raise InputError(
                f"compress_ratios is {list(self.compress_ratios)} without compress_layers: say behind which layers"
            )
        if self.compress_layers and not self.compress_ratios:
            object.__setattr__(self, "compress_ratios", _RATIOS)


@Parameter(name="*", group=EVALUATION_GROUP)
@dataclass(frozen=True)
class RerankerEvaluationFields(EvaluationFields):
    """What reranking is measured on while training."""

    SYSTEMS: ClassVar[tuple[str, ...]] = ("rerank",)
    MEASURES: ClassVar[tuple[str, ...]] = ("nDCG@10", "RR@10")

    metric: str = "rerank nDCG@10"
    """Which checkpoint is best: rerank nDCG@10 or rerank RR@10."""


@Parameter(name="*", group=RUN_GROUP)
@dataclass(frozen=True)
class RerankerRunFields(CommonRunFields):
    """How the run goes."""

    seed: int = 0
    """Of everything that is drawn."""


@Parameter(name="*")
@dataclass(frozen=True)
class RerankerOptions:
    """How a reranker is trained.

    Raises:
        InputError: a value is out of range, or two of them contradict each other.
    """

    task: Annotated[Literal["reranker"], Parameter(parse=False)] = "reranker"
    """Tells a recipe from that of an encoder, which has no such line."""

    data: Annotated[tuple[str, ...], Several] = ()
    """Files and folders with examples, as read_examples reads them."""

    out: Path | None = None
    """Folder of the run; the model is written to its sub-folder model."""

    model: str = "m3-small"
    """What to start from, a name that trivec models lists, or a folder: a
    cross-encoder, an encoder, which gets a new head, or a language model."""

    freeze_embeddings: bool = False
    """Leave the word embeddings as they are; in multilingual models they hold
    most weights."""

    freeze_layers: int = 0
    """Leave the word embeddings and so many of the lowest layers as they are."""

    dropout: float | None = None
    """Of the backbone. Without it: what the model's configuration says."""

    positions: int | None = None
    """Extend the table of positions, so that pairs may have so many tokens."""

    position_filling: Literal["tile", "interpolate"] = "tile"
    """How new positions begin: as copies of the old ones, or between them."""

    format: str = "auto"
    """Of the data."""

    skip_bad: bool = False
    """Skip bad lines of the data, and examples without negatives, instead of
    stopping."""

    loss: RerankerLossFields = RerankerLossFields()
    learning: LearningFields = field(default_factory=LearningFields)
    batches: BatchFields = field(default_factory=BatchFields)
    lora: LoraFields = field(default_factory=LoraFields)
    decoder: DecoderFields = field(default_factory=DecoderFields)
    evaluation: RerankerEvaluationFields = RerankerEvaluationFields()
    run: RerankerRunFields = RerankerRunFields()

    @property
    def texts_per_query(self) -> int:
        """Rows of tokens that a query brings to a batch: one with each passage."""
        return self.batches.group_size

    def __post_init__(self) -> None:
        if self.batches.group_size < 2:
            raise InputError(
                f"group_size is {self.batches.group_size}: give at least 2, a positive and what it is told from"
            )
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise InputError(f"dropout must lie between 0 and 1, got {self.dropout}")
        at_least("freeze_layers", self.freeze_layers, 0)
        at_least("positions", self.positions, 4)


AnyOptions: TypeAlias = TrainOptions | RerankerOptions
"""Of a run of any kind."""
