"""Rerankers that can stop early: a decoder with a head behind each of its later layers.

Published so: bge-reranker-v2-minicpm-layerwise. Layers behind the last one that is asked for are not even loaded.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache

from trivec.encode.inference import inference
from trivec.rerank.decoder_walk import walk
from trivec.rerank.halving import halving
from trivec.rerank.layer_heads import LayerHeads
from trivec.rerank.prompts import PromptRow
from trivec.rerank.remembered import Remembered, at, padded, remembered
from trivec.types import FloatArray


class Layerwise:
    """Reads rows for the logits of some layers at their last token.

    The states of a layer go through the model's final norm and then to its head, in float32.

    Args:
        model: a ``LlamaModel`` that ends with the last of the layers.
        heads: of the layers.
    """

    def __init__(self, model: Any, heads: LayerHeads) -> None:  # noqa: ANN401
        self.model = model.eval()
        self.heads = heads
        self.layers = heads.layers
        self.device = model.device

    @property
    def batch_tokens(self) -> int:
        """A small budget keeps activations in a CPU's cache; a GPU wants large batches."""
        return 1024 if self.device.type == "cpu" else 16_384

    @inference
    def remember(self, query: Sequence[int]) -> Remembered | None:
        """Keys and values of a query's tokens."""
        cache = DynamicCache(config=self.model.config)
        for _ in walk(self.model, torch.tensor([list(query)], device=self.device), cache):
            pass
        return remembered(cache, len(query))

    @halving
    @inference
    def read(self, rows: Sequence[PromptRow], remembered: Remembered | None = None) -> FloatArray:
        """(rows, layers) logits."""
        ids_BL, last_B, cache = padded(rows, remembered, self.device)
        logits = [
            self.heads.score(layer, self.model.norm(at(states_BLD, last_B)))
            for layer, states_BLD in walk(self.model, ids_BL, cache)
            if layer in self.layers
        ]
        return np.asarray(torch.stack(logits, dim=1).cpu().numpy(), np.float32)
