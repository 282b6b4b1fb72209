"""Heads that score a pair between the layers of a decoder: one row of weights for each of the layers that has one.

In published folders they are ``lm_head.N.linear_head.weight``, the first of them for ``start_layer``. Layer k means
"behind k layers". A head belongs to its layer, whichever others are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from trivec.errors import CorruptModelError, InputError
from trivec.rerank.llm_weights import read_named


class LayerHeads:
    """Heads of some layers.

    Args:
        layers: of which layers, in ascending order.
        weights: (layers, D).
        softcap: logits are kept between minus and plus this, by tanh; None leaves them.
    """

    def __init__(self, layers: Sequence[int], weights: torch.Tensor, softcap: float | None = None) -> None:
        self.layers = tuple(layers)
        self._weights = dict(zip(self.layers, weights, strict=True))
        self._softcap = softcap

    def score(self, layer: int, states_BD: torch.Tensor) -> torch.Tensor:
        """(B,) logits of a layer's states, normed as the last layer's are."""
        logits_B = states_BD.float() @ self._weights[layer]
        return logits_B if self._softcap is None else torch.tanh(logits_B / self._softcap) * self._softcap


def choose_layers(cutoff_layers: Sequence[int] | None, offered: Sequence[int], source: str) -> tuple[int, ...]:
    """Layers to score, in ascending order; None is the last one.

    Raises:
        InputError: none is asked for, or one that has no head.
    """
    if cutoff_layers is None:
        return (offered[-1],)
    layers = tuple(sorted(set(cutoff_layers)))
    wrong = [layer for layer in layers if layer not in offered]
    if wrong or not layers:
        has = f"{offered[0]} to {offered[-1]}" + (f" in steps of {offered[1] - offered[0]}" if len(offered) > 1 else "")
        raise InputError(f"cutoff_layers is {list(cutoff_layers)}, and {source} scores layers {has}: choose of those")
    return layers


def read_heads(folder: Path, layers: Sequence[int], offered: Sequence[int], width: int, shared: bool) -> torch.Tensor:
    """(layers, D) weights of some of the layers that a folder offers heads for.

    Args:
        folder: of the model.
        layers: which ones.
        offered: all of them, in the order of the heads.
        width: D.
        shared: whether all layers have the same head.

    Raises:
        CorruptModelError: a head is missing, or is no row of that width.
    """
    tensors = read_named(folder, "lm_head.")
    rows = []
    for layer in layers:
        name = "lm_head.linear_head.weight" if shared else f"lm_head.{offered.index(layer)}.linear_head.weight"
        if name not in tensors:
            raise CorruptModelError(f"{folder} lacks {name}, the head of layer {layer}: fetch the model again")
        if tuple(tensors[name].shape) != (1, width):
            raise CorruptModelError(
                f"{folder} has {name} of shape {tuple(tensors[name].shape)}, where (1, {width}) should be: fetch the "
                "model again"
            )
        rows.append(tensors[name][0])
    return torch.stack(rows)
