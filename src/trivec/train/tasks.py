"""`Task`: what tells one kind of training from another. All else of a run is the same for all kinds.

Encoders (`trivec.train.encoder_task`) and cross-encoders (`trivec.train.reranker_task`) are trained by one trainer,
on plans of one kind, with the same checkpoints.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeAlias

from trivec.encode.checkpoints import Checkpoint
from trivec.encode.tokenizer import TextTokenizer
from trivec.evaluate.judged_sets import JudgedSet
from trivec.train.feeding import AnyBatch, Collates, Masking
from trivec.train.lengths import Lengths
from trivec.train.live_encoder import MeasuresLive
from trivec.train.model import TrainableEncoder
from trivec.train.pair_loss import PairLoss
from trivec.train.step_loss import StepLoss

TrainedLoss: TypeAlias = StepLoss | PairLoss
"""Model and objective as one module."""

MadeUp: TypeAlias = Callable[[int, int], AnyBatch]
"""A batch of so many queries, whose texts are made up and have so many tokens each."""


@dataclass(frozen=True)
class Batching:
    """How examples become batches.

    Attributes:
        lengths: measures examples, for the plan.
        collator: makes batches.
        masking: of negatives that are none; None masks nothing.
        needs_negatives: whether an example without negatives of its own teaches nothing.
    """

    lengths: Lengths
    collator: Collates
    masking: Masking | None = None
    needs_negatives: bool = False


class Task(Protocol):
    """A kind of training, with the options of a run."""

    def find_model(self) -> Checkpoint:
        """The model to start from."""
        ...

    def make_encoder(self, checkpoint: Checkpoint) -> TrainableEncoder:
        """The model, ready to be trained."""
        ...

    def make_loss(self, encoder: TrainableEncoder) -> TrainedLoss:
        """The module that is trained."""
        ...

    def batching(self, checkpoint: Checkpoint, ranks: int) -> Batching:
        """How examples become batches, which so many processes share."""
        ...

    def trial(self, checkpoint: Checkpoint, tokenizer: TextTokenizer, group_size: int) -> tuple[TrainedLoss, MadeUp]:
        """For finding batch sizes: the module as it takes the most memory, and batches for it."""
        ...

    def evaluator(self, judged: JudgedSet | Path, checkpoint: Checkpoint) -> MeasuresLive:
        """What measures models that began as the checkpoint, on a set, or on the one that a folder or file holds."""
        ...

    def save(self, encoder: TrainableEncoder, folder: Path) -> None:
        """Write the trained model below the folder of the run."""
        ...
