"""Attention of short texts in bfloat16 on a CPU, forward and backward: trivec's beside torch's own, in one run.

    python benchmarks/short_attention.py --out benchmarks/results/short_attention.json

Told is torch's time as a multiple of trivec's (medians of turns taken by one after the other), and how far the
gradients of each are from those in float64, as a share of their norm.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from trivec.train.short_attention import short_attention

from common import environment, write_result

_HEADS = 12
_SHAPES = (
    (32, 16, 40),
    (32, 16, 100),
    (32, 8, 200),
    (32, 4, 300),
    (32, 2, 512),
    (64, 16, 100),
    (64, 8, 200),
    (64, 2, 512),
)
"""Width of a head, texts, tokens of each."""

Attention = Callable[[Tensor, Tensor, Tensor], Tensor]


def blockwise(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Those of torch."""
    return F.scaled_dot_product_attention(query, key, value)


def products(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """Those of trivec."""
    return short_attention(query, key, value, query.shape[-1] ** -0.5)


def passes(attention: Attention, inputs: list[Tensor], dtype: torch.dtype) -> tuple[float, Tensor]:
    """Seconds of a forward and a backward pass, and all gradients."""
    leaves = [tensor.to(dtype).detach().clone().requires_grad_() for tensor in inputs[:3]]
    upstream = inputs[3].to(dtype)
    start = time.perf_counter()
    attention(*leaves).backward(upstream)
    seconds = time.perf_counter() - start
    return seconds, torch.cat([leaf.grad.double().flatten() for leaf in leaves if leaf.grad is not None])


def measured(width: int, texts: int, length: int, turns: int) -> dict[str, float]:
    """Both ways for one shape, laid out as packed texts are."""
    generator = torch.Generator().manual_seed(length)
    inputs = [
        torch.randn((texts, length, _HEADS, width), generator=generator).bfloat16().double().transpose(1, 2)
        for _ in range(4)
    ]
    _, exact = passes(blockwise, inputs, torch.float64)
    ways = {"torch": blockwise, "trivec": products}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    errors = {}
    for _ in range(turns):
        for name, way in ways.items():
            taken, gradients = passes(way, inputs, torch.bfloat16)
            seconds[name].append(taken)
            errors[name] = float((gradients - exact).norm() / exact.norm())
    return {
        "width": width,
        "texts": texts,
        "tokens": length,
        "torch_to_trivec": round(statistics.median(seconds["torch"]) / statistics.median(seconds["trivec"]), 2),
        **{f"error_{name}": round(error, 4) for name, error in errors.items()},
    }


def main() -> None:
    """Measure all shapes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--turns", type=int, default=15)
    given = parser.parse_args()
    rows = [measured(*shape, given.turns) for shape in _SHAPES]
    for row in rows:
        print(row)
    write_result(given.out, {"environment": environment(), "shapes": rows})


if __name__ == "__main__":
    main()
