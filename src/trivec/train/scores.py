"""Scores of queries against passages while training: differentiable, padded texts, bounded memory.

The formulas are those of `trivec.scoring`, M3-Embedding (Chen et al. 2024, 2402.03216) section 3. Scores are at least
float32 whatever the vectors are, also under autocast: divided by a temperature of 0.02, half precision would lose
most of its digits.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from trivec.errors import InputError, MissingHeadError
from trivec.train.lexical import lexical_all, lexical_own
from trivec.train.maxsim import maxsim_all, maxsim_own
from trivec.train.vectors import TextVectors
from trivec.types import Head

TRAINED_HEADS: tuple[Head, ...] = ("dense", "sparse", "multi")
"""The heads that can be scored with gradient."""


@dataclass(frozen=True)
class ScoreOptions:
    """How scores are made.

    Attributes:
        block_bytes: scratch memory of the sparse and of the multi-vector scores. It changes no score.

    Raises:
        InputError: ``block_bytes`` is below 1.
    """

    block_bytes: int = 1 << 25

    def __post_init__(self) -> None:
        if self.block_bytes < 1:
            raise InputError(f"block_bytes is {self.block_bytes}: give a size in bytes, such as {1 << 25}")


DEFAULT_SCORING = ScoreOptions()


@dataclass(frozen=True, eq=False, slots=True)
class Scores:
    """One matrix for each head, or None: (Q, P) of all pairs, (B, G) of own groups. Columns may differ by head."""

    dense: Tensor | None = None
    sparse: Tensor | None = None
    multi: Tensor | None = None

    def of(self, head: Head) -> Tensor:
        """The matrix of one head.

        Raises:
            MissingHeadError: it is not there.
        """
        matrix = {"dense": self.dense, "sparse": self.sparse, "multi": self.multi}.get(head)
        if matrix is None:
            raise MissingHeadError(f"there are no {head!r} scores: name {head!r} among the heads to score")
        return matrix


def score_all(
    queries: TextVectors, passages: TextVectors, heads: Sequence[Head], options: ScoreOptions = DEFAULT_SCORING
) -> Scores:
    """Every query against every passage, (Q, P), by the heads named.

    Raises:
        MissingHeadError: a head is missing on a side.
    """
    _require(queries, passages, heads)
    with torch.autocast(queries.tensors()[0].device.type, enabled=False):
        return Scores(
            dense=_dense_all(queries, passages) if "dense" in heads else None,
            sparse=lexical_all(*_sparse(queries), *_sparse(passages), options.block_bytes)
            if "sparse" in heads
            else None,
            multi=maxsim_all(*_multi(queries), *_multi(passages), options.block_bytes) if "multi" in heads else None,
        )


def score_own(
    queries: TextVectors, passages: TextVectors, heads: Sequence[Head], options: ScoreOptions = DEFAULT_SCORING
) -> Scores:
    """Each query against its own group of passages in a row, (B, G), without scoring any other pair.

    Raises:
        InputError: the passages do not make groups of one size.
        MissingHeadError: a head is missing on a side.
    """
    _require(queries, passages, heads)
    if not len(queries) or not len(passages) or len(passages) % len(queries):
        raise InputError(
            f"{len(passages)} passages make no equal groups for {len(queries)} queries: give B * G of them"
        )
    with torch.autocast(queries.tensors()[0].device.type, enabled=False):
        return Scores(
            dense=_dense_own(queries, passages) if "dense" in heads else None,
            sparse=lexical_own(*_sparse(queries), *_sparse(passages)) if "sparse" in heads else None,
            multi=maxsim_own(*_multi(queries), *_multi(passages), options.block_bytes) if "multi" in heads else None,
        )


def _require(queries: TextVectors, passages: TextVectors, heads: Sequence[Head]) -> None:
    for side, vectors in (("queries", queries), ("passages", passages)):
        missing = [head for head in heads if head not in vectors.heads]
        if missing:
            raise MissingHeadError(
                f"the {side} have no {missing[0]!r} vectors, only {', '.join(vectors.heads)}: "
                "train a model with this head, or leave it out of the objective"
            )


def _dense_all(queries: TextVectors, passages: TextVectors) -> Tensor:
    return _dense(queries) @ _dense(passages).T


def _dense_own(queries: TextVectors, passages: TextVectors) -> Tensor:
    query_BD, passage_PD = _dense(queries), _dense(passages)
    return (passage_PD.reshape(len(query_BD), -1, passage_PD.shape[1]) @ query_BD[..., None]).squeeze(-1)


def _dense(vectors: TextVectors) -> Tensor:
    assert vectors.dense is not None
    return vectors.dense.to(torch.promote_types(vectors.dense.dtype, torch.float32))


def _sparse(vectors: TextVectors) -> tuple[Tensor, Tensor]:
    assert vectors.weights is not None and vectors.tokens is not None
    return vectors.weights, vectors.tokens


def _multi(vectors: TextVectors) -> tuple[Tensor, Tensor]:
    assert vectors.multi is not None and vectors.multi_mask is not None
    return vectors.multi, vectors.multi_mask
