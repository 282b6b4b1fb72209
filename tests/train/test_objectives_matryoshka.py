from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from objective_cases import gradients, random_vectors

from trivec.errors import InputError
from trivec.train.objectives import M3, GroupInfo, M3Options, Matryoshka, MatryoshkaOptions
from trivec.train.vectors import TextVectors

PAIRS = GroupInfo(group_size=2)


def cut(vectors: TextVectors, width: int) -> TextVectors:
    assert vectors.dense is not None
    return replace(vectors, dense=F.normalize(vectors.dense[:, :width], dim=1))


@pytest.mark.parametrize("heads", [("dense",), ("dense", "sparse", "multi")])
def test_it_is_the_weighted_sum_over_widths(heads: tuple[str, ...]) -> None:
    queries, passages = random_vectors(1, texts=2), random_vectors(2, texts=4)
    inner = M3(M3Options(heads=heads, temperature=0.5))  # type: ignore[arg-type]
    loss = Matryoshka(inner, MatryoshkaOptions((6, 2), (1.0, 0.5)))(queries, passages, PAIRS)
    wide = inner(queries, passages, PAIRS)
    narrow = inner(cut(queries, 2), cut(passages, 2), PAIRS)
    expected = wide.total + 0.5 * narrow.total
    assert loss.total.item() == pytest.approx(expected.item(), abs=1e-12)
    assert loss.parts["dense@2"].item() == pytest.approx(narrow.parts["dense"].item(), abs=1e-12)
    assert set(loss.parts) == {f"{name}@{width}" for name in wide.parts for width in (6, 2)}
    for part, wanted in zip(
        gradients(loss.total, queries, passages), gradients(expected, queries, passages), strict=True
    ):
        torch.testing.assert_close(part, wanted, rtol=0, atol=1e-12)


def test_widths_count_one_each_by_default() -> None:
    queries, passages = random_vectors(1, texts=2), random_vectors(2, texts=4)
    inner = M3(M3Options(heads=("dense",)))
    loss = Matryoshka(inner, MatryoshkaOptions((1, 3, 6)))(queries, passages, PAIRS)
    expected = sum(inner(cut(queries, width), cut(passages, width), PAIRS).total.item() for width in (1, 3, 6))
    assert loss.total.item() == pytest.approx(expected, abs=1e-10)


def test_passages_of_all_ranks_are_cut_too() -> None:
    queries, everywhere = random_vectors(1, texts=2), random_vectors(2, texts=8)
    passages = everywhere.rows(slice(4, 8))
    batch = GroupInfo(2, everywhere=everywhere.only(["dense", "multi"]), first_passage=4)
    inner = M3(M3Options(temperature=0.5))
    loss = Matryoshka(inner, MatryoshkaOptions((3,)))(queries, passages, batch)
    assert batch.everywhere is not None
    narrow = replace(batch, everywhere=cut(batch.everywhere, 3))
    assert loss.total.item() == pytest.approx(inner(cut(queries, 3), cut(passages, 3), narrow).total.item(), abs=1e-12)


def test_what_cannot_be_cut_is_refused() -> None:
    vectors = random_vectors(1, texts=2)
    with pytest.raises(InputError, match=r"width 7 is above the dense vector's 6"):
        Matryoshka(M3(M3Options(heads=("dense",))), MatryoshkaOptions((7,)))(vectors, vectors, GroupInfo(1))
    with pytest.raises(InputError, match="have no dense vector"):
        Matryoshka(M3(M3Options(heads=("sparse",))), MatryoshkaOptions((2,)))
    for widths in ((), (0,), (2, 2)):
        with pytest.raises(InputError, match="widths"):
            MatryoshkaOptions(widths)
    with pytest.raises(InputError, match="weights"):
        MatryoshkaOptions((2, 4), (1.0,))
