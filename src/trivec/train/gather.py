"""Passages of all ranks as negatives, with the exact gradient.

Every rank scores its own queries against the passages of all ranks and takes the mean over its own queries. In the
backward pass each passage's gradient is summed over ranks and goes home to the rank that encoded it. Data parallel
training then averages the ranks' gradients, so W ranks with B queries each do exactly what one rank with W * B does,
and no rank makes another's scores. M3-Embedding (Chen et al. 2024, 2402.03216), section 3.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor

from trivec.errors import MissingHeadError
from trivec.train.objectives.groups import GroupInfo
from trivec.train.vectors import TextVectors
from trivec.types import Head


@dataclass(frozen=True, eq=False, slots=True)
class Gathered:
    """The passages of all ranks, rank after rank.

    Attributes:
        vectors: of all passages, with gradient to the ranks they are from.
        first_passage: the row of this rank's first passage.
        share: this rank's passages over the ranks' mean. The loss times this is exact also where ranks have different
            numbers of queries; 1 where they have as many.
        ranks: W.
    """

    vectors: TextVectors
    first_passage: int = 0
    share: float = 1.0
    ranks: int = 1

    def group_info(self, batch: GroupInfo, as_reference: bool = False) -> GroupInfo:
        """The batch with the gathered passages in it.

        Args:
            batch: how the rank's own passages belong to its queries.
            as_reference: the gradient of losses over all ranks is divided by W, as FlagEmbedding has it.
        """
        gradient = 1 / self.ranks if as_reference else 1.0
        return replace(batch, everywhere=self.vectors, first_passage=self.first_passage, everywhere_gradient=gradient)


def gather_vectors(vectors: TextVectors, heads: Sequence[Head] | None = None) -> Gathered:
    """The vectors of all ranks, padded to the longest. All ranks must call it, with the same heads.

    Args:
        vectors: this rank's passages. Their number and padding may differ between ranks.
        heads: which to gather; none: all. ``["dense"]`` is what M3-Embedding did in unified fine-tuning.

    Raises:
        MissingHeadError: none of ``heads`` is there.
    """
    if heads is not None and not set(heads) & set(vectors.heads):
        raise MissingHeadError(f"cannot gather {', '.join(heads)}: the vectors have only {', '.join(vectors.heads)}")
    chosen = vectors if heads is None else vectors.only(heads)
    if not _several():
        return Gathered(chosen)
    counts, tokens, token_vectors = _sizes(chosen)
    padded = chosen.padded(tokens, token_vectors)
    joined = iter(_SummingGather.apply(counts, *padded.tensors()))  # type: ignore[no-untyped-call]
    gathered = TextVectors(
        dense=next(joined) if padded.dense is not None else None,
        weights=next(joined) if padded.weights is not None else None,
        tokens=None if padded.tokens is None else _gather(padded.tokens, counts),
        multi=next(joined) if padded.multi is not None else None,
        multi_mask=None if padded.multi_mask is None else _gather(padded.multi_mask.byte(), counts).bool(),
    )
    share = len(vectors) * len(counts) / sum(counts)
    return Gathered(gathered, sum(counts[: dist.get_rank()]), share, len(counts))


def most_on_a_rank(count: int, device: torch.device) -> int:
    """The largest of all ranks' counts. All ranks must call it."""
    return int(_exchange([count], device).max()) if _several() else count


_all_gather = getattr(dist, "all_gather_single", None) or dist.all_gather_into_tensor
"""Its newer name, where torch has it: the older one warns there."""


def _several() -> bool:
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def _exchange(values: list[int], device: torch.device) -> Tensor:
    """(W, len(values)): these values of every rank."""
    mine = torch.tensor(values, device=device)
    everyone = mine.new_empty(dist.get_world_size() * len(values))
    _all_gather(everyone, mine)
    return everyone.view(-1, len(values)).cpu()


def _sizes(vectors: TextVectors) -> tuple[list[int], int, int]:
    """Texts on each rank, and the most tokens and token vectors on any."""
    tokens = 0 if vectors.weights is None else vectors.weights.shape[1]
    token_vectors = 0 if vectors.multi is None else vectors.multi.shape[1]
    sizes = _exchange([len(vectors), tokens, token_vectors], vectors.tensors()[0].device)
    return [int(count) for count in sizes[:, 0]], int(sizes[:, 1].max()), int(sizes[:, 2].max())


def _gather(tensor: Tensor, counts: list[int]) -> Tensor:
    """The rows of all ranks; ``counts`` says how many each has."""
    room = max(counts)
    everyone = tensor.new_empty(len(counts) * room, *tensor.shape[1:])
    _all_gather(everyone, _with_rows(tensor, room))
    if min(counts) == room:
        return everyone
    return torch.cat([everyone[rank * room : rank * room + count] for rank, count in enumerate(counts)])


def _with_rows(tensor: Tensor, room: int) -> Tensor:
    if len(tensor) == room:
        return tensor.contiguous()
    return torch.cat([tensor, tensor.new_zeros(room - len(tensor), *tensor.shape[1:])])


class _SummingGather(torch.autograd.Function):
    """All heads in one step, so that every rank's backward pass asks the others in the same order."""

    @staticmethod
    def forward(ctx: Any, counts: list[int], *tensors: Tensor) -> tuple[Tensor, ...]:  # noqa: ANN401
        ctx.counts = counts
        return tuple(_gather(tensor, counts) for tensor in tensors)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:  # noqa: ANN401
        return None, *(_sum_home(gradient, ctx.counts) for gradient in gradients)


def _sum_home(gradient: Tensor, counts: list[int]) -> Tensor:
    """This rank's rows of the sum over ranks."""
    rank = dist.get_rank()
    if dist.get_backend() != "nccl":
        # Not every backend scatters sums.
        total = gradient.clone(memory_format=torch.contiguous_format)
        dist.all_reduce(total)
        return torch.split(total, counts)[rank]
    room = max(counts)
    everyone = torch.cat([_with_rows(part, room) for part in torch.split(gradient, counts)])
    mine = gradient.new_empty(room, *gradient.shape[1:])
    dist.reduce_scatter_tensor(mine, everyone)
    return mine[: counts[rank]]
