"""A decoder's layers, run one after the other, so that one can look between them and stop early.

The layers are those of transformers' own classes for Llama and Gemma 2. What their models do around them, embedding and
masks, is done here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F

Between = Callable[[int, torch.Tensor], torch.Tensor]
"""What is done to the states (B, L, D) before the layer with this number, counted from 0: it may shorten rows."""


def walk(
    model: Any,  # noqa: ANN401
    ids_BL: torch.Tensor,
    cache: Any = None,  # noqa: ANN401
    between: Between = lambda number, states_BLD: states_BLD,
) -> Iterator[tuple[int, torch.Tensor]]:
    """Yields the number of layers that were run, and the states (B, L, D) behind them, before the final norm.

    A layer is run when its states are asked for. Rows are padded on the right: the causal mask hides that from their
    real tokens. States that ``between`` made shorter have positions from 0 on again.

    Args:
        model: a ``LlamaModel`` or ``Gemma2Model``.
        ids_BL: of the tokens.
        cache: what the model remembers of tokens before them; it is added to.
        between: see `Between`.
    """
    known = 0 if cache is None else cache.get_seq_length()
    positions_1L = torch.arange(known, known + ids_BL.shape[1], device=ids_BL.device)[None]
    states_BLD = F.embedding(ids_BL, model.embed_tokens.weight) * _embedding_scale(model)
    turns = model.rotary_emb(states_BLD, positions_1L)
    kinds = getattr(model.config, "layer_types", None) or ["full_attention"] * len(model.layers)
    masks = {kind: _mask(model, kind, positions_1L[0], states_BLD.dtype) for kind in set(kinds)}
    for number, layer in enumerate(model.layers):
        states_BLD = between(number, states_BLD)
        length, mask = states_BLD.shape[1], masks[kinds[number]]
        output = layer(
            states_BLD,
            attention_mask=None if mask is None else mask[:, :, :length, : known + length],
            position_ids=positions_1L[:, :length],
            position_embeddings=tuple(turn[:, :length] for turn in turns),
            past_key_values=cache,
            use_cache=cache is not None,
        )
        states_BLD = output[0] if isinstance(output, tuple) else output
        yield number + 1, states_BLD


def _embedding_scale(model: Any) -> torch.Tensor | float:  # noqa: ANN401
    """Gemma multiplies by the root of its width, rounded to its own dtype."""
    if model.config.model_type != "gemma2":
        return 1.0
    weight = model.embed_tokens.weight
    return torch.tensor(model.config.hidden_size**0.5, dtype=weight.dtype, device=weight.device)


def _mask(
    model: Any,  # noqa: ANN401
    kind: str,
    positions_L: torch.Tensor,
    dtype: torch.dtype,
) -> torch.Tensor | None:
    """(1, 1, L, K): added to the attention of tokens at these positions to all K tokens up to the last of them.

    None where torch's own attention masks what is ahead.
    """
    known = int(positions_L[0])
    if kind == "full_attention" and not known and model.config._attn_implementation == "sdpa":
        return None
    keys_K = torch.arange(known + len(positions_L), device=positions_L.device)
    distance_LK = positions_L[:, None] - keys_K[None]
    hidden_LK = distance_LK < 0
    if kind == "sliding_attention":
        hidden_LK |= distance_LK >= model.config.sliding_window
    zeros_LK = torch.zeros(hidden_LK.shape, dtype=dtype, device=positions_L.device)
    return zeros_LK.masked_fill(hidden_LK, torch.finfo(dtype).min)[None, None]
