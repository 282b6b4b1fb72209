from __future__ import annotations

from dataclasses import replace
from math import log
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from objective_cases import gradients, naive_maxsim, naive_sparse, random_vectors
from torch import Tensor

from trivec.errors import InputError, MissingHeadError
from trivec.train.objectives import M3, GroupInfo, HeadWeights, M3Options, early_version
from trivec.train.scores import TRAINED_HEADS, Scores
from trivec.types import Head

TAU = 2.0
PAIRS = GroupInfo(group_size=2)

DENSE = [[4, 1, 2, 1], [1, 3, 2, 2]]
SPARSE = [[8, 1, 1, 1], [1, 1, 8, 8]]
MULTI = [[2, 1, 1, 4], [1, 1, 5, 1]]
"""exp(s / tau) of each head, the sparse one after its weight of 0.3. Their products, [[64, 1, 2, 4], [1, 3, 80, 16]],
add up to 71 and 100. Without the weight the sparse numbers are 8 ** (10 / 3) = 1024 and 1."""

LN2 = log(2)
LOSS = {
    "dense": (LN2 + log(4)) / 2,
    "sparse": (log(1027 / 1024) + log(2050 / 1024)) / 2,
    "multi": (log(4) + log(8 / 5)) / 2,
    "ensemble": (log(71 / 64) + log(100 / 80)) / 2,
    "distilled_dense": (83 * LN2 / 71 + (3 * LN2 + 3 * log(8 / 3) + 192 * LN2) / 100) / 2,
    "distilled_sparse": ((64 * log(1027 / 1024) + 7 * log(1027)) / 71 + (4 * log(2050) + 96 * log(2050 / 1024)) / 100)
    / 2,
    "distilled_multi": (141 * LN2 / 71 + (60 * LN2 + 80 * log(8 / 5)) / 100) / 2,
}
L = (LOSS["dense"] + 0.1 * LOSS["sparse"] + LOSS["multi"] + LOSS["ensemble"]) / 4
L_DISTILLED = (LOSS["distilled_dense"] + 0.1 * LOSS["distilled_sparse"] + LOSS["distilled_multi"]) / 3


def score(exponentials: list[list[int]], factor: float = 1.0) -> Tensor:
    return (factor * TAU * torch.tensor(exponentials, dtype=torch.float64).log()).requires_grad_()


def hand_scores() -> Scores:
    return Scores(score(DENSE), score(SPARSE, 10 / 3), score(MULTI))


def options(**changes: Any) -> M3Options:
    return replace(M3Options(temperature=TAU), **changes)


def total(settings: M3Options, scores: Scores, batch: GroupInfo = PAIRS) -> Tensor:
    return M3(settings).loss(scores, batch).total


def random_scores(seed: int, queries: int = 3, passages: int = 6) -> Scores:
    random = torch.Generator().manual_seed(seed)
    shape = (queries, passages)
    return Scores(*(torch.randn(shape, generator=random, dtype=torch.float64, requires_grad=True) for _ in range(3)))


def test_equations_by_hand() -> None:
    loss = M3(options()).loss(hand_scores(), PAIRS)
    assert {name: part.item() for name, part in loss.parts.items()} == pytest.approx(LOSS, abs=1e-10)
    assert loss.total.item() == pytest.approx((L + L_DISTILLED) / 2, abs=1e-10)
    assert loss.total.requires_grad
    assert not any(part.requires_grad for part in loss.parts.values())


def test_the_defaults_are_the_papers() -> None:
    defaults = M3Options()
    assert (defaults.temperature, defaults.ensemble_weights) == (0.02, HeadWeights(1, 0.3, 1))
    assert defaults.loss_weights == HeadWeights(1, 0.1, 1)


