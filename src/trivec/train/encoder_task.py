"""Training an encoder: what `TrainOptions` ask for, as a `Task`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from trivec.encode.checkpoints import Checkpoint
from trivec.encode.tokenizer import TextTokenizer
from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.layouts import read_judged
from trivec.train.building import (
    find_model,
    make_collator,
    make_encoder,
    make_objective,
    split_options,
    text_lengths,
)
from trivec.train.evaluating import Evaluator
from trivec.train.feeding import Masking
from trivec.train.lengths import TextLengths
from trivec.train.made_up import made_up_groups
from trivec.train.model import TrainableEncoder
from trivec.train.options import TrainOptions
from trivec.train.saving import save_model
from trivec.train.step_loss import StepLoss
from trivec.train.tasks import Batching, MadeUp


@dataclass(frozen=True)
class EncoderTask:
    """Training the heads of an encoder together."""

    options: TrainOptions

    def find_model(self) -> Checkpoint:
        """The model to start from."""
        return find_model(self.options)

    def make_encoder(self, checkpoint: Checkpoint) -> TrainableEncoder:
        """The model, ready to be trained."""
        return make_encoder(checkpoint, self.options)

    def make_loss(self, encoder: TrainableEncoder) -> StepLoss:
        """The module that is trained."""
        options = self.options
        return StepLoss(encoder, make_objective(options), split_options(options), options.loss.negatives)

    def batching(self, checkpoint: Checkpoint, ranks: int) -> Batching:
        """How examples become batches, which so many processes share."""
        options = self.options
        pad_id = int(str(checkpoint.config.get("pad_token_id") or 0))
        sees_all = ranks > 1 and options.loss.negatives != "own"
        masking = Masking(sees_all, options.batches.group_size, options.run.seed)
        return Batching(
            TextLengths(*text_lengths(checkpoint, options)),
            make_collator(checkpoint, TextTokenizer.of(checkpoint), pad_id, options),
            masking if options.loss.duplicates == "mask" else None,
        )

    def trial(self, checkpoint: Checkpoint, tokenizer: TextTokenizer, group_size: int) -> tuple[StepLoss, MadeUp]:
        """For finding batch sizes: the module as it takes the most memory, in its later steps, and batches for it."""
        options = self.options
        later = replace(options.loss, distill_from_step=0, negatives="own")
        task = EncoderTask(replace(options, remember=None, loss=later))
        lengths = zip(
            (checkpoint.query_prompt, checkpoint.document_prompt), text_lengths(checkpoint, options), strict=True
        )
        batches = partial(
            made_up_groups,
            group_size=group_size,
            sides=[(tokenizer.tokenize([""], most, prompt)[0].prompt_tokens, most) for prompt, most in lengths],
            words=int(str(checkpoint.config["vocab_size"])),
            with_teacher=options.loss.teacher != "none",
        )
        return task.make_loss(task.make_encoder(checkpoint)), batches

    def evaluator(self, judged: JudgedSet | Path, checkpoint: Checkpoint) -> Evaluator:
        """What measures retrieval on a set, or on the one that a folder or file holds."""
        return Evaluator(read_judged(judged) if isinstance(judged, Path) else judged)

    def save(self, encoder: TrainableEncoder, folder: Path) -> None:
        """Write the trained model below the folder of the run, in all layouts that are asked for."""
        run = self.options.run
        save_model(encoder, folder, run.name or folder.resolve().name, run.layouts)
