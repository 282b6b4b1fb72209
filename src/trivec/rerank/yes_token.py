"""Rerankers that are language models: a pair's score is the logit of the token ``Yes`` behind the prompt.

Published so: bge-reranker-v2-gemma. Any causal language model of transformers will do, trained for it or not. Only that
one logit is computed: the output layer keeps one row, and the model's own code does the rest, whatever it does to
logits (Gemma 2 caps them softly, Granite divides them).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn
from transformers import DynamicCache

from trivec.encode.inference import inference
from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import ModelError
from trivec.rerank.halving import halving
from trivec.rerank.prompts import PromptRow
from trivec.rerank.remembered import Remembered, at, padded, remembered
from trivec.types import FloatArray

_ANSWER = "Yes"
_BLANKS = "▁Ġ "
"""What tokenizers write for a blank before a word."""


class YesToken:
    """Reads rows for the logit of ``Yes`` at their last token.

    Args:
        model: a causal language model of transformers, which loses the other rows of its output layer.
        yes: id of the token, see `yes_id`.
    """

    layers: tuple[int, ...] = ()

    def __init__(self, model: Any, yes: int) -> None:  # noqa: ANN401
        model.set_output_embeddings(_OneLogit(model.get_output_embeddings(), yes))
        self.model = model.eval()
        self.device = model.device

    @property
    def batch_tokens(self) -> int:
        """A small budget keeps activations in a CPU's cache; a GPU wants large batches."""
        return 1024 if self.device.type == "cpu" else 16_384

    @inference
    def remember(self, query: Sequence[int]) -> Remembered | None:
        """Keys and values of a query's tokens, or None for a model that keeps none."""
        cache = DynamicCache(config=self.model.config)
        ids_1L = torch.tensor([list(query)], device=self.device)
        self.model(input_ids=ids_1L, past_key_values=cache, use_cache=True)
        return remembered(cache, len(query))

    @halving
    @inference
    def read(self, rows: Sequence[PromptRow], remembered: Remembered | None = None) -> FloatArray:
        """(rows, 1) logits."""
        ids_BL, last_B, cache = padded(rows, remembered, self.device)
        logits_BL1 = self.model(input_ids=ids_BL, past_key_values=cache, use_cache=cache is not None).logits
        return np.asarray(at(logits_BL1, last_B).float().cpu().numpy(), np.float32)


class _OneLogit(nn.Module):
    """One row of an output layer, in float32: bfloat16 has 128 logits between 16 and 32, too few to rank by."""

    def __init__(self, output: Any, row: int) -> None:  # noqa: ANN401
        super().__init__()
        bias = getattr(output, "bias", None)
        self.weight = nn.Parameter(output.weight[row : row + 1].detach().float().clone(), requires_grad=False)
        self.bias = None if bias is None else nn.Parameter(bias[row : row + 1].detach().float(), requires_grad=False)

    def forward(self, states_BLD: torch.Tensor) -> torch.Tensor:
        return F.linear(states_BLD.float(), self.weight, self.bias)


def yes_id(tokenizer: TextTokenizer, source: str) -> int:
    """Id of the token for ``Yes``: the last one of its tokens, without special ones.

    Raises:
        ModelError: that token spells something else, so that its logit would say nothing.
    """
    (encoding,) = tokenizer.pieces([_ANSWER])
    token = encoding.tokens[-1] if encoding.tokens else ""
    if token.lstrip(_BLANKS) != _ANSWER:
        raise ModelError(
            f"{source} has no token for {_ANSWER!r}, its tokenizer makes {encoding.tokens} of it: a reranker of this "
            "kind answers with that token, take another model"
        )
    number: int = encoding.ids[-1]
    return number
