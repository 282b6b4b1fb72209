"""Texts laid end to end: no padded token is computed, and none is kept for the backward pass.

The backbone sees one row of T tokens with positions that begin anew in each text; only attention knows where texts
end. Texts are ordered by length, so that those of one length lie side by side and share one attention call. What
`trivec.encode.torch_packed` does for encoding, with gradient and with dropout on the attention weights.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from trivec.encode.torch_packed import install_attention
from trivec.train.short_attention import is_short, short_attention

_NAME = "trivec_packed_training"


@dataclass(frozen=True, eq=False)
class PackedTexts:
    """Where the T real tokens of a right-padded batch (n, L) go when its n texts are laid end to end.

    Attributes:
        order: (n,), the text at each place, longest first.
        lengths: (n,), tokens of the text at each place.
        starts: (n,), where the text at each place begins.
        places: (T,), the place of the text that each token belongs to.
        positions: (T,), the position of each token in its text.
        padded: (T,), where each token lies in the flattened batch (n * L,).
    """

    order: Tensor
    lengths: Tensor
    starts: Tensor
    places: Tensor
    positions: Tensor
    padded: Tensor

    @staticmethod
    def of(mask_BL: Tensor) -> PackedTexts:
        """Lay out a batch; ``mask_BL`` is 1 for real tokens, which come first in each row."""
        lengths, order = mask_BL.sum(dim=1).sort(descending=True, stable=True)
        starts = lengths.cumsum(0) - lengths
        places = torch.repeat_interleave(torch.arange(len(order), device=order.device), lengths)
        positions = torch.arange(len(places), device=order.device) - starts[places]
        return PackedTexts(order, lengths, starts, places, positions, order[places] * mask_BL.shape[1] + positions)

    def rows_of(self, batch_BL: Tensor) -> list[Tensor]:
        """The text at each place in a right-padded batch, without the padding."""
        return [batch_BL[row, :length] for row, length in zip(self.order.tolist(), self.lengths.tolist(), strict=True)]

    @cached_property
    def runs(self) -> tuple[tuple[int, int], ...]:
        """(number of texts, tokens of each) for neighbours of one length."""
        return tuple((len(list(run)), length) for length, run in itertools.groupby(self.lengths.tolist()))


def pack_attention(backbone: Any, device: torch.device) -> bool:  # noqa: ANN401
    """Give a backbone attention over packed texts, if it can have it. True if it has.

    On a CPU alone: elsewhere a call for each length would take longer than the padding.
    """
    return device.type == "cpu" and install_attention(backbone, backbone.config.model_type, _NAME, _attend)


def _attend(
    module: Any,  # noqa: ANN401
    query_1HTC: Tensor,
    key_1HTC: Tensor,
    value_1HTC: Tensor,
    attention_mask: None,
    *,
    text_runs: tuple[tuple[int, int], ...],
    dropout: float = 0.0,
    scaling: float | None = None,
    **_: object,
) -> tuple[Tensor, None]:
    """Attention of each text to itself; the result is (1, T, H, C)."""
    heads, _tokens, width = query_1HTC.shape[1:]
    # cut in one call: its backward pass writes each gradient once, where a slice would fill a whole row with zeros
    sizes = [texts * length for texts, length in text_runs]
    parts = zip(
        *(whole_1HTC.split_with_sizes(sizes, dim=2) for whole_1HTC in (query_1HTC, key_1HTC, value_1HTC)), strict=True
    )
    attended = []
    for (texts, length), run in zip(text_runs, parts, strict=True):
        query, key, value = (part.reshape(heads, texts, length, width).transpose(0, 1) for part in run)
        if is_short(query) and not dropout:
            attended_BHLC = short_attention(query, key, value, width**-0.5 if scaling is None else scaling)
        else:
            attended_BHLC = F.scaled_dot_product_attention(query, key, value, dropout_p=dropout, scale=scaling)
        attended.append(attended_BHLC.transpose(1, 2).reshape(texts * length, heads, width))
    return torch.cat(attended)[None], None
