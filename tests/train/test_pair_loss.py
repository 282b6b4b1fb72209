"""The loss of groups of pairs: by hand, with a teacher, and encoded in parts."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from copy_task import rows
from reranker_cases import PAIRS, by_transformers

from trivec.data.examples import Example
from trivec.encode.checkpoints.classifier import read_classifier
from trivec.encode.pipeline import pad
from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import InputError
from trivec.rerank.pair_tokens import PairTokens
from trivec.rerank.reranker import Pair
from trivec.train.collate import TokenBatch
from trivec.train.draws import GroupDraws
from trivec.train.model import TrainableEncoder
from trivec.train.objectives import GroupCrossEntropy
from trivec.train.objectives.group_cross_entropy import Teacher
from trivec.train.pair_batches import PairBatch, PairCollator
from trivec.train.pair_loss import PairLoss
from trivec.train.split_batch import Mode, SplitOptions

import tiny_models

LOGITS = torch.tensor([[2.0, 1.0, 0.0], [0.0, 0.0, 3.0]])
"""(B, G), of the one layer that there is."""
KINDS = ("xlm-roberta", "bert")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    workplace = tmp_path_factory.mktemp("rerankers")

    def make(kind: str) -> Path:
        place = workplace / kind
        return place if place.exists() else tiny_models.write_tiny_reranker(place, kind)  # type: ignore[arg-type]

    return make


def loss_of(folder: Path, split: SplitOptions | None = None, teacher: Teacher = "none") -> PairLoss:
    encoder = TrainableEncoder.from_checkpoint(read_classifier(folder), ("dense",), dropout=0.0)
    return PairLoss(encoder, GroupCrossEntropy(teacher), split or SplitOptions())


def batch_of(folder: Path, count: int = 5) -> PairBatch:
    tokens = PairTokens(TextTokenizer.from_file(folder / "tokenizer.json"), 48, 16)
    examples = [Example(row["query"], tuple(row["pos"]), tuple(row["neg"])) for row in rows(count, negatives=3)]
    return PairCollator(tokens, 1, GroupDraws(4))(examples, range(count))


def test_the_loss_is_that_of_the_positive_in_its_group() -> None:
    by_hand = [
        -2 + math.log(math.exp(2) + math.exp(1) + 1),
        math.log(2 + math.exp(3)),
    ]
    loss = GroupCrossEntropy()(LOGITS[:, :, None])
    assert loss.total.item() == pytest.approx(sum(by_hand) / 2, rel=1e-6)
    assert loss.total.item() == pytest.approx(F.cross_entropy(LOGITS, torch.tensor([0, 0])).item())
    assert loss.parts["labels"].item() == pytest.approx(loss.total.item())


def test_a_teacher_stands_beside_the_labels() -> None:
    scores = torch.tensor([[3.0, 0.0, 1.0], [1.0, 2.0, 0.0]])
    target = (scores / 2).softmax(1).numpy()
    log_student = LOGITS.log_softmax(1).numpy()
    expected = GroupCrossEntropy()(LOGITS[:, :, None]).total.item() - float((target * log_student).sum(1).mean())
    loss = GroupCrossEntropy("kl", teacher_temperature=2.0)(LOGITS[:, :, None], scores)
    assert loss.total.item() == pytest.approx(expected, rel=1e-6)
    assert loss.total.item() == pytest.approx(sum(part.item() for part in loss.parts.values()), rel=1e-6)


def test_an_equal_teacher_gives_no_gradient_and_gets_none() -> None:
    student, teacher = LOGITS.clone().requires_grad_(), LOGITS.clone().requires_grad_()
    with_teacher = GroupCrossEntropy("kl")(student[:, :, None], teacher).total
    (gradient, none) = torch.autograd.grad(with_teacher, [student, teacher], allow_unused=True)
    (of_labels,) = torch.autograd.grad(GroupCrossEntropy()(student[:, :, None]).total, [student])
    torch.testing.assert_close(gradient, of_labels, rtol=0, atol=1e-7)
    assert none is None


def test_the_first_stage_stands_beside_the_logits() -> None:
    scores = torch.tensor([[3.0, 0.0, 1.0], [1.0, 2.0, 0.0]])
    loss = GroupCrossEntropy("first-stage", teacher_temperature=0.5)(LOGITS[:, :, None], scores)
    alone, beside = (GroupCrossEntropy()(logits[:, :, None]).total.item() for logits in (LOGITS, LOGITS + 2 * scores))
    assert loss.total.item() == pytest.approx(alone + beside, rel=1e-6)
    assert loss.parts == {"labels": pytest.approx(alone), "beside the first stage": pytest.approx(beside)}
    silent = torch.zeros(2, 3, 1, requires_grad=True)
    (alone_silent,) = torch.autograd.grad(GroupCrossEntropy()(silent).total, [silent])
    (both,) = torch.autograd.grad(GroupCrossEntropy("first-stage")(silent, 50 * scores).total, [silent])
    beside_silent = (both - alone_silent)[:, :, 0]
    # what the first stage is sure of and right about teaches nothing; where it is wrong, everything is left to learn
    torch.testing.assert_close(beside_silent, torch.tensor([[0.0, 0.0, 0.0], [-0.5, 0.5, 0.0]]), atol=1e-6, rtol=0)


def test_the_first_stage_stands_beside_every_layer() -> None:
    scores = torch.tensor([[3.0, 0.0, 1.0], [1.0, 2.0, 0.0]])
    layers = LOGITS.flip(1), LOGITS
    loss = GroupCrossEntropy("first-stage")(of_layers(*layers), scores)
    beside = [GroupCrossEntropy()((layer + scores)[:, :, None]).total.item() for layer in layers]
    assert loss.parts["beside the first stage"].item() == pytest.approx(sum(beside), rel=1e-6)
    assert loss.total.item() == pytest.approx(GroupCrossEntropy()(of_layers(*layers)).total.item() + sum(beside))


@pytest.mark.parametrize("teacher", ["kl", "first-stage"])
def test_scores_must_be_there(teacher: Teacher) -> None:
    with pytest.raises(InputError, match="no teacher scores"):
        GroupCrossEntropy(teacher)(LOGITS[:, :, None])


def of_layers(*layers: torch.Tensor) -> torch.Tensor:
    return torch.stack(layers, dim=2).requires_grad_()


def test_every_layer_learns_and_the_last_one_teaches() -> None:
    student = of_layers(LOGITS.flip(1), LOGITS * 0.5, LOGITS)
    loss = GroupCrossEntropy()(student)
    labels = [GroupCrossEntropy()(layer[:, :, None]).total for layer in student.detach().unbind(2)]
    target = LOGITS.softmax(1)
    taught = [-(target * layer.log_softmax(1)).sum(1).mean() for layer in student.detach().unbind(2)[:2]]
    assert loss.total.item() == pytest.approx(float(sum(labels) + sum(taught)), rel=1e-6)
    assert loss.parts["labels"].item() == pytest.approx(labels[-1].item())
    assert loss.parts["labels, all layers"].item() == pytest.approx(float(sum(labels)))
    (gradient,) = torch.autograd.grad(loss.total, [student])
    last = LOGITS.clone().requires_grad_()
    (alone,) = torch.autograd.grad(GroupCrossEntropy()(last[:, :, None]).total, [last])
    torch.testing.assert_close(gradient[:, :, 2], alone)
    assert gradient[:, :, :2].abs().sum() > 0


def test_another_teacher_teaches_the_last_layer_too() -> None:
    scores = torch.tensor([[3.0, 0.0, 1.0], [1.0, 2.0, 0.0]])
    layers = LOGITS.flip(1), LOGITS
    loss = GroupCrossEntropy("kl")(of_layers(*layers), scores)
    alone = [GroupCrossEntropy("kl")(layer[:, :, None], scores).total.item() for layer in layers]
    assert loss.total.item() == pytest.approx(sum(alone), rel=1e-6)
    without = GroupCrossEntropy(from_last=False)(of_layers(*layers))
    assert without.parts.keys() == {"labels", "labels, all layers"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("packed", [True, False])
def test_logits_in_training_are_those_of_transformers(kind: str, packed: bool, folder: Callable[[str], Path]) -> None:
    loss = loss_of(folder(kind))
    if not packed:
        loss.encoder._is_packed = False
    tokens = PairTokens(TextTokenizer.from_file(folder(kind) / "tokenizer.json"), 64)
    ids, mask = pad([*map(np.asarray, tokens.rows([Pair(*pair) for pair in PAIRS]))], 1)
    batch = TokenBatch(torch.from_numpy(ids), torch.from_numpy(mask.astype(np.int64)), torch.zeros(len(ids)).long())
    for asked in (batch, PairBatch(batch, torch.arange(len(ids)), 2)):
        found = loss.eval()(asked)
        if isinstance(asked, TokenBatch):
            logits = found.dense
            assert logits.shape == (len(PAIRS), 1)
            expected = by_transformers(folder(kind), PAIRS)
            np.testing.assert_allclose(logits[:, 0].detach(), expected, rtol=0, atol=2e-5)
        else:
            total, parts = found
            grouped = logits.view(-1, 2)
            assert total.item() == pytest.approx(F.cross_entropy(grouped, torch.zeros(2).long()).item(), rel=1e-6)
            assert set(parts) == {"labels"}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["checkpointed", "cached"])
@pytest.mark.parametrize("limit", [40, 70])
def test_parts_of_a_batch_give_its_loss_and_gradient(
    kind: str, mode: Mode, limit: int, folder: Callable[[str], Path]
) -> None:
    batch = batch_of(folder(kind))
    assert batch.pairs.mask.sum() > 2 * limit
    found = []
    for split in (SplitOptions(), SplitOptions(mode, limit)):
        loss = loss_of(folder(kind), split)
        total, _ = loss(batch)
        total.backward()
        gradients = {name: p.grad for name, p in loss.named_parameters() if p.grad is not None}
        assert "encoder.dense_layers.1.weight" in gradients
        found.append((total.item(), gradients))
    (whole, expected), (parts, gradients) = found
    assert parts == pytest.approx(whole, rel=1e-6)
    assert expected.keys() == gradients.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-4, atol=1e-6)
