"""The model as it stands, in the middle of training, as an `Encoder`, and who measures it."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from trivec.encode.encoder import Encoder
from trivec.encode.loading import fingerprint
from trivec.encode.runtime import HeadOutputs
from trivec.encode.tokenizer import TextTokenizer
from trivec.train.collate import TokenBatch
from trivec.train.model import TrainableEncoder
from trivec.train.trained import trained_checkpoint
from trivec.train.vectors import TextVectors
from trivec.types import FloatArray, Head


class LiveRuntime:
    """Runs a `StepLoss`, or a `PairLoss`, over texts, with its present weights and without dropout."""

    name = "torch, while training"

    def __init__(self, module: nn.Module, device: torch.device) -> None:
        self.module = module
        self._device = device

    @property
    def batch_tokens(self) -> int:
        """A small budget keeps activations in a CPU's cache; a GPU wants large batches."""
        return 1024 if self._device.type == "cpu" else 65_536

    @torch.no_grad()
    def forward(
        self, ids_BL: NDArray[np.int64], mask_BL: NDArray[np.int32], heads: Collection[Head], states: bool = False
    ) -> HeadOutputs:
        """One pass over a right-padded batch. There are no token states to be had, ``states`` or not."""
        mask = torch.from_numpy(mask_BL.astype(np.int64))
        batch = TokenBatch(torch.from_numpy(ids_BL), mask, torch.zeros(len(mask), dtype=torch.int64))
        was_training = self.module.training
        self.module.eval()
        try:
            vectors: TextVectors = self.module(batch.to(self._device))
        finally:
            self.module.train(was_training)
        return HeadOutputs(
            dense=_numpy(vectors.dense),
            token_weights=_numpy(vectors.weights),
            token_vectors=None if vectors.multi is None else _numpy(_with_cls(vectors.multi, ids_BL.shape[1])),
        )


def _with_cls(multi: Tensor, tokens: int) -> Tensor:
    """(n, M, C) vectors behind CLS as (n, L, C): one for each token."""
    return F.pad(multi, (0, 0, 1, tokens - 1 - multi.shape[1]))


def _numpy(tensor: Tensor | None) -> FloatArray | None:
    return None if tensor is None else np.asarray(tensor.float().cpu().numpy(), np.float32)


def live_encoder(encoder: TrainableEncoder, runtime: LiveRuntime) -> Encoder:
    """An encoder over a model in training. Its fingerprint is that of the model at the start."""
    checkpoint = trained_checkpoint(encoder, encoder.checkpoint.folder)
    tokenizer: Any = TextTokenizer.of(checkpoint)
    return Encoder(checkpoint, runtime, tokenizer, fingerprint(checkpoint))


@dataclass(frozen=True, eq=False)
class LiveModel:
    """A model in training.

    Attributes:
        trained: what is trained.
        runtime: runs it, with its present weights.
        encoder: `live_encoder` of both.
    """

    trained: TrainableEncoder
    runtime: LiveRuntime
    encoder: Encoder

    @staticmethod
    def of(trained: TrainableEncoder, module: nn.Module, device: torch.device) -> LiveModel:
        """A model, and the module that gives its vectors."""
        runtime = LiveRuntime(module, device)
        return LiveModel(trained, runtime, live_encoder(trained, runtime))


class MeasuresLive(Protocol):
    """Measures models in training on one set."""

    def measure_live(self, model: LiveModel) -> dict[str, float]:
        """Values by system and measure, such as ``dense nDCG@10``."""
        ...
