"""`task_of`: the kind of training that options are of."""

from __future__ import annotations

from trivec.train.encoder_task import EncoderTask
from trivec.train.options import TrainOptions
from trivec.train.reranker_options import AnyOptions
from trivec.train.reranker_task import RerankerTask
from trivec.train.tasks import Task


def task_of(options: AnyOptions) -> Task:
    """The kind of training that options are of."""
    return EncoderTask(options) if isinstance(options, TrainOptions) else RerankerTask(options)
