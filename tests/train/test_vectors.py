from __future__ import annotations

import pytest
import torch
from objective_cases import random_vectors

from trivec.errors import InputError
from trivec.train.vectors import NO_TOKEN, TextVectors


def test_heads_and_tensors_keep_one_order() -> None:
    vectors = random_vectors(0, texts=3)
    assert len(vectors) == 3
    assert vectors.heads == ("dense", "sparse", "multi")
    assert [tuple(part.shape) for part in vectors.tensors()] == [(3, 6), (3, 5), (3, 5, 4)]
    assert vectors.only(["multi", "dense"]).heads == ("dense", "multi")


def test_joining_pads_to_the_longest() -> None:
    short = TextVectors(
        weights=torch.tensor([[0.5]]),
        tokens=torch.tensor([[7]]),
        multi=torch.tensor([[[1.0, 0.0]]]),
        multi_mask=torch.tensor([[True]]),
    )
    long = TextVectors(
        weights=torch.tensor([[0.1, 0.2]]),
        tokens=torch.tensor([[3, 4]]),
        multi=torch.tensor([[[0.0, 1.0], [1.0, 0.0], [0.6, 0.8]]]),
        multi_mask=torch.tensor([[True, True, True]]),
    )
    joined = TextVectors.concatenate([short, long])
    assert joined.weights is not None and joined.tokens is not None
    assert joined.multi is not None and joined.multi_mask is not None
    assert joined.weights.tolist() == [[0.5, 0.0], pytest.approx([0.1, 0.2])]
    assert joined.tokens.tolist() == [[7, NO_TOKEN], [3, 4]]
    assert joined.multi[0].tolist() == [[1.0, 0.0], [0.0, 0.0], [0.0, 0.0]]
    assert joined.multi_mask.tolist() == [[True, False, False], [True, True, True]]
    assert joined.dense is None


def test_joining_carries_gradient_to_the_parts() -> None:
    parts = [random_vectors(1, texts=2, tokens=3), random_vectors(2, texts=1, tokens=5)]
    joined = TextVectors.concatenate(parts)
    torch.stack([part.sum() for part in joined.tensors()]).sum().backward()
    for part in parts:
        assert all(leaf.grad is not None and bool((leaf.grad == 1).all()) for leaf in part.tensors())


@pytest.mark.parametrize("rows", [slice(1, 3), torch.tensor([1, 2]), torch.tensor([False, True, True])])
def test_rows_of_texts(rows: slice | torch.Tensor) -> None:
    vectors = random_vectors(3, texts=3)
    chosen = vectors.rows(rows)
    for part, whole in zip(chosen.tensors(), vectors.tensors(), strict=True):
        assert torch.equal(part, whole[1:])
    assert vectors.tokens is not None and chosen.tokens is not None
    assert torch.equal(chosen.tokens, vectors.tokens[1:])


def test_detached_vectors_gather_their_own_gradient() -> None:
    vectors = random_vectors(4, texts=2)
    apart = vectors.detached()
    apart.tensors()[0].sum().backward()
    assert all(leaf.is_leaf and leaf.requires_grad for leaf in apart.tensors())
    assert apart.tensors()[0].grad is not None
    assert vectors.tensors()[0].grad is None


def test_other_values_for_the_same_texts() -> None:
    vectors = random_vectors(5, texts=2).only(["dense", "multi"])
    doubled = vectors.with_tensors([2 * part for part in vectors.tensors()])
    assert torch.equal(doubled.tensors()[1], 2 * vectors.tensors()[1])
    assert doubled.multi_mask is vectors.multi_mask


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(InputError, match=r"vectors of \[\] texts"):
        TextVectors()
    with pytest.raises(InputError, match=r"vectors of \[1, 2\] texts"):
        TextVectors(dense=torch.zeros(1, 2), weights=torch.zeros(2, 1), tokens=torch.zeros(2, 1, dtype=torch.int64))
    with pytest.raises(InputError, match=r"weights \(2, 1\) and tokens None"):
        TextVectors(weights=torch.zeros(2, 1))
    with pytest.raises(InputError, match=r"multi \(2, 3\) and multi_mask \(2, 4\)"):
        TextVectors(multi=torch.zeros(2, 3, 5), multi_mask=torch.ones(2, 4, dtype=torch.bool))
    with pytest.raises(InputError, match="cannot join"):
        TextVectors.concatenate([random_vectors(0, 1), random_vectors(0, 1).only(["dense"])])
    with pytest.raises(InputError, match="cannot join"):
        TextVectors.concatenate([])
