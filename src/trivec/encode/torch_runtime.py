"""The encoder on torch: any backbone that transformers' ``AutoModel`` knows, on CPU or GPU."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from trivec.encode.checkpoints.checkpoint import Checkpoint, Linear
from trivec.encode.runtime import Forward, HeadOutputs, token_types
from trivec.encode.stock_models import load_stock
from trivec.encode.torch_packed import pack_attention, packed_states
from trivec.errors import InputError, require
from trivec.types import FloatArray, Head

DTYPES = {"float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


class TorchRuntime:
    """Runs a transformers backbone, its pooling and its heads, on one device or several.

    Args:
        checkpoint: the model.
        device: ``cpu``, ``cuda``, ``cuda:1``, ``mps``; None takes a GPU when there is one. Several, as in
            ``cuda:0,cuda:1``, hold a copy of the model each and share the batches.
        dtype: of the backbone; None is float32 on CPU and float16 elsewhere.
    """

    def __init__(self, checkpoint: Checkpoint, device: str | None = None, dtype: str | None = None) -> None:
        names = (device or ("cuda" if torch.cuda.is_available() else "cpu")).split(",")
        if dtype is not None and dtype not in DTYPES:
            raise InputError(f"unknown dtype {dtype!r}: use one of {', '.join(DTYPES)}")
        self._replicas = [_Replica(checkpoint, usable_device(name.strip()), dtype) for name in names]
        self.device = self._replicas[0].device

    @property
    def name(self) -> str:
        """``torch on`` and the devices."""
        return f"torch on {', '.join(str(replica.device) for replica in self._replicas)}"

    @property
    def batch_tokens(self) -> int:
        """A small budget keeps activations in a CPU's cache; a GPU wants large batches."""
        return 1024 if self.device.type == "cpu" else 65_536

    def forward(
        self, ids_BL: NDArray[np.int64], mask_BL: NDArray[np.int32], heads: Collection[Head], states: bool = False
    ) -> HeadOutputs:
        """One pass over a right-padded batch; ``mask_BL`` is 1 for real tokens. ``states`` asks for token states."""
        return self._replicas[0].forward(ids_BL, mask_BL, heads, states)

    def lanes(self, states: bool = False) -> Sequence[Forward]:
        """One forward pass for each device."""
        return [partial(replica.forward, states=states) for replica in self._replicas]


class _Replica:
    """The model on one device."""

    def __init__(self, checkpoint: Checkpoint, device: torch.device, dtype: str | None) -> None:
        self.device = device
        dtype = dtype or ("float32" if device.type == "cpu" else "float16")
        self._checkpoint = checkpoint
        self._model = load_backbone(checkpoint, DTYPES[dtype]).to(device).eval()
        self._is_packed = pack_attention(self._model, checkpoint, device)
        self._dense = [(_to_torch(m.linear, device), m.activation) for m in checkpoint.dense_modules]
        self._sparse = None if checkpoint.sparse is None else _to_torch(checkpoint.sparse, device)
        multi = checkpoint.multi.linear if checkpoint.multi is not None else None
        self._multi = None if multi is None else _to_torch(multi, device)

    @torch.inference_mode()
    def forward(
        self, ids_BL: NDArray[np.int64], mask_BL: NDArray[np.int32], heads: Collection[Head], states: bool = False
    ) -> HeadOutputs:
        mask = torch.from_numpy(mask_BL.astype(np.int64)).to(self.device)
        if self._is_packed:
            hidden_BLD = packed_states(self._model, self._checkpoint, ids_BL, mask_BL, self.device).float()
        else:
            ids = torch.from_numpy(ids_BL).to(self.device)
            hidden_BLD = self._model(
                input_ids=ids, attention_mask=mask, **self._types(ids_BL)
            ).last_hidden_state.float()
        return HeadOutputs(
            dense=_numpy(self._dense_vectors(hidden_BLD, mask)) if "dense" in heads else None,
            token_weights=_numpy(self._token_weights(hidden_BLD)) if "sparse" in heads else None,
            token_vectors=_numpy(self._token_vectors(hidden_BLD)) if "multi" in heads else None,
            token_states=_numpy(hidden_BLD) if states else None,
        )

    def _types(self, ids_BL: NDArray[np.int64]) -> dict[str, torch.Tensor]:
        """What a model of two texts is told besides; many others do not know token types."""
        if self._checkpoint.separator is None:
            return {}
        return {"token_type_ids": torch.from_numpy(token_types(ids_BL, self._checkpoint.separator)).to(self.device)}

    def _dense_vectors(self, hidden_BLD: torch.Tensor, mask_BL: torch.Tensor) -> torch.Tensor:
        pooled = _pool(hidden_BLD, mask_BL, self._checkpoint.pooling)
        for (weight, bias), activation in self._dense:
            pooled = F.linear(pooled, weight, bias)
            pooled = torch.tanh(pooled) if activation == "tanh" else pooled
        return F.normalize(pooled, dim=-1) if self._checkpoint.normalize else pooled

    def _token_weights(self, hidden_BLD: torch.Tensor) -> torch.Tensor:
        assert self._sparse is not None
        return torch.relu(F.linear(hidden_BLD, *self._sparse)).squeeze(-1)

    def _token_vectors(self, hidden_BLD: torch.Tensor) -> torch.Tensor:
        projected = hidden_BLD if self._multi is None else F.linear(hidden_BLD, *self._multi)
        return F.normalize(projected, dim=-1)


def usable_device(name: str) -> torch.device:
    """A device that a tensor can be put on.

    Raises:
        InputError: it has no meaning to torch, or is not there.
    """
    try:
        device = torch.device(name)
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"torch cannot use the device {name!r} ({reason}): choose cpu, or one that is here") from error
    return device


def load_backbone(checkpoint: Checkpoint, dtype: torch.dtype) -> Any:  # noqa: ANN401
    """The backbone of a model folder, without a pooler, on the CPU.

    Raises:
        CorruptModelError: transformers cannot load it, or it lacks weights.
    """
    transformers = require("transformers", "torch", "the torch runtime")
    model = load_stock(transformers.AutoModel, checkpoint.folder, dtype, unneeded=("pooler.",))
    if getattr(model, "pooler", None) is not None:
        model.pooler = None
    return model


def _pool(hidden_BLD: torch.Tensor, mask_BL: torch.Tensor, pooling: str) -> torch.Tensor:
    if pooling == "cls":
        return hidden_BLD[:, 0]
    if pooling == "last":
        last = mask_BL.sum(dim=1) - 1
        return hidden_BLD[torch.arange(len(last), device=last.device), last]
    mask_BL1 = mask_BL.unsqueeze(-1)
    if pooling == "max":
        return hidden_BLD.masked_fill(mask_BL1 == 0, float("-inf")).amax(dim=1)
    return (hidden_BLD * mask_BL1).sum(dim=1) / mask_BL1.sum(dim=1)


def _to_torch(linear: Linear, device: torch.device) -> tuple[torch.Tensor, torch.Tensor | None]:
    weight = torch.tensor(linear.weight, device=device)
    return weight, None if linear.bias is None else torch.tensor(linear.bias, device=device)


def _numpy(tensor: torch.Tensor) -> FloatArray:
    return np.asarray(tensor.cpu().numpy(), np.float32)
