"""Training a cross-encoder: what `RerankerOptions` ask for, as a `Task`.

A cross-encoder is an encoder of pairs whose dense vector is one number wide, see
`trivec.encode.checkpoints.classifier`. So low-rank updates, frozen layers, packed texts, batches in parts and
checkpoints are those of encoders.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from trivec.data.bad_lines import BadLines
from trivec.data.reading import read_examples
from trivec.encode.checkpoints import Checkpoint
from trivec.encode.checkpoints.plain import pad_id
from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedSet, from_examples
from trivec.evaluate.layouts import read_judged
from trivec.rerank.pair_rows import PairRows
from trivec.rerank.pair_tokens import PairTokens
from trivec.train.building import lora_options, split_options
from trivec.train.classifier_start import find_classifier
from trivec.train.draws import GroupDraws
from trivec.train.lengths import PairLengths
from trivec.train.made_up import made_up_pairs
from trivec.train.model import TrainableEncoder
from trivec.train.objectives import GroupCrossEntropy
from trivec.train.pair_batches import PairCollator
from trivec.train.pair_loss import PairLoss
from trivec.train.reranker_options import RerankerOptions
from trivec.train.reranking_evaluator import RerankingEvaluator
from trivec.train.saving_rerankers import save_reranker
from trivec.train.segment_shuffle import SegmentShuffle
from trivec.train.tasks import Batching, MadeUp
from trivec.types import Head

_QUERY_LENGTH, _PAIR_LENGTH = 64, 512
"""Tokens, where nothing is said. 512 is what published rerankers were measured with."""


class TrainedRows(PairRows, Protocol):
    """Rows whose length can be told from that of the texts."""

    @property
    def fixed(self) -> int:
        """Tokens of a row that are neither the query's nor the document's."""
        ...


_LOGIT: tuple[Head, ...] = ("dense",)


@dataclass(frozen=True)
class RerankerTask:
    """Training a cross-encoder on groups of pairs."""

    options: RerankerOptions

    def find_model(self) -> Checkpoint:
        """The model to start from, with a new head if it has none."""
        return find_classifier(self.options.model, self.options.run.seed)

    def make_encoder(self, checkpoint: Checkpoint) -> TrainableEncoder:
        """The model, ready to be trained."""
        return self._make(checkpoint, TrainableEncoder)

    def _make(self, checkpoint: Checkpoint, kind: type[TrainableEncoder]) -> TrainableEncoder:
        options = self.options
        encoder = kind.from_checkpoint(
            checkpoint,
            _LOGIT,
            lora=lora_options(options.lora),
            seed=options.run.seed,
            freeze_embeddings=options.freeze_embeddings,
            freeze_layers=options.freeze_layers,
            dropout=options.dropout,
            max_length=options.positions,
            extension=options.position_filling,
            train_dense_layers=True,
        )
        if options.run.gradient_checkpointing:
            encoder.gradient_checkpointing_enable()
        return encoder

    def make_loss(self, encoder: TrainableEncoder) -> PairLoss:
        """The module that is trained."""
        return PairLoss(encoder, self._objective(), split_options(self.options))

    def _objective(self) -> GroupCrossEntropy:
        loss = self.options.loss
        return GroupCrossEntropy(loss.teacher, loss.teacher_temperature)

    def batching(self, checkpoint: Checkpoint, ranks: int) -> Batching:
        """How examples become batches."""
        batches = self.options.batches
        query_length, max_length = pair_lengths(checkpoint, self.options)
        rows = self.rows(checkpoint)
        draws = GroupDraws(batches.group_size, SegmentShuffle(batches.segment_shuffle), self.options.run.seed)
        return Batching(
            PairLengths(query_length, max_length, rows.fixed),
            PairCollator(rows, pad_id(checkpoint), draws),
            needs_negatives=True,
        )

    def rows(self, checkpoint: Checkpoint) -> TrainedRows:
        """What makes a row of a pair."""
        query_length, max_length = pair_lengths(checkpoint, self.options)
        return PairTokens(TextTokenizer.of(checkpoint), max_length, query_length)

    def trial(self, checkpoint: Checkpoint, tokenizer: TextTokenizer, group_size: int) -> tuple[PairLoss, MadeUp]:
        """For finding batch sizes: the module, and batches for it."""
        batches = partial(
            made_up_pairs,
            group_size=group_size,
            max_length=pair_lengths(checkpoint, self.options)[1],
            words=int(str(checkpoint.config["vocab_size"])),
            with_teacher=self.options.loss.teacher != "none",
        )
        return self.make_loss(self.make_encoder(checkpoint)), batches

    def evaluator(self, judged: JudgedSet | Path, checkpoint: Checkpoint) -> RerankingEvaluator:
        """What measures reranking on a set, or on the one that a folder or file holds."""
        judged = _read(judged) if isinstance(judged, Path) else judged
        return RerankingEvaluator(judged, self.rows(checkpoint))

    def save(self, encoder: TrainableEncoder, folder: Path) -> None:
        """Write the trained model below the folder of the run."""
        save_reranker(encoder, folder)


def pair_lengths(checkpoint: Checkpoint, options: RerankerOptions) -> tuple[int, int]:
    """Most tokens of a query, and of a pair: what the query leaves free is the passage's.

    Raises:
        InputError: the model does not take so many, or none are left for a passage.
    """
    window = max(checkpoint.max_length, options.positions or 0)
    query_length = options.batches.query_length or _QUERY_LENGTH
    passage_length = options.batches.passage_length or min(window, _PAIR_LENGTH) - query_length
    if passage_length < 1:
        raise InputError(f"query_length is {query_length}, which leaves no room for a passage: give passage_length too")
    if query_length + passage_length > window:
        raise InputError(
            f"query_length {query_length} and passage_length {passage_length} are more than the {window} tokens that "
            f"{checkpoint.name} takes: lower them, or give positions {query_length + passage_length}"
        )
    return query_length, query_length + passage_length


def _read(path: Path) -> JudgedSet:
    """A set from disk; in a file of examples, negatives are judged as wrong."""
    if path.is_dir() or not path.exists():
        return read_judged(path)
    return from_examples(path.name, read_examples([path], bad=BadLines()), judges_negatives=True)
