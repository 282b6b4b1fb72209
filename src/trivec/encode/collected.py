"""Outputs of batches, put back in the order of the texts."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from trivec.encode.checkpoints.checkpoint import Checkpoint
from trivec.encode.runtime import HeadOutputs
from trivec.encode.tokenizer import TokenizedText
from trivec.ragged import Ragged
from trivec.types import FloatArray, Head, IntArray


class Collected:
    """Room for the heads of a known list of texts, without padding.

    CLS and the tokens of the prompt shape the dense vector only: they are no multi-vectors and weigh nothing.

    Attributes:
        dense: (n, D), or None if it is not among the heads.
        weights: n arrays (L_i,), one weight for every token of a text.
        multi: one vector for every token behind the prompt, or None.
    """

    def __init__(self, tokenized: Sequence[TokenizedText], checkpoint: Checkpoint, heads: Collection[Head]) -> None:
        self._lengths = [len(text.ids) for text in tokenized]
        self._first = [1 + text.prompt_tokens for text in tokenized]
        self.dense: FloatArray | None = None
        self.weights: list[FloatArray] = []
        self.multi: Ragged | None = None
        if "dense" in heads:
            self.dense = np.zeros((len(tokenized), checkpoint.dense_width), np.float32)
        if "sparse" in heads:
            self.weights = [np.zeros(length, np.float32) for length in self._lengths]
        if "multi" in heads:
            offsets = np.zeros(len(tokenized) + 1, np.int64)
            np.cumsum(np.subtract(self._lengths, self._first).clip(0), out=offsets[1:])
            self.multi = Ragged(np.empty((offsets[-1], checkpoint.multi_width or 0), np.float32), offsets)

    def add(self, batch: IntArray, outputs: HeadOutputs) -> None:
        """Take the outputs for texts number ``batch``."""
        if self.dense is not None and outputs.dense is not None:
            self.dense[batch] = outputs.dense
        if outputs.token_weights is None and outputs.token_vectors is None:
            return
        for place, row in enumerate(batch.tolist()):
            tokens = slice(self._first[row], self._lengths[row])
            if outputs.token_weights is not None:
                self.weights[row][tokens] = outputs.token_weights[place, tokens]
            if self.multi is not None and outputs.token_vectors is not None:
                self.multi[row][:] = outputs.token_vectors[place, tokens]
