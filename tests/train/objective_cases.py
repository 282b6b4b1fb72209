"""Vectors, and the plain ways of scoring them, for the tests of scores and objectives."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from trivec.train.vectors import TextVectors


def random_vectors(
    seed: int, texts: int, tokens: int = 5, vocabulary: int = 7, width: int = 6, multi_width: int = 4, **changes: Any
) -> TextVectors:
    """Float64 vectors of texts of one to ``tokens`` tokens, padded, as leaves that gather gradient."""
    random = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, tokens + 1, (texts, 1), generator=random)
    mask = torch.arange(tokens)[None] < lengths
    weights = torch.rand(texts, tokens, generator=random, dtype=torch.float64)
    multi = F.normalize(torch.randn(texts, tokens, multi_width, generator=random, dtype=torch.float64), dim=2)
    return TextVectors(
        dense=F.normalize(torch.randn(texts, width, generator=random, dtype=torch.float64), dim=1),
        weights=(weights * mask).masked_fill(weights < 0.2, 0),
        tokens=torch.randint(0, vocabulary, (texts, tokens), generator=random),
        multi=multi * mask[..., None],
        multi_mask=mask,
    ).detached()


def naive_sparse(queries: TextVectors, passages: TextVectors, vocabulary: int) -> Tensor:
    """s_lex by way of (n, L, V)."""
    return _naive_terms(queries, vocabulary) @ _naive_terms(passages, vocabulary).T


def _naive_terms(vectors: TextVectors, vocabulary: int) -> Tensor:
    assert vectors.weights is not None and vectors.tokens is not None
    # relu: as in the head, a weight of 0 has no gradient.
    return (F.one_hot(vectors.tokens, vocabulary) * vectors.weights.relu()[..., None]).amax(dim=1)


def naive_maxsim(queries: TextVectors, passages: TextVectors) -> Tensor:
    """s_mul pair by pair, over real vectors only."""
    rows = [[_one_maxsim(query, passage) for passage in _real(passages)] for query in _real(queries)]
    return torch.stack([torch.stack(row) for row in rows])


def _real(vectors: TextVectors) -> list[Tensor]:
    assert vectors.multi is not None and vectors.multi_mask is not None
    return [rows[mask] for rows, mask in zip(vectors.multi, vectors.multi_mask, strict=True)]


def _one_maxsim(query: Tensor, passage: Tensor) -> Tensor:
    return (query @ passage.T).max(dim=1).values.mean()


def gradients(loss: Tensor, *vectors: TextVectors) -> list[Tensor]:
    """The gradient of a scalar in every tensor of the vectors; zeros where it does not depend on one."""
    leaves = [leaf for part in vectors for leaf in part.tensors()]
    found = torch.autograd.grad(loss, leaves, allow_unused=True, retain_graph=True)
    return [torch.zeros_like(leaf) if part is None else part for leaf, part in zip(leaves, found, strict=True)]


class LargestTensor(TorchDispatchMode):
    """Remembers the most bytes that one operation's result had. Views and results of no new memory count too."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for value in result if isinstance(result, tuple | list) else [result]:
            if isinstance(value, Tensor):
                self.bytes = max(self.bytes, value.numel() * value.element_size())
        return result