def test_self_distillation_begins_at_its_step() -> None:
    settings = options(distill_from_step=100)
    for step, expected in [(0, L), (99, L), (100, (L + L_DISTILLED) / 2), (101, (L + L_DISTILLED) / 2)]:
        assert total(settings, hand_scores(), replace(PAIRS, step=step)).item() == pytest.approx(expected, abs=1e-10)
    never = M3(options(distill_from_step=None)).loss(hand_scores(), replace(PAIRS, step=10**9))
    assert never.total.item() == pytest.approx(L, abs=1e-10)
    assert set(never.parts) == {"dense", "sparse", "multi", "ensemble"}


def test_the_early_version_has_plain_sums() -> None:
    # Without its weight the sparse number is 1024, so the ensemble's are 4 * 1024 * 2 = 8192, and so on.
    first, second = [8192, 1, 2, 4], [1, 3, 10240, 2048]
    dense = [[LN2, log(8), log(4), log(8)], [log(8), log(8 / 3), log(4), log(4)]]
    sparse = [[log(1027 / 1024), *[log(1027)] * 3], [*[log(2050)] * 2, *[log(2050 / 1024)] * 2]]
    multi = [[log(4), log(8), log(8), LN2], [log(8), log(8), log(8 / 5), log(8)]]
    teacher = [[value / sum(row) for value in row] for row in (first, second)]
    distilled = [
        sum(p * cost for row, costs in zip(teacher, head, strict=True) for p, cost in zip(row, costs, strict=True)) / 2
        for head in (dense, sparse, multi)
    ]
    expected = (LOSS["dense"] + LOSS["sparse"] + LOSS["multi"]) / 3 + sum(distilled) / 3
    settings = replace(early_version(), temperature=TAU)
    assert total(settings, hand_scores()).item() == pytest.approx(expected, abs=1e-10)


def test_one_loss_weight_alone_leaves_half_of_info_nce() -> None:
    settings = options(loss_weights=HeadWeights(1, 0, 0), ensemble_weights=HeadWeights(1, 0, 0), distill_from_step=None)
    assert total(settings, hand_scores()).item() == pytest.approx(LOSS["dense"] / 2, abs=1e-12)


@pytest.mark.parametrize("head", TRAINED_HEADS)
def test_one_head_has_its_own_loss(head: Head) -> None:
    loss = M3(options(heads=(head,))).loss(hand_scores(), PAIRS)
    assert loss.total.item() == pytest.approx(LOSS[head], abs=1e-10)
    assert set(loss.parts) == {head}


def test_two_heads_share_an_ensemble() -> None:
    # Products of dense and sparse numbers: [[32, 1, 2, 1], [1, 3, 16, 16]], sums 36 and 36.
    ensemble = (log(36 / 32) + log(36 / 16)) / 2
    settings = options(heads=("dense", "sparse"), distill_from_step=None)
    expected = (LOSS["dense"] + 0.1 * LOSS["sparse"] + ensemble) / 3
    assert total(settings, hand_scores()).item() == pytest.approx(expected, abs=1e-10)
    distilled = M3(options(heads=("dense", "sparse"))).loss(hand_scores(), PAIRS)
    parts = {name: part.item() for name, part in distilled.parts.items()}
    half = (expected + (parts["distilled_dense"] + 0.1 * parts["distilled_sparse"]) / 2) / 2
    assert distilled.total.item() == pytest.approx(half, abs=1e-10)


def test_the_ensemble_as_teacher_has_no_gradient() -> None:
    scores = random_scores(1)
    settings = options(loss_weights=HeadWeights(1, 0, 0), ensemble_loss=False, final="sum")
    total(settings, scores).backward()
    for head in ("sparse", "multi"):  # they enter nothing but the teacher
        grad = scores.of(head).grad
        assert grad is not None and not grad.any()


