"""Matryoshka: the first numbers of a dense vector must be a good vector themselves."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from trivec.errors import InputError
from trivec.train.objectives.groups import GroupInfo, LossParts
from trivec.train.objectives.m3 import M3
from trivec.train.vectors import TextVectors


@dataclass(frozen=True)
class MatryoshkaOptions:
    """Which widths of the dense vector are trained.

    Attributes:
        widths: numbers of leading values, each at most the full width. Name the full width to train it too.
        weights: c of each width; none: 1 each.

    Raises:
        InputError: a width is below 1 or twice there, or there are not as many weights as widths.
    """

    widths: tuple[int, ...]
    weights: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.widths or min(self.widths) < 1 or len(set(self.widths)) < len(self.widths):
            raise InputError(f"widths {self.widths}: name one at least, each once and above 0")
        if self.weights and (len(self.weights) != len(self.widths) or min(self.weights) < 0):
            raise InputError(
                f"weights {self.weights} for widths {self.widths}: give one of at least 0 for each, or none"
            )


class Matryoshka:
    """The sum over widths of an objective on dense vectors that are cut and brought back to unit length.

    Matryoshka Representation Learning (Kusupati et al. 2022, 2205.13147): L = sum over m of c_m L_m. Other heads are
    scored once and take part at every width. Use it to make short vectors that need no new index.
    """

    def __init__(self, objective: M3, options: MatryoshkaOptions) -> None:
        if "dense" not in objective.options.heads:
            raise InputError(
                f"heads {objective.options.heads} have no dense vector to cut: add dense, or drop the widths"
            )
        self.objective = objective
        self.options = options

    def __call__(self, queries: TextVectors, passages: TextVectors, batch: GroupInfo) -> LossParts:
        """The loss; its parts are those of each width, named ``part@width``.

        Raises:
            InputError: a width is above the vector's, or as the objective says.
            MissingHeadError: a head is missing in the vectors.
        """
        others = [head for head in self.objective.options.heads if head != "dense"]
        shared = self.objective.scores(queries, passages, batch, others)
        weights = self.options.weights or (1.0,) * len(self.options.widths)
        totals: list[Tensor] = []
        parts: dict[str, Tensor] = {}
        for width, weight in zip(self.options.widths, weights, strict=True):
            sides = (_cut(queries, width), _cut(passages, width), _cut_everywhere(batch, width))
            scores = replace(shared, dense=self.objective.scores(*sides, ["dense"]).dense)
            loss = self.objective.loss(scores, batch)
            totals.append(weight * loss.total)
            parts |= {f"{name}@{width}": part for name, part in loss.parts.items()}
        return LossParts(torch.stack(totals).sum(), parts)


def _cut(vectors: TextVectors, width: int) -> TextVectors:
    if vectors.dense is None or width == vectors.dense.shape[1]:
        return vectors
    if width > vectors.dense.shape[1]:
        raise InputError(f"width {width} is above the dense vector's {vectors.dense.shape[1]}: give smaller widths")
    return replace(vectors, dense=F.normalize(vectors.dense[:, :width], dim=1))


def _cut_everywhere(batch: GroupInfo, width: int) -> GroupInfo:
    return batch if batch.everywhere is None else replace(batch, everywhere=_cut(batch.everywhere, width))
