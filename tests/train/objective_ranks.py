"""What each of several processes does in the tests of gathering. Processes start by importing this."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn

from trivec.train.gather import gather_vectors
from trivec.train.objectives import M3, GroupInfo, M3Options
from trivec.train.vectors import TextVectors
from trivec.types import Head

GROUP = 3
VOCABULARY = 9
OPTIONS = M3Options(temperature=0.2)


@dataclass(frozen=True)
class Case:
    """How many queries each rank has, which heads are gathered, and whether the gradient is the reference's."""

    queries: tuple[int, ...] = (2, 2)
    heads: tuple[Head, ...] | None = None
    as_reference: bool = False
    masked: bool = False


CASES = (
    Case(),
    Case(heads=("dense",)),
    Case(heads=("dense",), as_reference=True),
    Case(queries=(1, 3)),
    Case(masked=True),
)


class TinyEncoder(nn.Module):
    """Token numbers to the vectors of all heads."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.table = nn.Embedding(VOCABULARY, 6, dtype=torch.float64)
        self.sparse = nn.Linear(6, 1, dtype=torch.float64)
        self.multi = nn.Linear(6, 4, dtype=torch.float64)

    def forward(self, tokens: Tensor, mask: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Dense, weights and multi of padded texts."""
        hidden = self.table(tokens)
        dense = nn.functional.normalize((hidden * mask[..., None]).sum(dim=1), dim=1)
        weights = self.sparse(hidden).squeeze(-1).relu() * mask
        return dense, weights, nn.functional.normalize(self.multi(hidden), dim=2) * mask[..., None]


def texts_of(rank: int, count: int, room: int) -> tuple[Tensor, Tensor]:
    """Token numbers of ``count`` texts, padded to the longest, which differs by rank."""
    random = torch.Generator().manual_seed(100 * rank + room)
    lengths = torch.randint(1, room + rank + 1, (count, 1), generator=random)
    lengths[0] = room + rank
    tokens = torch.randint(0, VOCABULARY, (count, room + rank), generator=random)
    return tokens, torch.arange(room + rank)[None] < lengths


def encode(model: nn.Module, texts: tuple[Tensor, Tensor]) -> TextVectors:
    dense, weights, multi = model(*texts)
    return TextVectors(dense, weights, texts[0], multi, texts[1])


def encode_sides(model: nn.Module, rank: int, queries: int) -> tuple[TextVectors, TextVectors]:
    """The queries and passages of a rank, by one call of the model, as data parallel training needs it."""
    short, long = texts_of(rank, queries, 3), texts_of(rank, queries * GROUP, 5)
    tokens = torch.cat([nn.functional.pad(short[0], (0, long[0].shape[1] - short[0].shape[1])), long[0]])
    mask = torch.cat([nn.functional.pad(short[1], (0, long[1].shape[1] - short[1].shape[1])), long[1]])
    vectors = encode(model, (tokens, mask))
    return vectors.rows(slice(0, queries)), vectors.rows(slice(queries, None))


def marked() -> Tensor:
    """Passages of either rank that answer a query of the other too; (4 queries, 12 passages)."""
    duplicates = torch.zeros(4, 12, dtype=torch.bool)
    duplicates[0, 6] = duplicates[2, 0] = duplicates[3, 11] = True
    return duplicates


def run_rank(rank: int, world: int, folder: str, wrapped: bool) -> None:
    """One training step of every case; the averaged gradients of this rank go to a file."""
    dist.init_process_group("gloo", init_method=f"file://{folder}/meeting", rank=rank, world_size=world)
    torch.save([_gradients(case, rank, wrapped) for case in CASES], Path(folder) / f"rank{rank}.pt")
    dist.destroy_process_group()


def _gradients(case: Case, rank: int, wrapped: bool) -> list[Tensor]:
    model: nn.Module = TinyEncoder()
    if wrapped:
        model = nn.parallel.DistributedDataParallel(model)
    queries, passages = encode_sides(model, rank, case.queries[rank])
    gathered = gather_vectors(passages, case.heads)
    batch = gathered.group_info(GroupInfo(GROUP), case.as_reference)
    if case.masked:
        batch = replace(batch, duplicates=marked()[2 * rank : 2 * rank + 2])
    (M3(OPTIONS)(queries, passages, batch).total * gathered.share).backward()
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    if not wrapped:
        for gradient in gradients:
            dist.all_reduce(gradient)
            gradient /= dist.get_world_size()
    return gradients
