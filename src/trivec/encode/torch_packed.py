"""Attention over texts laid end to end: a batch in torch without a single padded token.

The backbone sees one row of T tokens, with positions that begin anew in each text. Only attention has to know where
texts end; it comes in by transformers' public interface for attention functions. On a GPU in half precision one
variable-length kernel does all texts; elsewhere there is one call a text, or a single one if all are equally long.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from trivec.encode.checkpoints import plain
from trivec.encode.checkpoints.checkpoint import Checkpoint
from trivec.encode.runtime import token_types

_NAME = "trivec_packed"
_MODEL_TYPES = ("bert", "roberta", "xlm-roberta")
"""Backbones in which nothing but attention and positions depends on the place of a token."""


def pack_attention(model: Any, checkpoint: Checkpoint, device: torch.device) -> bool:  # noqa: ANN401
    """Give a backbone attention over packed texts, if it can have it. True if it has."""
    if not _worth_it(model.dtype, device):
        return False
    return install_attention(model, str(checkpoint.config.get("model_type")), _NAME, _attend)


def install_attention(model: Any, model_type: str, name: str, attend: Callable[..., object]) -> bool:  # noqa: ANN401
    """Give a backbone an attention function of ours, without masks, if it can have one. True if it has."""
    import transformers

    able = getattr(model, "_supports_attention_backend", False) and hasattr(model, "set_attn_implementation")
    if model_type not in _MODEL_TYPES or not able:
        return False
    transformers.AttentionInterface.register(name, attend)
    transformers.AttentionMaskInterface.register(name, _no_mask)
    model.set_attn_implementation(name)
    return True


def packed_states(
    model: Any,  # noqa: ANN401
    checkpoint: Checkpoint,
    ids_BL: NDArray[np.int64],
    mask_BL: NDArray[np.int32],
    device: torch.device,
) -> torch.Tensor:
    """Last hidden states (B, L, hidden) of a right-padded batch, computed without the padding; zeros there."""
    kept_BL = mask_BL.astype(bool)
    lengths = kept_BL.sum(axis=1)
    ends = np.concatenate([[0], np.cumsum(lengths)])
    first = plain.position_offset(checkpoint.folder / plain.CONFIG_FILE, checkpoint.config)
    positions_T = np.arange(ends[-1]) - np.repeat(ends[:-1], lengths) + first
    ids_1T = torch.from_numpy(ids_BL[kept_BL][None]).to(device)
    types_BL = token_types(ids_BL, checkpoint.separator)
    states_TD: torch.Tensor = model(
        input_ids=ids_1T,
        position_ids=torch.from_numpy(positions_T[None]).to(device),
        token_type_ids=torch.from_numpy(types_BL[kept_BL][None]).to(device),
        text_lengths=lengths.tolist(),
        text_ends=torch.from_numpy(ends.astype(np.int32)).to(device),
    ).last_hidden_state[0]
    states_BLD = states_TD.new_zeros((*ids_BL.shape, states_TD.shape[-1]))
    states_BLD[torch.from_numpy(kept_BL).to(device)] = states_TD
    return states_BLD


def _attend(
    module: Any,  # noqa: ANN401
    query_1HTC: torch.Tensor,
    key_1HTC: torch.Tensor,
    value_1HTC: torch.Tensor,
    attention_mask: None,
    *,
    text_lengths: list[int],
    text_ends: torch.Tensor,
    scaling: float | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Attention of each text to itself; the result is (1, T, H, C)."""
    heads, tokens, width = query_1HTC.shape[1:]
    if len(set(text_lengths)) == 1:
        shape = (heads, len(text_lengths), text_lengths[0], width)
        query, key, value = (part.reshape(shape).transpose(0, 1) for part in (query_1HTC, key_1HTC, value_1HTC))
        attended_BHLC = F.scaled_dot_product_attention(query, key, value, scale=scaling)
        return attended_BHLC.transpose(1, 2).reshape(1, tokens, heads, width), None
    if query_1HTC.device.type == "cuda":
        query, key, value = (part[0].transpose(0, 1).contiguous() for part in (query_1HTC, key_1HTC, value_1HTC))
        longest = max(text_lengths)
        return _varlen()(query, key, value, text_ends, text_ends, longest, longest, scale=scaling)[None], None
    attended, start = [], 0
    for length in text_lengths:
        query, key, value = (part.narrow(2, start, length) for part in (query_1HTC, key_1HTC, value_1HTC))
        attended.append(F.scaled_dot_product_attention(query, key, value, scale=scaling))
        start += length
    return torch.cat(attended, dim=2).transpose(1, 2), None


def _no_mask(*_: object, **__: object) -> None:
    """Nothing to mask where nothing is padded."""


def _worth_it(dtype: torch.dtype, device: torch.device) -> bool:
    """On a GPU only the variable-length kernel is, and it wants half precision."""
    if device.type == "cpu":
        return True
    return device.type == "cuda" and dtype in (torch.float16, torch.bfloat16) and _varlen() is not None


def _varlen() -> Any:  # noqa: ANN401
    """Torch's kernel for texts of several lengths, or None in a torch that has none."""
    try:
        return importlib.import_module("torch.nn.attention.varlen").varlen_attn
    except ImportError:
        return None
