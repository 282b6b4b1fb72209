"""The lowest layers of a backbone, left as they are: no gradient, no dropout, so a text's states there never change.

The gradient ends at the lowest layer that is trained: with the lower two thirds frozen, a step takes half the time.
"""

from __future__ import annotations

from typing import Any

from torch import nn

from trivec.errors import InputError


def freeze_layers(backbone: Any, count: int) -> None:  # noqa: ANN401
    """Freeze everything that comes before layer number ``count``, word embeddings included.

    Raises:
        InputError: the backbone does not have so many layers.
    """
    for part in _below(backbone, count):
        part.requires_grad_(False)


def rest_layers(backbone: Any, count: int) -> None:  # noqa: ANN401
    """Put everything before layer number ``count`` into evaluation mode: its states have no dropout."""
    for part in _below(backbone, count):
        part.eval()


def lowest_layers(backbone: Any, count: int) -> list[nn.Module]:  # noqa: ANN401
    """The layers numbered 0 to ``count`` - 1.

    Raises:
        InputError: the backbone does not have so many layers, or none that can be told apart.
    """
    if count == 0:
        return []
    layers = list(_layers(backbone))
    if not 0 < count <= len(layers):
        raise InputError(
            f"freeze_layers is {count}, and the backbone has {len(layers)} layers: give 0 to {len(layers)}"
        )
    return layers[:count]


def _below(backbone: nn.Module, count: int) -> list[nn.Module]:
    """The parts before layer ``count``, as large as they come: parts are registered in the order of their use."""
    lowest = lowest_layers(backbone, count)
    if not lowest:
        return []
    layers = _layers(backbone)
    path = next(name for name, module in backbone.named_modules() if module is layers).split(".")
    parts: list[nn.Module] = list(lowest)
    parent = backbone
    for name in path:
        for child_name, child in parent.named_children():
            if child_name == name:
                parent = child
                break
            parts.append(child)
    return parts


def _layers(backbone: Any) -> nn.ModuleList:  # noqa: ANN401
    wanted = getattr(backbone.config, "num_hidden_layers", None)
    for module in backbone.modules():
        if isinstance(module, nn.ModuleList) and len(module) == wanted:
            return module
    raise InputError(f"the layers of a {type(backbone).__name__} cannot be told apart: leave freeze_layers out")
