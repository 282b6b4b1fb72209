"""Low-rank adaptation (Hu et al. 2021, 2106.09685): W stays, and x W^T + scale * x A^T B^T is what a layer gives.

Written as subclasses of ``nn.Linear`` whose weights keep their names, so that a backbone with them still saves and
loads as the stock class, and a delta file (`trivec.encode.delta`) carries nothing but A, B and the scale.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trivec.errors import InputError


@dataclass(frozen=True)
class LoraOptions:
    """Which layers are adapted, and how.

    Attributes:
        rank: r, rows of A and columns of B.
        alpha: the update is scaled by alpha / rank.
        dropout: on the input of A, while training.
        layers: last parts of the names of the linear layers to adapt, such as ``("query", "value")``; empty means
            all linear layers of the backbone.
    """

    rank: int = 16
    alpha: float = 32.0
    dropout: float = 0.0
    layers: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.rank < 1:
            raise InputError(f"the LoRA rank is {self.rank}: give at least 1")
        if not math.isfinite(self.alpha):
            raise InputError(f"the LoRA alpha is {self.alpha}: give a finite number, such as twice the rank")
        if not 0 <= self.dropout < 1:
            raise InputError(f"the LoRA dropout is {self.dropout}: give a number from 0 to below 1")

    @property
    def scale(self) -> float:
        """What B A is multiplied by."""
        return self.alpha / self.rank


class LoraLinear(nn.Linear):
    """A frozen linear layer with a trainable low-rank update, which is zero at first.

    Attributes:
        lora_a: A, (rank, in), drawn as the weights of a new linear layer are.
        lora_b: B, (out, rank), zeros.
    """

    def __init__(self, base: nn.Linear, options: LoraOptions, generator: torch.Generator) -> None:
        super().__init__(base.in_features, base.out_features, base.bias is not None, device="meta")
        self.weight, self.bias = base.weight, base.bias
        self.scale, self.lora_dropout = options.scale, options.dropout
        down = torch.empty(options.rank, base.in_features).uniform_(-1, 1, generator=generator)
        self.lora_a = nn.Parameter((down / math.sqrt(base.in_features)).to(self.weight))
        self.lora_b = nn.Parameter(self.weight.new_zeros(base.out_features, options.rank))

    def forward(self, input: Tensor) -> Tensor:
        """The layer, updated."""
        down = F.linear(F.dropout(input, self.lora_dropout, self.training), self.lora_a)
        base = F.linear(input, self.weight, self.bias)
        # one product that scales and adds: on a CPU, passes over large results cost more than this product
        updated = torch.addmm(base.flatten(0, -2), down.flatten(0, -2), self.lora_b.T, alpha=self.scale)
        return updated.view_as(base)

    def merged(self) -> Tensor:
        """W + scale * B A, without gradient."""
        return self.weight.detach() + self.scale * (self.lora_b.detach() @ self.lora_a.detach())


def add_lora(backbone: nn.Module, options: LoraOptions, seed: int, left_alone: Sequence[nn.Module] = ()) -> None:
    """Freeze a backbone and give its linear layers low-rank updates, but for those inside ``left_alone``.

    Raises:
        InputError: a name among ``options.layers`` fits no linear layer.
    """
    backbone.requires_grad_(False)
    without = {id(module) for part in left_alone for module in part.modules()}
    linear = {
        name: module
        for name, module in backbone.named_modules()
        if isinstance(module, nn.Linear) and id(module) not in without
    }
    chosen = [name for name in linear if not options.layers or _ends_with(name, options.layers)]
    unused = [ending for ending in options.layers if not any(_ends_with(name, (ending,)) for name in chosen)]
    if unused or not chosen:
        known = ", ".join(sorted({name.rpartition(".")[2] for name in linear}))
        raise InputError(f"no linear layer is called {', '.join(unused) or 'anything'}: the backbone has {known}")
    generator = torch.Generator().manual_seed(seed)
    for name in chosen:
        parent, _, last = name.rpartition(".")
        setattr(backbone.get_submodule(parent), last, LoraLinear(linear[name], options, generator))


def lora_layers(backbone: nn.Module) -> Iterator[tuple[str, LoraLinear]]:
    """The adapted layers by name."""
    for name, module in backbone.named_modules():
        if isinstance(module, LoraLinear):
            yield name, module


def _ends_with(name: str, endings: tuple[str, ...]) -> bool:
    return any(f".{name}".endswith(f".{ending}") for ending in endings)