def test_gradient_of_distillation_is_the_difference_of_distributions() -> None:
    scores = random_scores(2)
    settings = options(loss_weights=HeadWeights(1, 0, 0), ensemble_loss=False, final="sum")
    dense = scores.of("dense")
    (both,) = torch.autograd.grad(total(settings, scores), dense)
    (plain,) = torch.autograd.grad(total(replace(settings, distill_from_step=None), scores), dense)
    ensemble = scores.of("dense") + 0.3 * scores.of("sparse") + scores.of("multi")
    difference = (dense / TAU).softmax(dim=1) - (ensemble / TAU).softmax(dim=1)
    torch.testing.assert_close(both - plain, difference / TAU / 3 / len(dense), rtol=0, atol=1e-15)


def test_the_ensembles_own_loss_reaches_every_head() -> None:
    scores = random_scores(3)
    total(options(loss_weights=HeadWeights(0, 0, 0), distill_from_step=None), scores).backward()
    grads = [scores.of(head).grad for head in TRAINED_HEADS]
    assert all(grad is not None and bool(grad.any()) for grad in grads)


@pytest.mark.parametrize("seed", range(5))
def test_distillation_is_at_least_the_teachers_entropy(seed: int) -> None:
    scores = random_scores(seed)
    parts = M3(options(ensemble_weights=HeadWeights(1, 0, 0))).loss(scores, PAIRS).parts
    teacher = (scores.of("dense") / TAU).softmax(dim=1)
    entropy = -(teacher * teacher.log()).sum(dim=1).mean().item()
    assert parts["distilled_dense"].item() == pytest.approx(entropy, abs=1e-12)
    assert min(parts["distilled_sparse"].item(), parts["distilled_multi"].item()) > entropy


def test_without_in_batch_negatives_the_own_group_decides() -> None:
    own = replace(PAIRS, in_batch_negatives=False)
    columns = torch.arange(4).view(2, 2)
    scores = Scores(*(hand_scores().of(head).gather(1, columns) for head in TRAINED_HEADS))
    # Own groups: dense [4, 1] and [2, 2], sparse [1024, 1] and [1024, 1024], multi [2, 1] and [5, 1], ensemble
    # [64, 1] and [80, 16].
    expected = {
        "dense": (log(5 / 4) + log(2)) / 2,
        "sparse": (log(1025 / 1024) + log(2)) / 2,
        "multi": (log(3 / 2) + log(6 / 5)) / 2,
        "ensemble": (log(65 / 64) + log(96 / 80)) / 2,
    }
    loss = M3(options(distill_from_step=None)).loss(scores, own)
    assert {name: part.item() for name, part in loss.parts.items()} == pytest.approx(expected, abs=1e-10)


@pytest.mark.parametrize("loss", ["info_nce", "teacher_kl", "teacher_ranks"])
def test_own_groups_equal_a_batch_with_all_others_masked(loss: Any) -> None:
    queries, passages = random_vectors(1, texts=3), random_vectors(2, texts=6)
    others = torch.arange(6)[None] // 2 != torch.arange(3)[:, None]
    batch = GroupInfo(2, teacher_scores=torch.tensor([[1.0, 2.0], [0.5, 0.1], [3.0, 3.0]]), duplicates=others)
    objective = M3(options(loss=loss))
    masked = objective(queries, passages, batch).total
    own = objective(queries, passages, replace(batch, in_batch_negatives=False, duplicates=None)).total
    assert masked.item() == pytest.approx(own.item(), abs=1e-12)
    for part, wanted in zip(gradients(masked, queries, passages), gradients(own, queries, passages), strict=True):
        torch.testing.assert_close(part, wanted, rtol=0, atol=1e-12)


