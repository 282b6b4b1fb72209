"""Inference in torch on a CPU, with linear layers by oneDNN.

Torch multiplies float32 matrices by MKL, which leaves AVX-512 unused on processors that are not Intel's: there oneDNN,
which lies in torch too, is more than twice as fast, with the same precision. It is reached by the operator that
``torch.compile`` puts for linear layers. A torch without it computes as ever.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
import torch.nn.functional as F
from torch.overrides import TorchFunctionMode

Given = ParamSpec("Given")
Result = TypeVar("Result")


def inference(function: Callable[Given, Result]) -> Callable[Given, Result]:
    """A function that runs in torch's inference mode, and multiplies by oneDNN."""

    @wraps(function)
    def without_gradients(*args: Given.args, **kwargs: Given.kwargs) -> Result:
        with torch.inference_mode(), _OneDnnLinear():
            return function(*args, **kwargs)

    return without_gradients


class _OneDnnLinear(TorchFunctionMode):
    """Linear layers in float32 on a CPU go another way while this is entered; everything else is left alone."""

    def __torch_function__(
        self,
        func: Callable[..., object],
        types: object,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> object:
        if func is F.linear and not kwargs and _fits(*args):
            return _multiply(*args)
        return func(*args, **(kwargs or {}))


def _fits(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> bool:
    """Whether oneDNN computes a product just as torch does."""
    tensors = (states, weight) if bias is None else (states, weight, bias)
    alike = all(tensor.device.type == "cpu" and tensor.dtype == torch.float32 for tensor in tensors)
    return alike and weight.dim() == 2 and states.numel() > 0 and _is_here()


def _multiply(states: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    product: torch.Tensor = torch.ops.mkldnn._linear_pointwise(states, weight, bias, "none", [], "")
    return product


def _is_here() -> bool:
    return bool(torch.backends.mkldnn.enabled) and hasattr(torch.ops.mkldnn, "_linear_pointwise")
