"""Attention of short texts, against float64."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trivec.train import packed_texts
from trivec.train import short_attention as short_attention_module
from trivec.train.packed_texts import PackedTexts
from trivec.train.short_attention import is_short, short_attention

_Attention = Callable[[Tensor, Tensor, Tensor], Tensor]


def _results(attention: _Attention, texts: list[Tensor], dtype: torch.dtype) -> list[Tensor]:
    """What an attention gives, and its gradients to queries, keys and values, in float64."""
    query, key, value = (text.to(dtype).detach().clone().requires_grad_() for text in texts[:3])
    attended = attention(query, key, value)
    attended.backward(texts[3].to(dtype))
    assert query.grad is not None and key.grad is not None and value.grad is not None
    return [result.double() for result in (attended.detach(), query.grad, key.grad, value.grad)]


def _texts(count: int, length: int) -> list[Tensor]:
    """Queries, keys, values and gradients that bfloat16 holds exactly."""
    generator = torch.Generator().manual_seed(length)
    shape = (count, 4, length, 8)
    return [torch.randn(shape, generator=generator, dtype=torch.float64).bfloat16().double() for _ in range(4)]


def _reference(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return F.scaled_dot_product_attention(query, key, value, scale=0.4)


def _short(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return short_attention(query, key, value, 0.4)


@pytest.mark.parametrize(("count", "length"), [(1, 1), (3, 7), (2, 130)])
def test_it_is_attention(count: int, length: int) -> None:
    texts = _texts(count, length)
    expected = _results(_reference, texts, torch.float64)
    for got, right in zip(_results(_short, texts, torch.float64), expected, strict=True):
        assert (got - right).abs().max() < 1e-12


def test_a_few_texts_at_a_time_are_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = _texts(5, 6)
    together = _results(_short, texts, torch.float64)
    monkeypatch.setattr(short_attention_module, "_MOST_WEIGHTS", 2 * 4 * 6**2)
    for got, right in zip(_results(_short, texts, torch.float64), together, strict=True):
        assert (got - right).abs().max() < 1e-12


@pytest.mark.parametrize("length", [5, 64, 300])
def test_bfloat16_errs_by_what_rounding_explains(length: int) -> None:
    texts = _texts(2, length)
    expected = _results(_reference, texts, torch.float64)
    for got, right in zip(_results(_short, texts, torch.bfloat16), expected, strict=True):
        assert (got - right).norm() < 0.015 * right.norm()


def test_autocast_changes_nothing() -> None:
    texts = _texts(2, 20)
    alone = _results(_short, texts, torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        within = _results(_short, texts, torch.bfloat16)
    assert all(torch.equal(one, other) for one, other in zip(alone, within, strict=True))


def test_only_short_texts_in_bfloat16_on_a_cpu_are_short() -> None:
    assert is_short(torch.zeros(1, 1, 512, 2, dtype=torch.bfloat16))
    assert not is_short(torch.zeros(1, 1, 513, 2, dtype=torch.bfloat16))
    assert not is_short(torch.zeros(1, 1, 4, 2))
    assert not is_short(torch.zeros(1, 1, 4, 2, dtype=torch.bfloat16, device="meta"))


def test_packed_texts_of_several_lengths_attend_to_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    lengths = [6, 6, 3, 1]
    generator = torch.Generator().manual_seed(0)
    packed = [torch.randn(1, 4, sum(lengths), 8, generator=generator, dtype=torch.float64) for _ in range(4)]
    mask = torch.arange(6) < torch.tensor(lengths)[:, None]
    runs = PackedTexts.of(mask.long()).runs

    def attend(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        attended, _ = packed_texts._attend(nn.Identity(), query, key, value, None, text_runs=runs, scaling=0.4)
        return attended.transpose(1, 2)

    blockwise = _results(attend, packed, torch.float64)
    monkeypatch.setattr(packed_texts, "is_short", lambda query: True)
    for got, right in zip(_results(attend, packed, torch.float64), blockwise, strict=True):
        assert (got - right).abs().max() < 1e-12