def test_a_masked_passage_leaves_every_term() -> None:
    duplicates = torch.tensor([[True, False, True, False], [False, False, False, True]])
    # Left: dense [4, 1, 1] and [1, 3, 2]; the positive stays though it is marked. Ensemble [64, 1, 4] and [1, 3, 80].
    loss = M3(options()).loss(hand_scores(), replace(PAIRS, duplicates=duplicates))
    assert loss.parts["dense"].item() == pytest.approx((log(6 / 4) + log(6 / 2)) / 2, abs=1e-10)
    assert loss.parts["ensemble"].item() == pytest.approx((log(69 / 64) + log(84 / 80)) / 2, abs=1e-10)
    first = (64 * log(6 / 4) + 5 * log(6)) / 69
    second = (log(6) + 3 * log(2) + 80 * log(3)) / 84
    assert loss.parts["distilled_dense"].item() == pytest.approx((first + second) / 2, abs=1e-10)


@pytest.mark.parametrize("loss", ["info_nce", "teacher_kl", "teacher_ranks"])
@pytest.mark.parametrize("in_batch_negatives", [True, False])
def test_masked_passages_have_no_gradient(loss: Any, in_batch_negatives: bool) -> None:
    scores = random_scores(4, 3, 6 if in_batch_negatives else 2)
    duplicates = torch.zeros(3, 6, dtype=torch.bool)
    duplicates[0, 1] = duplicates[2, 3] = True  # one in the own group, one in another's
    batch = GroupInfo(2, in_batch_negatives, torch.tensor([[1.0, 2.0], [0.5, 0.1], [3.0, 3.0]]), duplicates=duplicates)
    total(options(loss=loss), scores, batch).backward()
    for head in TRAINED_HEADS:
        grad = scores.of(head).grad
        assert grad is not None and bool(grad.isfinite().all()) and grad[0, 1] == 0 and bool(grad[1].any())
        assert not in_batch_negatives or grad[2, 3] == 0


def naive_m3(dense: Tensor, sparse: Tensor, multi: Tensor, tau: float, targets: Tensor) -> Tensor:
    """Equations (1) to (6) as they stand."""
    ensemble = dense + 0.3 * sparse + multi
    nce = [F.cross_entropy(part / tau, targets) for part in (dense, sparse, multi, ensemble)]
    teacher = F.softmax(ensemble.detach() / tau, dim=-1)
    kd = [-(teacher * F.log_softmax(part / tau, dim=-1)).sum(dim=-1).mean() for part in (dense, sparse, multi)]
    plain = (nce[0] + 0.1 * nce[1] + nce[2] + nce[3]) / 4
    return (plain + (kd[0] + 0.1 * kd[1] + kd[2]) / 3) / 2


@pytest.mark.parametrize("seed", range(3))
def test_from_vectors_to_gradient_as_the_plain_way(seed: int) -> None:
    queries, passages = random_vectors(seed, texts=3, tokens=4), random_vectors(seed + 9, texts=9, tokens=8)
    loss = M3()(queries, passages, GroupInfo(group_size=3)).total
    assert queries.dense is not None and passages.dense is not None
    matrices = queries.dense @ passages.dense.T, naive_sparse(queries, passages, 7), naive_maxsim(queries, passages)
    naive = naive_m3(*matrices, 0.02, torch.tensor([0, 3, 6]))
    torch.testing.assert_close(loss, naive, rtol=0, atol=1e-10)
    for part, wanted in zip(gradients(loss, queries, passages), gradients(naive, queries, passages), strict=True):
        torch.testing.assert_close(part, wanted, rtol=0, atol=1e-10)


def test_the_dense_head_alone_may_see_all_ranks() -> None:
    queries, everywhere = random_vectors(1, texts=2), random_vectors(2, texts=8)
    passages = everywhere.rows(slice(4, 8))
    batch = GroupInfo(2, everywhere=everywhere.only(["dense"]), first_passage=4)
    found = M3(options()).scores(queries, passages, batch)
    assert [found.of(head).shape[1] for head in TRAINED_HEADS] == [8, 4, 4]
    wide = M3(options()).loss(found, batch)
    narrow = M3(options())(queries, passages, PAIRS)
    assert wide.parts["dense"].item() == pytest.approx(
        F.cross_entropy(found.of("dense") / TAU, torch.tensor([4, 6])).item()
    )
    for name in set(narrow.parts) - {"dense"}:
        assert wide.parts[name].item() == pytest.approx(narrow.parts[name].item(), abs=1e-12)


