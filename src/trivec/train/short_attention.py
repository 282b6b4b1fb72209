"""Attention of short texts in bfloat16, as plain matrix products that a CPU does at its full speed.

torch's own attention on a CPU works through blocks of keys, so that it never holds all weights of a long text. For
short texts that costs more than it saves, in bfloat16 most of all: its backward pass takes three to seven times as long
as the products themselves. Here the weights of a few texts are held at once, and computed anew in the backward pass, so
that no more is kept for it than queries, keys and values (as Dao et al. 2022, 2205.14135, section 3.1, do by blocks).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

_LONGEST = 512
"""Tokens: from here on, torch's blocks are as fast."""

_MOST_WEIGHTS = 2**21
"""Held at once, but for a text that has more of them: so many stay in a processor's cache."""


def is_short(query_BHLC: Tensor) -> bool:
    """Whether `short_attention` is the better way for such texts."""
    on_cpu = query_BHLC.device.type == "cpu"
    return on_cpu and query_BHLC.dtype == torch.bfloat16 and query_BHLC.shape[2] <= _LONGEST


def short_attention(query_BHLC: Tensor, key_BHLC: Tensor, value_BHLC: Tensor, scaling: float) -> Tensor:
    """Attention within each of B texts of one length: softmax(Q K' * scaling) V, (B, H, L, C).

    Products and weights are rounded to the precision of the arguments, sums are not.
    """
    attended: Tensor = _ShortAttention.apply(  # type: ignore[no-untyped-call]
        query_BHLC, key_BHLC, value_BHLC, scaling
    )
    return attended


class _ShortAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, key: Tensor, value: Tensor, scaling: float) -> Tensor:  # noqa: ANN401
        ctx.save_for_backward(query, key, value)
        ctx.scaling = scaling
        attended = torch.empty_like(query)
        with torch.autocast(query.device.type, enabled=False):
            for few in _parts(query):
                attended[few] = _weights(query[few], key[few], scaling) @ value[few]
        return attended

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:  # noqa: ANN401
        query, key, value = ctx.saved_tensors
        of_query, of_key, of_value = torch.empty_like(query), torch.empty_like(key), torch.empty_like(value)
        for few in _parts(query):
            weights = _weights(query[few], key[few], ctx.scaling)
            of_weights = gradient[few] @ value[few].mT
            of_products = torch._softmax_backward_data(of_weights, weights, -1, weights.dtype) * ctx.scaling
            of_query[few] = of_products @ key[few]
            of_key[few] = of_products.mT @ query[few]
            of_value[few] = weights.mT @ gradient[few]
        return of_query, of_key, of_value, None


def _parts(query_BHLC: Tensor) -> list[slice]:
    """A few texts at a time."""
    texts, heads, length, _width = query_BHLC.shape
    step = max(1, _MOST_WEIGHTS // (heads * length**2))
    return [slice(start, start + step) for start in range(0, texts, step)]


def _weights(query: Tensor, key: Tensor, scaling: float) -> Tensor:
    return torch.softmax((query @ key.mT) * scaling, dim=-1)
