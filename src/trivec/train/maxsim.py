"""Late interaction with gradient, in blocks: no (Q, N, P, M) array of similarities is ever whole.

M3-Embedding (Chen et al. 2024, 2402.03216) section 3, over the vectors that are there:

    s_mul = 1/N sum_i max_j <E_q[i], E_p[j]>

Only the winner of each maximum has a gradient. So the forward pass keeps the winners' numbers, and the backward
pass is a weighted sum of the rows they name: neither repeats the similarities.

Shape letters: Q queries of N vectors, P passages of M vectors, all of width C; T all real query vectors; A blocks of
queries with R passages each.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

_Block: TypeAlias = tuple[slice, slice, slice]

_BYTES_PER_MATCH = 64
"""Scratch of the backward pass for one (query vector, passage): some eight 64-bit numbers."""


def maxsim_all(query_QNC: Tensor, query_mask: Tensor, passage_PMC: Tensor, mask_PM: Tensor, block_bytes: int) -> Tensor:
    """s_mul of every query with every passage, (Q, P), at least float32. A text without vectors scores 0.

    Args:
        query_QNC: vectors of the queries.
        query_mask: (Q, N) bool, True at real vectors.
        passage_PMC: vectors of the passages.
        mask_PM: bool, True at real vectors.
        block_bytes: similarities held at once. One query vector with one passage is the least.
    """
    vectors_TC = query_QNC[query_mask]
    best_TP = _best(vectors_TC[None], passage_PMC[None], mask_PM[None], block_bytes)[0]
    owner_T = query_mask.nonzero()[:, 0]
    lengths_Q = query_mask.sum(dim=1)
    averaging_QT = best_TP.new_zeros(len(query_QNC), len(owner_T))
    averaging_QT[owner_T, torch.arange(len(owner_T), device=owner_T.device)] = 1 / lengths_Q[owner_T].to(best_TP.dtype)
    return averaging_QT @ best_TP


def maxsim_own(query_QNC: Tensor, query_mask: Tensor, passage_PMC: Tensor, mask_PM: Tensor, block_bytes: int) -> Tensor:
    """s_mul of every query with its own P / Q passages in a row, (Q, P / Q). Arguments as in `maxsim_all`."""
    queries = len(query_QNC)
    best_QNR = _best(query_QNC, _grouped(passage_PMC, queries), _grouped(mask_PM, queries), block_bytes)
    return best_QNR.masked_fill(~query_mask[..., None], 0).sum(dim=1) / query_mask.sum(dim=1).clamp(min=1)[:, None]


def _grouped(tensor: Tensor, groups: int) -> Tensor:
    return tensor.reshape(groups, len(tensor) // groups, *tensor.shape[1:])


def _best(query_ANC: Tensor, passage_ARMC: Tensor, mask_ARM: Tensor, block_bytes: int) -> Tensor:
    if not query_ANC.numel() or not passage_ARMC.numel():
        # No vector on one side: zeros, which still belong to the graph.
        shape = (*query_ANC.shape[:2], passage_ARMC.shape[1])
        return passage_ARMC.new_zeros(shape, dtype=_score_dtype(query_ANC)) + 0 * (query_ANC.sum() + passage_ARMC.sum())
    best: Tensor = _BestMatches.apply(query_ANC, passage_ARMC, mask_ARM, block_bytes)  # type: ignore[no-untyped-call]
    return best


def _score_dtype(vectors: Tensor) -> torch.dtype:
    return torch.promote_types(vectors.dtype, torch.float32)


class _BestMatches(torch.autograd.Function):
    """(A, N, R): the largest similarity of each query vector with a vector of each passage; the first one in a tie."""

    @staticmethod
    def forward(ctx: Any, query_ANC: Tensor, passage_ARMC: Tensor, mask_ARM: Tensor, block_bytes: int) -> Tensor:  # noqa: ANN401
        dtype = _score_dtype(query_ANC)
        blocks_A, vectors_N, _ = query_ANC.shape
        passages_R = passage_ARMC.shape[1]
        best_ANR = query_ANC.new_zeros(blocks_A, vectors_N, passages_R, dtype=dtype)
        winner_ANR = query_ANC.new_zeros(best_ANR.shape, dtype=torch.int32)
        there_AR = mask_ARM.any(dim=2)
        for a, n, r in _blocks(query_ANC, passage_ARMC, block_bytes // dtype.itemsize):
            similar = query_ANC[a, n].to(dtype) @ passage_ARMC[a, r].flatten(1, 2).to(dtype).mT
            similar = similar.view(*similar.shape[:2], -1, passage_ARMC.shape[2])
            similar.masked_fill_(~mask_ARM[a, None, r], float("-inf"))
            best_ANR[a, n, r], winner_ANR[a, n, r] = similar.max(dim=3)
            del similar
        ctx.save_for_backward(query_ANC, passage_ARMC, winner_ANR, there_AR)
        ctx.block_bytes = block_bytes
        return best_ANR.masked_fill_(~there_AR[:, None], 0)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_ANR: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        query_ANC, passage_ARMC, winner_ANR, there_AR = ctx.saved_tensors
        grad_ANR = grad_ANR.masked_fill(~there_AR[:, None], 0)
        query_grad = torch.zeros_like(query_ANC, dtype=grad_ANR.dtype)
        passage_grad = torch.empty_like(passage_ARMC)
        for a, r in _passage_blocks(winner_ANR, ctx.block_bytes):
            grad, winner = grad_ANR[a, :, r], winner_ANR[a, :, r]
            if ctx.needs_input_grad[0]:
                query_grad[a] += _query_gradient(grad, winner, passage_ARMC[a, r])
            if ctx.needs_input_grad[1]:
                passage_grad[a, r] = _passage_gradient(grad, winner, query_ANC[a], passage_ARMC.shape[2])
        return query_grad.to(query_ANC.dtype), passage_grad, None, None


def _query_gradient(grad_ANR: Tensor, winner_ANR: Tensor, passage_ARMC: Tensor) -> Tensor:
    """(A, N, C): for each query vector, its winners, weighted."""
    rows = _row_of_winner(winner_ANR, passage_ARMC.shape[2]).flatten(0, 1)
    table = passage_ARMC.flatten(0, 2).to(grad_ANR.dtype)
    total = F.embedding_bag(rows, table, per_sample_weights=grad_ANR.flatten(0, 1), mode="sum")
    return total.view(*winner_ANR.shape[:2], -1)


def _passage_gradient(grad_ANR: Tensor, winner_ANR: Tensor, query_ANC: Tensor, room: int) -> Tensor:
    """(A, R, M, C): for each passage vector, the query vectors that it won, weighted. ``room`` is M."""
    blocks_A, _, passages_R = winner_ANR.shape
    rows, order = _row_of_winner(winner_ANR, room).flatten().sort(stable=True)
    # Sorted sums instead of scattered ones: the same order of additions in every run, on every device.
    starts = torch.searchsorted(rows, torch.arange(blocks_A * passages_R * room + 1, device=rows.device))
    total = F.embedding_bag(
        order // passages_R,
        query_ANC.flatten(0, 1).to(grad_ANR.dtype),
        starts,
        per_sample_weights=grad_ANR.flatten()[order],
        mode="sum",
        include_last_offset=True,
    )
    return total.view(blocks_A, passages_R, room, -1)


def _row_of_winner(winner_ANR: Tensor, room: int) -> Tensor:
    """Row of the winner among all vectors of all passages, (A, R, M) in order."""
    blocks_A, _, passages_R = winner_ANR.shape
    passages = torch.arange(blocks_A * passages_R, device=winner_ANR.device).view(blocks_A, 1, passages_R)
    return passages * room + winner_ANR


def _blocks(query_ANC: Tensor, passage_ARMC: Tensor, values: int) -> Iterator[_Block]:
    """Slices of A, N and R with at most ``values`` similarities and copied passage values, or of a single pair."""
    blocks_A, vectors_N, width = query_ANC.shape
    _, passages_R, room, _ = passage_ARMC.shape
    one_passage = max(1, (vectors_N + width) * room)
    for a in _steps(blocks_A, values // max(1, one_passage * passages_R)):
        for r in _steps(passages_R, values // one_passage):
            for n in _steps(vectors_N, values // max(1, room) - width):
                yield a, n, r


def _passage_blocks(winner_ANR: Tensor, block_bytes: int) -> Iterator[tuple[slice, slice]]:
    blocks_A, vectors_N, passages_R = winner_ANR.shape
    one_passage = max(1, vectors_N) * _BYTES_PER_MATCH
    for a in _steps(blocks_A, block_bytes // (one_passage * max(1, passages_R))):
        for r in _steps(passages_R, block_bytes // one_passage):
            yield a, r


def _steps(length: int, step: int) -> Iterator[slice]:
    step = max(1, step)
    return (slice(start, start + step) for start in range(0, length, step))
