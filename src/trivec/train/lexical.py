"""Lexical match with gradient, without an array over the tokenizer's vocabulary.

M3-Embedding (Chen et al. 2024, 2402.03216) section 3:

    w(t)  = max over i with x_i = t of w_i
    s_lex = sum over t in q and p of w_q(t) w_p(t)

Only ids on both sides matter. They are few, so each side becomes a matrix over these ids, and the product is made in
blocks of columns. Of equal weights of one id the first occurrence counts and has the gradient. A weight of 0 is no
occurrence: it has no gradient, as relu has none there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


@dataclass(frozen=True, eq=False, slots=True)
class _Terms:
    """Distinct terms of texts, by column, then row: in text ``rows[i]``, term ``columns[i]`` weighs ``values[i]``."""

    rows: Tensor
    columns: Tensor
    values: Tensor


def lexical_all(
    query_weights: Tensor, query_tokens: Tensor, passage_weights: Tensor, passage_tokens: Tensor, block_bytes: int
) -> Tensor:
    """s_lex of every query with every passage, (Q, P), at least float32.

    Args:
        query_weights: (Q, L), at least 0.
        query_tokens: (Q, L) ids; negative ones do not count.
        passage_weights: (P, K).
        passage_tokens: (P, K).
        block_bytes: of the two matrices over shared ids, held at once. One column is the least.
    """
    shared = _shared(query_tokens[query_weights > 0], passage_tokens[passage_weights > 0])
    queries = _terms(query_weights, *_columns(query_tokens, shared))
    passages = _terms(passage_weights, *_columns(passage_tokens, shared))
    shape = (len(query_weights), len(passage_weights), len(shared))
    scores: Tensor = _Product.apply(  # type: ignore[no-untyped-call]
        queries.values, passages.values, queries, passages, shape, block_bytes
    )
    return scores


def lexical_own(query_weights: Tensor, query_tokens: Tensor, passage_weights: Tensor, passage_tokens: Tensor) -> Tensor:
    """s_lex of every query with its own P / Q passages in a row, (Q, P / Q). Arguments as in `lexical_all`."""
    queries, passages = len(query_weights), len(passage_weights)
    group = passages // queries
    size = int(torch.cat([query_tokens.flatten(), passage_tokens.flatten(), query_tokens.new_zeros(1)]).max()) + 1
    query_keys = _keys(query_tokens, torch.arange(queries, device=query_tokens.device), size)
    passage_keys = _keys(passage_tokens, torch.arange(passages, device=query_tokens.device) // group, size)
    shared = _shared(query_keys[query_weights > 0], passage_keys[passage_weights > 0])
    # A key names one query and one id, so each column has one query's weight.
    query_values = _terms(query_weights, *_columns(query_keys, shared)).values
    terms = _terms(passage_weights, *_columns(passage_keys, shared))
    products = query_values[terms.columns] * terms.values
    return products.new_zeros(passages).index_add(0, terms.rows, products).view(queries, group)


def _keys(tokens: Tensor, owners: Tensor, size: int) -> Tensor:
    return torch.where(tokens < 0, tokens, owners[:, None] * size + tokens)


def _shared(query_ids: Tensor, passage_ids: Tensor) -> Tensor:
    """The ids on both sides, ascending."""
    ids: Tensor = torch.unique(query_ids[query_ids >= 0])
    return ids[torch.isin(ids, passage_ids)]


def _columns(tokens: Tensor, shared: Tensor) -> tuple[Tensor, Tensor]:
    """The place of each token in ``shared``, and whether it is there at all."""
    if not len(shared):
        return torch.zeros_like(tokens), torch.zeros_like(tokens, dtype=torch.bool)
    columns = torch.searchsorted(shared, tokens.contiguous()).clamp(max=len(shared) - 1)
    return columns, shared[columns] == tokens


def _terms(weights: Tensor, columns: Tensor, there: Tensor) -> _Terms:
    """The largest weight of each distinct term of each text."""
    occurrences = (there & (weights > 0)).flatten().nonzero()[:, 0]
    keys = columns.flatten()[occurrences] * len(weights) + occurrences // max(1, weights.shape[1])
    by_weight = weights.detach().flatten()[occurrences].argsort(descending=True, stable=True)
    ordered, by_key = keys[by_weight].sort(stable=True)
    first = torch.ones_like(ordered, dtype=torch.bool)
    first[1:] = ordered[1:] != ordered[:-1]
    chosen = occurrences[by_weight[by_key[first]]]
    values = weights.flatten()[chosen].to(torch.promote_types(weights.dtype, torch.float32))
    return _Terms(ordered[first] % len(weights), ordered[first] // len(weights), values)


class _Product(torch.autograd.Function):
    """(Q, V) times (V, P) of two sides given by their terms. A block of columns is built where it is used."""

    @staticmethod
    def forward(
        ctx: Any,  # noqa: ANN401
        query_values: Tensor,
        passage_values: Tensor,
        queries: _Terms,
        passages: _Terms,
        shape: tuple[int, int, int],
        block_bytes: int,
    ) -> Tensor:
        ctx.save_for_backward(
            query_values, passage_values, queries.rows, queries.columns, passages.rows, passages.columns
        )
        ctx.shape, ctx.block_bytes = shape, block_bytes
        scores_QP = query_values.new_zeros(shape[:2])
        for query, passage in _column_blocks(queries, passages, shape, block_bytes):
            scores_QP.addmm_(query.matrix(query_values), passage.matrix(passage_values).T)
        return scores_QP

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_QP: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        query_values, passage_values, query_rows, query_columns, passage_rows, passage_columns = ctx.saved_tensors
        queries = _Terms(query_rows, query_columns, query_values)
        passages = _Terms(passage_rows, passage_columns, passage_values)
        query_grad, passage_grad = torch.empty_like(query_values), torch.empty_like(passage_values)
        with torch.autocast(grad_QP.device.type, enabled=False):
            for query, passage in _column_blocks(queries, passages, ctx.shape, ctx.block_bytes):
                query_grad[query.part] = (grad_QP @ passage.matrix(passage_values))[query.rows, query.columns]
                passage_grad[passage.part] = (grad_QP.T @ query.matrix(query_values))[passage.rows, passage.columns]
        return query_grad, passage_grad, None, None, None, None


@dataclass(frozen=True, eq=False, slots=True)
class _Side:
    """One side's terms in a block of columns: ``part`` of them, and where each stands in a matrix of ``shape``."""

    part: slice
    rows: Tensor
    columns: Tensor
    shape: tuple[int, int]

    def matrix(self, values: Tensor) -> Tensor:
        """The terms as a dense matrix over the block's columns."""
        matrix = values.new_zeros(self.shape)
        matrix[self.rows, self.columns] = values[self.part]
        return matrix


def _column_blocks(
    queries: _Terms, passages: _Terms, shape: tuple[int, int, int], block_bytes: int
) -> Iterator[tuple[_Side, _Side]]:
    rows = shape[0] + shape[1]
    step = max(1, block_bytes // (rows * queries.values.element_size()))
    for start in range(0, shape[2], step):
        stop = min(start + step, shape[2])
        yield _side(queries, shape[0], start, stop), _side(passages, shape[1], start, stop)


def _side(terms: _Terms, rows: int, start: int, stop: int) -> _Side:
    bounds = torch.tensor([start, stop], device=terms.columns.device)
    first, last = torch.searchsorted(terms.columns, bounds).tolist()
    part = slice(first, last)
    return _Side(part, terms.rows[part], terms.columns[part] - start, (rows, stop - start))
