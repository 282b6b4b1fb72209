"""`TrainOptions`: everything that says how a model is trained. The command line, a recipe and ``run.yaml`` are this.

A recipe is a YAML file of the fields by name, without the groups they stand in: ``learning_rate: 1e-5``. None means
that the size of the data decides (`trivec.train.presets`), or the model.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from cyclopts import Parameter

from trivec.errors import InputError
from trivec.train.option_groups import (
    BatchFields,
    EvaluationFields,
    LearningFields,
    LoraFields,
    LossFields,
    RunFields,
    Several,
    at_least,
)

TrainedHead: TypeAlias = Literal["dense", "sparse", "multi"]


@Parameter(name="*")
@dataclass(frozen=True)
class TrainOptions:
    """How a model is trained.

    Raises:
        InputError: a value is out of range, or two of them contradict each other.
    """

    data: Annotated[tuple[str, ...], Several] = ()
    """Files and folders with examples, as read_examples reads them."""

    out: Path | None = None
    """Folder of the run; the model is written to its sub-folder model."""

    model: str = "m3-small"
    """What to start from: a name that trivec models lists, or a folder."""

    heads: Annotated[tuple[TrainedHead, ...], Several] = ("dense", "sparse", "multi")
    """Which heads are trained."""

    multi_width: int = 128
    """Width of a new multi-vector head."""

    sparse_terms: Literal["cased", "folded"] | None = None
    """What a token's weight counts for: its own id (cased), or the subwords of the
    lower-cased text (folded). Without it: as in the model."""

    pooling: Literal["cls", "mean", "max", "last"] | None = None
    """Which states become the dense vector: that of the first token, the mean, the
    largest values, that of the last token. Without it: as in the model."""

    freeze: bool = False
    """Train the heads alone and leave the backbone as it is."""

    freeze_embeddings: bool = False
    """Leave the word embeddings as they are; in multilingual models they hold
    most weights."""

    freeze_layers: int = 0
    """Leave the word embeddings and so many of the lowest layers as they are."""

    remember: Path | None = None
    """Folder for what frozen layers give for each text, so that it passes through
    them once, whatever the epoch, the seed and the run. On CPUs."""

    dropout: float | None = None
    """Of the backbone. Without it: what the model's configuration says."""

    positions: int | None = None
    """Extend the table of positions, so that texts may have so many tokens."""

    position_filling: Literal["tile", "interpolate"] = "tile"
    """How new positions begin: as copies of the old ones, or between them."""

    format: str = "auto"
    """Of the data."""

    skip_bad: bool = False
    """Skip and count bad lines of the data instead of stopping."""

    loss: LossFields = field(default_factory=LossFields)
    learning: LearningFields = field(default_factory=LearningFields)
    batches: BatchFields = field(default_factory=BatchFields)
    lora: LoraFields = field(default_factory=LoraFields)
    evaluation: EvaluationFields = field(default_factory=EvaluationFields)
    run: RunFields = field(default_factory=RunFields)

    @property
    def texts_per_query(self) -> int:
        """Rows of tokens that a query brings to a batch: itself and its passages."""
        return 1 + self.batches.group_size

    def __post_init__(self) -> None:
        if not self.heads:
            raise InputError("heads is empty: train at least one of dense, sparse, multi")
        if self.freeze and self.heads == ("dense",):
            raise InputError("freeze and heads dense leave nothing to train: the dense vector has no head of its own")
        if self.freeze and self.lora.lora_rank:
            raise InputError(f"freeze and lora_rank {self.lora.lora_rank} contradict each other: leave one of them out")
        if self.freeze and self.freeze_layers:
            raise InputError(f"freeze and freeze_layers {self.freeze_layers} contradict each other: give one of them")
        if self.remember is not None and not (self.freeze or self.freeze_layers):
            raise InputError(f"remember {self.remember} has nothing to keep: give freeze, or freeze_layers, too")
        if self.dropout is not None and not 0 <= self.dropout < 1:
            raise InputError(f"dropout must lie between 0 and 1, got {self.dropout}")
        at_least("multi_width", self.multi_width, 1)
        at_least("freeze_layers", self.freeze_layers, 0)
        at_least("positions", self.positions, 4)
        head = self.evaluation.metric.partition(" ")[0]
        if head not in (*self.heads, "hybrid"):
            raise InputError(f"metric {self.evaluation.metric!r} is of a head that is not trained: add {head} to heads")
