from __future__ import annotations

from math import log

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from trivec.errors import InputError
from trivec.train.objectives import M3, GroupInfo, M3Options
from trivec.train.objectives.candidates import Candidates, candidates
from trivec.train.objectives.info_nce import info_nce
from trivec.train.objectives.teacher_kl import TeacherKl
from trivec.train.objectives.teacher_ranks import TeacherRanks
from trivec.train.scores import Scores

EXPONENTIALS = torch.tensor([[4.0, 1, 2, 1], [1, 3, 2, 2]], dtype=torch.float64)
TEACHER = torch.tensor([[1.0, 3], [3, 1]], dtype=torch.float64).log()
"""The teacher's shares: 1/4 and 3/4 for the first query's group, 3/4 and 1/4 for the second's."""


def by_hand(teacher: Tensor | None = TEACHER, **changes: object) -> Candidates:
    return candidates(EXPONENTIALS.log(), GroupInfo(2, teacher_scores=teacher, **changes), 1.0)  # type: ignore[arg-type]


def random_group(seed: int, group: int) -> tuple[Tensor, Tensor]:
    """Scores of 3 queries, and a teacher's."""
    random = torch.Generator().manual_seed(seed)
    scores = torch.randn(3, 3 * group, generator=random, dtype=torch.float64)
    return scores, torch.randn(3, group, generator=random, dtype=torch.float64)


def test_info_nce_by_hand() -> None:
    assert info_nce(by_hand()).item() == pytest.approx((log(2) + log(4)) / 2, abs=1e-12)


def test_kl_by_hand() -> None:
    first = -(0.25 * log(4 / 5) + 0.75 * log(1 / 5))
    second = -(0.75 * log(2 / 4) + 0.25 * log(2 / 4))
    expected = (log(2) + log(4)) / 2 + (first + second) / 2
    assert TeacherKl()(by_hand()).item() == pytest.approx(expected, abs=1e-12)


def test_ranks_by_hand() -> None:
    first = 0.75 * log(8) + 0.25 * log(7 / 4)  # the second passage is best; then the first, without it
    second = 0.75 * log(8 / 2) + 0.25 * log(6 / 2)
    assert TeacherRanks()(by_hand()).item() == pytest.approx((first + second) / 2, abs=1e-12)


@pytest.mark.parametrize("loss", [TeacherKl(2.0), TeacherRanks(2.0)])
def test_teacher_temperature_divides_the_teachers_scores(loss: TeacherKl | TeacherRanks) -> None:
    assert loss(by_hand(2 * TEACHER)).item() == pytest.approx(type(loss)()(by_hand(TEACHER)).item(), abs=1e-12)


def test_kl_has_the_gradient_of_the_divergence() -> None:
    scores, teacher = random_group(0, 4)
    scores.requires_grad_()
    made = candidates(scores, GroupInfo(4, in_batch_negatives=True, teacher_scores=teacher), 0.5)
    (found,) = torch.autograd.grad(TeacherKl()(made) - info_nce(made), scores, retain_graph=True)
    divergence = F.kl_div(made.own_logits.log_softmax(1), teacher.softmax(1), reduction="batchmean")
    (expected,) = torch.autograd.grad(divergence, scores)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("in_batch_negatives", [True, False])
def test_ranks_with_all_weight_on_the_positive_is_info_nce(in_batch_negatives: bool) -> None:
    scores, _ = random_group(1, 4)
    scores = scores if in_batch_negatives else scores[:, :4]
    teacher = torch.tensor([[1e6, 0.0, 0.0, 0.0]], dtype=torch.float64).expand(3, 4)
    made = candidates(scores, GroupInfo(4, in_batch_negatives, teacher), 0.5)
    assert TeacherRanks()(made).item() == pytest.approx(info_nce(made).item(), abs=1e-12)


def test_ranks_of_groups_of_one_is_info_nce() -> None:
    scores, teacher = random_group(2, 1)
    made = candidates(scores, GroupInfo(1, teacher_scores=teacher), 0.5)
    assert TeacherRanks()(made).item() == pytest.approx(info_nce(made).item(), abs=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_ranks_do_not_depend_on_the_order_of_a_group(seed: int) -> None:
    scores, teacher = random_group(seed, 5)
    random = torch.Generator().manual_seed(seed)
    mixed_scores, mixed_teacher = scores.clone(), teacher.clone()
    for query in range(3):
        order = torch.randperm(5, generator=random)
        mixed_teacher[query] = teacher[query, order]
        mixed_scores[query, query * 5 : query * 5 + 5] = scores[query, query * 5 + order]
    plain, mixed = (
        TeacherRanks()(candidates(matrix, GroupInfo(5, teacher_scores=judged), 0.5))
        for matrix, judged in ((scores, teacher), (mixed_scores, mixed_teacher))
    )
    assert mixed.item() == pytest.approx(plain.item(), abs=1e-12)


def test_ranks_as_the_formula_reads() -> None:
    scores, teacher = random_group(5, 3)
    expected = 0.0
    for query in range(3):
        left = (scores[query] / 0.5).exp().tolist()
        shares = teacher[query].softmax(0).tolist()
        for best in sorted(range(3), key=lambda place: -shares[place]):
            expected += shares[best] * -log(left[query * 3 + best] / sum(left)) / 3
            left[query * 3 + best] = 0.0
    made = candidates(scores, GroupInfo(3, teacher_scores=teacher), 0.5)
    assert TeacherRanks()(made).item() == pytest.approx(expected, abs=1e-12)


def test_a_masked_passage_has_no_share_of_the_teacher() -> None:
    duplicates = torch.tensor([[False, True, False, False], [False, False, True, True]])
    made = by_hand(duplicates=duplicates)
    assert made.teacher_weights(1.0).tolist() == [[1.0, 0.0], [1.0, 0.0]]
    assert TeacherRanks()(made).item() == pytest.approx(info_nce(made).item(), abs=1e-12)
    assert TeacherKl()(made).item() == pytest.approx(info_nce(made).item(), abs=1e-12)


def test_the_teacher_takes_the_place_of_info_nce_in_every_term() -> None:
    matrices = [random_group(seed, 2)[0] for seed in range(3)]
    teacher = random_group(9, 2)[1]
    batch = GroupInfo(2, teacher_scores=teacher)
    parts = M3(M3Options(loss="teacher_ranks", temperature=0.5)).loss(Scores(*matrices), batch).parts
    ensemble = matrices[0] + 0.3 * matrices[1] + matrices[2]
    for name, matrix in zip(["dense", "sparse", "multi", "ensemble"], [*matrices, ensemble], strict=True):
        assert parts[name].item() == pytest.approx(TeacherRanks()(candidates(matrix, batch, 0.5)).item(), abs=1e-12)
    assert "distilled_dense" in parts


@pytest.mark.parametrize("loss", [TeacherKl(), TeacherRanks()])
def test_without_teacher_scores_it_says_so(loss: TeacherKl | TeacherRanks) -> None:
    with pytest.raises(InputError, match="needs teacher scores"):
        loss(by_hand(None))
