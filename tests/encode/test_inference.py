"""Linear layers by oneDNN give what torch gives, in inference alone."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F

from trivec.encode import inference as module
from trivec.encode.inference import inference


@pytest.fixture
def products(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """Shapes of what oneDNN was given."""
    shapes: list[tuple[int, ...]] = []
    multiply = module._multiply

    def counted(states: torch.Tensor, *rest: Any) -> torch.Tensor:
        shapes.append(tuple(states.shape))
        return multiply(states, *rest)

    monkeypatch.setattr(module, "_multiply", counted)
    return shapes


@pytest.mark.parametrize("shape", [(7,), (5, 7), (2, 3, 7), (1, 1, 7)])
@pytest.mark.parametrize("has_bias", [True, False])
def test_products_are_those_of_torch(shape: tuple[int, ...], has_bias: bool, products: list[tuple[int, ...]]) -> None:
    torch.manual_seed(0)
    layer, states = torch.nn.Linear(7, 4, bias=has_bias), torch.randn(shape)
    torch.testing.assert_close(inference(layer)(states), layer(states).detach(), rtol=0, atol=1e-6)
    assert products == [shape]


def test_states_that_do_not_lie_in_a_row() -> None:
    torch.manual_seed(0)
    layer, states = torch.nn.Linear(6, 3), torch.randn(5, 6, 2)[:, :, 0].T.contiguous().T
    torch.testing.assert_close(inference(layer)(states), layer(states).detach(), rtol=0, atol=1e-6)


def test_other_kinds_of_numbers_and_empty_batches_are_left_to_torch(products: list[tuple[int, ...]]) -> None:
    layer = torch.nn.Linear(6, 3)
    assert inference(layer)(torch.zeros(0, 6)).shape == (0, 3)
    assert inference(layer.bfloat16())(torch.zeros(2, 6, dtype=torch.bfloat16)).dtype == torch.bfloat16
    assert products == []


def test_without_onednn_all_is_left_to_torch(products: list[tuple[int, ...]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    inference(torch.nn.Linear(6, 3))(torch.zeros(2, 6))
    assert products == []


def test_it_is_inference_and_ends_with_the_function(products: list[tuple[int, ...]]) -> None:
    layer, states = torch.nn.Linear(6, 3), torch.ones(2, 6)
    assert inference(torch.is_inference_mode_enabled)()
    assert not inference(layer)(states).requires_grad
    products.clear()
    layer(states).sum().backward()
    assert products == []
    assert layer.weight.grad is not None
    assert F.linear(states, layer.weight).requires_grad


def test_errors_leave_nothing_behind(products: list[tuple[int, ...]]) -> None:
    layer = torch.nn.Linear(6, 3)
    with pytest.raises(RuntimeError):
        inference(layer)(torch.ones(2, 5))
    products.clear()
    layer(torch.ones(2, 6))
    assert products == []
    assert not torch.is_inference_mode_enabled()
