from __future__ import annotations

import objective_ranks as ranks
import pytest
import torch
from objective_cases import random_vectors
from torch import Tensor

from trivec.errors import MissingHeadError
from trivec.train.gather import gather_vectors
from trivec.train.objectives import M3, GroupInfo
from trivec.train.vectors import TextVectors

GROUP = ranks.GROUP


@pytest.fixture(scope="module", params=[False, pytest.param(True, marks=pytest.mark.slow)], ids=["averaged", "wrapped"])
def of_two_ranks(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> list[list[list[Tensor]]]:
    """For each of two processes, for each case, the gradient of every parameter after data-parallel averaging.

    Averaged here, or by torch's DistributedDataParallel, which takes seconds to import.
    """
    folder = tmp_path_factory.mktemp("ranks")
    torch.multiprocessing.spawn(ranks.run_rank, (2, str(folder), request.param), nprocs=2)
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(2)]


def both(model: ranks.TinyEncoder, case: ranks.Case) -> tuple[TextVectors, TextVectors]:
    """The texts of all ranks in one process."""
    sides = [ranks.encode_sides(model, rank, queries) for rank, queries in enumerate(case.queries)]
    return TextVectors.concatenate([side[0] for side in sides]), TextVectors.concatenate([side[1] for side in sides])


def gradients(model: ranks.TinyEncoder, loss: Tensor) -> list[Tensor]:
    return list(torch.autograd.grad(loss, list(model.parameters())))


@pytest.mark.parametrize("number", [0, 3])
def test_two_ranks_are_one_with_all_their_queries(of_two_ranks: list[list[list[Tensor]]], number: int) -> None:
    case, model = ranks.CASES[number], ranks.TinyEncoder()
    expected = gradients(model, M3(ranks.OPTIONS)(*both(model, case), GroupInfo(GROUP)).total)
    for found in of_two_ranks:
        for part, wanted in zip(found[number], expected, strict=True):
            torch.testing.assert_close(part, wanted, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("number", "gradient"), [(1, 1.0), (2, 0.5)])
def test_the_dense_head_alone_sees_both_ranks(
    of_two_ranks: list[list[list[Tensor]]], number: int, gradient: float
) -> None:
    model = ranks.TinyEncoder()
    _, everywhere = both(model, ranks.CASES[number])
    losses = []
    for rank, count in enumerate(ranks.CASES[number].queries):
        queries, passages = ranks.encode_sides(model, rank, count)
        batch = GroupInfo(
            GROUP,
            everywhere=everywhere.only(["dense"]),
            first_passage=rank * count * GROUP,
            everywhere_gradient=gradient,
        )
        losses.append(M3(ranks.OPTIONS)(queries, passages, batch).total)
    expected = gradients(model, torch.stack(losses).mean())
    for found in of_two_ranks:
        for part, wanted in zip(found[number], expected, strict=True):
            torch.testing.assert_close(part, wanted, rtol=0, atol=1e-12)


def test_false_negatives_are_masked_across_ranks(of_two_ranks: list[list[list[Tensor]]]) -> None:
    case, model = ranks.CASES[4], ranks.TinyEncoder()
    loss = M3(ranks.OPTIONS)(*both(model, case), GroupInfo(GROUP, duplicates=ranks.marked())).total
    for part, wanted in zip(of_two_ranks[1][4], gradients(model, loss), strict=True):
        torch.testing.assert_close(part, wanted, rtol=0, atol=1e-12)


def test_one_process_gathers_itself() -> None:
    vectors = random_vectors(0, texts=4)
    gathered = gather_vectors(vectors)
    assert gathered.vectors is vectors
    assert (gathered.first_passage, gathered.share, gathered.ranks) == (0, 1.0, 1)
    assert gather_vectors(vectors, ["dense"]).vectors.heads == ("dense",)
    batch, queries = GroupInfo(2), random_vectors(1, texts=2)
    alone, together = (M3()(queries, vectors, info).total for info in (batch, gathered.group_info(batch)))
    assert together.item() == pytest.approx(alone.item(), abs=1e-12)


def test_what_is_not_there_cannot_be_gathered() -> None:
    with pytest.raises(MissingHeadError, match="cannot gather sparse: the vectors have only dense"):
        gather_vectors(random_vectors(0, texts=2).only(["dense"]), ["sparse"])
