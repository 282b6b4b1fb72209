"""What the heads give for a batch of texts while training: torch tensors that carry gradient.

Shape letters: n texts, D width of the dense vector, L tokens, M token vectors of width C.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from trivec.errors import InputError
from trivec.types import Head

Rows: TypeAlias = slice | Tensor
"""Which texts: a slice, or a vector of row numbers or of booleans."""

NO_TOKEN = -1
"""Stands in ``tokens`` where re-padding made room. No negative token ever counts."""


@dataclass(frozen=True, eq=False, slots=True)
class TextVectors:
    """The outputs of up to three heads for n texts. A head that is not there is None.

    Attributes:
        dense: (n, D), unit length.
        weights: (n, L), at least 0; 0 at padding and at ids that do not count, such as CLS and EOS.
        tokens: (n, L) int64, the ids that ``weights`` belong to.
        multi: (n, M, C), unit length, zero rows at padding.
        multi_mask: (n, M) bool, True at the vectors that are there.

    Raises:
        InputError: there is no head, half of one, or the shapes do not fit.
    """

    dense: Tensor | None = None
    weights: Tensor | None = None
    tokens: Tensor | None = None
    multi: Tensor | None = None
    multi_mask: Tensor | None = None

    def __post_init__(self) -> None:
        _same_shape("weights", self.weights, "tokens", self.tokens, 2)
        _same_shape("multi", self.multi, "multi_mask", self.multi_mask, 2)
        counts = {len(tensor) for tensor in self.tensors()}
        if len(counts) != 1:
            raise InputError(f"vectors of {sorted(counts)} texts: give every head's output for the same texts")

    def __len__(self) -> int:
        """The number of texts."""
        return len(self.tensors()[0])

    @property
    def heads(self) -> tuple[Head, ...]:
        """The heads that are there: "dense", "sparse", "multi"."""
        parts: dict[Head, Tensor | None] = {"dense": self.dense, "sparse": self.weights, "multi": self.multi}
        return tuple(head for head, part in parts.items() if part is not None)

    def tensors(self) -> tuple[Tensor, ...]:
        """The tensors that can carry gradient, those that are there, always in the order dense, weights, multi."""
        return tuple(part for part in (self.dense, self.weights, self.multi) if part is not None)

    def with_tensors(self, tensors: Sequence[Tensor]) -> TextVectors:
        """The same texts with other values: ``tensors`` in the order of `tensors`."""
        left = iter(tensors)
        dense, weights, multi = (
            None if part is None else next(left) for part in (self.dense, self.weights, self.multi)
        )
        return replace(self, dense=dense, weights=weights, multi=multi)

    def rows(self, rows: Rows) -> TextVectors:
        """Some of the texts, padded as they were."""
        return TextVectors(*(None if part is None else part[rows] for part in self._fields()))

    def only(self, heads: Sequence[Head]) -> TextVectors:
        """The same texts with fewer heads.

        Raises:
            InputError: none of them is there.
        """
        return TextVectors(
            dense=self.dense if "dense" in heads else None,
            weights=self.weights if "sparse" in heads else None,
            tokens=self.tokens if "sparse" in heads else None,
            multi=self.multi if "multi" in heads else None,
            multi_mask=self.multi_mask if "multi" in heads else None,
        )

    def detached(self) -> TextVectors:
        """The same values as new leaves of the graph, which gather gradient of their own."""
        return self.with_tensors([tensor.detach().requires_grad_() for tensor in self.tensors()])

    def padded(self, tokens: int, vectors: int) -> TextVectors:
        """The same texts with room for at least ``tokens`` tokens and ``vectors`` token vectors."""
        return TextVectors(
            dense=self.dense,
            weights=_pad(self.weights, tokens, 0),
            tokens=_pad(self.tokens, tokens, NO_TOKEN),
            multi=_pad(self.multi, vectors, 0),
            multi_mask=_pad(self.multi_mask, vectors, False),
        )

    @staticmethod
    def concatenate(parts: Sequence[TextVectors]) -> TextVectors:
        """All texts of the parts, one part after the other, padded to the longest.

        Raises:
            InputError: no part, or the parts have different heads.
        """
        if len({part.heads for part in parts}) != 1:
            raise InputError(f"cannot join vectors of heads {[part.heads for part in parts]}: give parts with the same")
        tokens = max(_room(part.weights) for part in parts)
        vectors = max(_room(part.multi) for part in parts)
        columns = zip(*(part.padded(tokens, vectors)._fields() for part in parts), strict=True)
        return TextVectors(*(_join(column) for column in columns))

    def _fields(self) -> tuple[Tensor | None, ...]:
        return self.dense, self.weights, self.tokens, self.multi, self.multi_mask


def _same_shape(name: str, values: Tensor | None, other_name: str, other: Tensor | None, dimensions: int) -> None:
    shapes = [None if part is None else tuple(part.shape[:dimensions]) for part in (values, other)]
    if shapes[0] != shapes[1]:
        raise InputError(f"{name} {shapes[0]} and {other_name} {shapes[1]} do not fit: give both for the same tokens")


def _room(tensor: Tensor | None) -> int:
    return 0 if tensor is None else tensor.shape[1]


def _pad(tensor: Tensor | None, room: int, value: float) -> Tensor | None:
    if tensor is None or tensor.shape[1] >= room:
        return tensor
    sides = [0, 0] * (tensor.dim() - 2) + [0, room - tensor.shape[1]]
    return F.pad(tensor, sides, value=value)


def _join(column: Sequence[Tensor | None]) -> Tensor | None:
    present = [part for part in column if part is not None]
    return torch.cat(present) if present else None
