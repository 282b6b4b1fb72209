"""Rerankers that can stop early and read less: a decoder with heads between its layers, and passages that are merged.

Published so, on Gemma 2: bge-reranker-v2.5-gemma2-lightweight (described in Li et al. 2024, arXiv 2409.15700,
appendix). Behind chosen layers every r consecutive states of the document become their mean; those of the query and the
prompt stay.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from trivec.encode.inference import inference
from trivec.rerank.decoder_walk import walk
from trivec.rerank.halving import halving
from trivec.rerank.layer_heads import LayerHeads
from trivec.rerank.prompts import PromptRow
from trivec.rerank.remembered import Remembered, at, padded
from trivec.types import FloatArray


@dataclass(frozen=True)
class Spans:
    """Where the document stands in each row of a batch, in tokens, (B,) each.

    Attributes:
        starts: tokens before it.
        lengths: its own.
        ends: tokens of the whole row.
    """

    starts: torch.Tensor
    lengths: torch.Tensor
    ends: torch.Tensor

    @classmethod
    def of(cls, rows: Sequence[PromptRow], device: torch.device) -> Spans:
        """Those of rows that nothing was merged in."""
        counts = [[len(row.query), len(row.document), len(row)] for row in rows]
        return cls(*torch.tensor(counts, device=device).unbind(dim=1))

    def merged(self, ratio: int) -> Spans:
        """Those behind `merge_documents`."""
        kept = (self.lengths + ratio - 1) // ratio
        return Spans(self.starts, kept, self.ends - self.lengths + kept)


def merge_documents(states_BLD: torch.Tensor, spans: Spans, ratio: int) -> torch.Tensor:
    """Every ``ratio`` consecutive states of a document as their mean; the last ones as that of those there are.

    Returns:
        (B, longest row that is left, D). What stands behind the end of a row means nothing.
    """
    after = spans.merged(ratio)
    places_1M = torch.arange(int(after.ends.max()), device=states_BLD.device)[None]
    starts_B1, lengths_B1, kept_B1 = spans.starts[:, None], spans.lengths[:, None], after.lengths[:, None]
    block_BM = places_1M - starts_B1
    inside_BM = (block_BM >= 0) & (block_BM < kept_B1)
    behind_BM = places_1M + lengths_B1 - kept_B1
    first_BM = torch.where(
        inside_BM, starts_B1 + block_BM * ratio, torch.where(block_BM < 0, places_1M, behind_BM)
    ).clamp(max=states_BLD.shape[1] - 1)
    count_BM = torch.where(inside_BM, (lengths_B1 - block_BM * ratio).clamp(max=ratio), 1)
    rows_B1 = torch.arange(len(states_BLD), device=states_BLD.device)[:, None]
    total_BMD = states_BLD[rows_B1, first_BM].float()
    for step in range(1, ratio):
        taken_BM = step < count_BM
        source_BM = torch.where(taken_BM, first_BM + step, first_BM)
        total_BMD += states_BLD[rows_B1, source_BM].float() * taken_BM[:, :, None]
    return (total_BMD / count_BM[:, :, None]).to(states_BLD.dtype)


def layer_logits(
    model: Any,  # noqa: ANN401
    heads: LayerHeads,
    ids_BL: torch.Tensor,
    spans: Spans,
    merged_behind: Collection[int] = (),
    ratio: int = 1,
) -> torch.Tensor:
    """(B, layers) logits at the last token of each row.

    Args:
        model: a ``LlamaModel`` or ``Gemma2Model`` that ends with the last of the layers.
        heads: of the layers.
        ids_BL: right-padded.
        spans: where the documents stand.
        merged_behind: documents are merged behind this many layers, in each of them once more.
        ratio: how many states become one; 1 merges nothing.
    """

    def merge(number: int, states_BLD: torch.Tensor) -> torch.Tensor:
        nonlocal spans
        if ratio == 1 or number not in merged_behind:
            return states_BLD
        merged_BMD = merge_documents(states_BLD, spans, ratio)
        spans = spans.merged(ratio)
        return merged_BMD

    return torch.stack(
        [
            heads.score(layer, model.norm(at(states_BLD, spans.ends - 1)))
            for layer, states_BLD in walk(model, ids_BL, between=merge)
            if layer in heads.layers
        ],
        dim=1,
    )


class Lightweight:
    """Reads rows for the logits of some layers at their last token.

    Args:
        model: a ``LlamaModel`` or ``Gemma2Model`` that ends with the last of the layers.
        heads: of the layers.
        compress_layers: documents are merged behind this many layers, in each of them once more.
        compress_ratio: how many states become one; 1 merges nothing.
    """

    def __init__(
        self,
        model: Any,  # noqa: ANN401
        heads: LayerHeads,
        compress_layers: Sequence[int] = (),
        compress_ratio: int = 1,
    ) -> None:
        self.model = model.eval()
        self.heads = heads
        self.layers = heads.layers
        self.device = model.device
        self._ratio = compress_ratio
        self._merged_behind = frozenset(compress_layers)

    @property
    def batch_tokens(self) -> int:
        """A small budget keeps activations in a CPU's cache; a GPU wants large batches."""
        return 1024 if self.device.type == "cpu" else 16_384

    def remember(self, query: Sequence[int]) -> None:
        """Nothing: rows that become shorter on the way have no memory in common."""

    @halving
    @inference
    def read(self, rows: Sequence[PromptRow], remembered: Remembered | None = None) -> FloatArray:
        """(rows, layers) logits."""
        ids_BL, _, _ = padded(rows, remembered, self.device)
        spans = Spans.of(rows, self.device)
        logits_BK = layer_logits(self.model, self.heads, ids_BL, spans, self._merged_behind, self._ratio)
        return np.asarray(logits_BK.cpu().numpy(), np.float32)
