"""`task_of`: the kind of training that options are of."""

from __future__ import annotations

from trivec.train.decoder_start import is_decoder
from trivec.train.decoder_task import DecoderTask
from trivec.train.encoder_task import EncoderTask
from trivec.train.options import TrainOptions
from trivec.train.reranker_options import AnyOptions
from trivec.train.reranker_task import RerankerTask
from trivec.train.tasks import Task


def task_of(options: AnyOptions) -> Task:
    """The kind of training that options, and the model that they start from, are of.

    Raises:
        UnknownModelError: there is no such model.
    """
    if isinstance(options, TrainOptions):
        return EncoderTask(options)
    return DecoderTask(options) if is_decoder(options.model) else RerankerTask(options)