def test_the_gradient_over_all_ranks_can_be_as_the_references() -> None:
    queries, everywhere = random_vectors(1, texts=2), random_vectors(2, texts=8)
    passages = everywhere.rows(slice(4, 8))
    batch = GroupInfo(2, everywhere=everywhere, first_passage=4)
    objective = M3(options())
    exact, halved = (
        objective(queries, passages, batch),
        objective(queries, passages, replace(batch, everywhere_gradient=0.5)),
    )
    assert exact.total.item() == pytest.approx(halved.total.item(), abs=1e-12)
    pairs = zip(gradients(exact.total, queries), gradients(halved.total, queries), strict=True)
    for whole, half in pairs:
        torch.testing.assert_close(half, whole / 2, rtol=0, atol=1e-14)


def test_masks_over_all_ranks_reach_the_local_terms() -> None:
    queries, everywhere = random_vectors(1, texts=2), random_vectors(2, texts=8)
    passages = everywhere.rows(slice(4, 8))
    duplicates = torch.zeros(2, 8, dtype=torch.bool)
    duplicates[0, 7] = duplicates[1, 0] = True
    far = GroupInfo(2, everywhere=everywhere.only(["dense"]), first_passage=4, duplicates=duplicates)
    near = GroupInfo(2, duplicates=duplicates[:, 4:])
    wide, narrow = (M3(options())(queries, passages, batch).parts for batch in (far, near))
    for name in set(narrow) - {"dense"}:
        assert wide[name].item() == pytest.approx(narrow[name].item(), abs=1e-12)
    own = replace(far, in_batch_negatives=False, duplicates=duplicates | torch.tensor([[False] * 5 + [True] * 3] * 2))
    assert M3(options())(queries, passages, own).parts["dense"].item() == pytest.approx(0, abs=1e-12)


def test_half_precision_vectors_have_a_float32_loss() -> None:
    queries, passages = (
        side.with_tensors([part.detach().bfloat16() for part in side.tensors()]).detached()
        for side in (random_vectors(1, texts=2), random_vectors(2, texts=4))
    )
    loss = M3()(queries, passages, PAIRS).total
    assert loss.dtype == torch.float32
    assert all(bool(part.isfinite().all()) for part in gradients(loss, queries, passages))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"heads": ()}, "heads"),
        ({"heads": ("dense", "dense")}, "at most once"),
        ({"heads": ("terms",)}, "heads"),
        ({"loss": "hinge"}, "no loss 'hinge'"),
        ({"temperature": 0}, "temperature 0"),
        ({"final": "max"}, "final is 'max'"),
    ],
)
def test_options_that_make_no_sense_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        options(**changes)
    with pytest.raises(InputError, match="negative"):
        HeadWeights(dense=-1)


def test_batches_that_do_not_fit_are_refused() -> None:
    queries, passages = random_vectors(1, texts=2), random_vectors(2, texts=4)
    objective = M3(options())
    with pytest.raises(InputError, match="group size 0"):
        GroupInfo(group_size=0)
    with pytest.raises(InputError, match=r"scores \(2, 4\) do not fit 2 groups of 3"):
        objective(queries, passages, GroupInfo(3))
    with pytest.raises(InputError, match=r"duplicates \(2, 3\) must be \(2, 4\)"):
        objective(queries, passages, replace(PAIRS, duplicates=torch.zeros(2, 3, dtype=torch.bool)))
    with pytest.raises(InputError, match=r"teacher scores \(2, 3\)"):
        objective(queries, passages, replace(PAIRS, teacher_scores=torch.zeros(2, 3)))
    with pytest.raises(MissingHeadError, match="the queries have no 'multi'"):
        objective(queries.only(["dense", "sparse"]), passages, PAIRS)
