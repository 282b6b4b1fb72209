"""Longer position tables, so that a model made for 512 tokens can be trained on thousands."""

from __future__ import annotations

import logging
from typing import Any, Literal, TypeAlias, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trivec.encode.checkpoints.checkpoint import Checkpoint
from trivec.encode.checkpoints.plain import CONFIG_FILE, position_offset
from trivec.errors import InputError

logger = logging.getLogger(__name__)

Extension: TypeAlias = Literal["tile", "interpolate"]
"""``tile`` repeats the learnt rows; ``interpolate`` stretches them over the new length."""


def extend_positions(
    backbone: Any,  # noqa: ANN401
    checkpoint: Checkpoint,
    max_length: int,
    extension: Extension = "tile",
) -> bool:
    """Give a loaded backbone learnt positions for texts of ``max_length`` tokens, and say so in its configuration.

    Rows in front of the first token's, which XLM-RoBERTa has for padding, stay as they are. A table that is long
    enough stays whole. Tiling keeps what the model does with texts as short as before; interpolation changes it.

    Args:
        backbone: a transformers model.
        checkpoint: what it was loaded from, for where its positions begin.
        max_length: tokens per text, special tokens included.
        extension: how new rows are made.

    Returns:
        Whether the table grew.

    Raises:
        InputError: the backbone has no table of positions, or the extension is not known.
    """
    if extension not in get_args(Extension):
        raise InputError(f"unknown extension {extension!r}: choose one of {', '.join(get_args(Extension))}")
    embeddings = getattr(backbone, "embeddings", None)
    table = getattr(embeddings, "position_embeddings", None)
    if embeddings is None or not isinstance(table, nn.Embedding):
        raise InputError(
            f"{checkpoint.name}, a {checkpoint.config.get('model_type')} model, has no table of positions to extend: "
            "leave max_length at what it takes"
        )
    first = position_offset(checkpoint.folder / CONFIG_FILE, checkpoint.config)
    learnt = table.weight.detach()[first:]
    if max_length <= len(learnt):
        return False
    rows = torch.cat([table.weight.detach()[:first], _stretched(learnt, max_length, extension)])
    embeddings.position_embeddings = nn.Embedding(len(rows), rows.shape[1], padding_idx=table.padding_idx, _weight=rows)
    for name, values in (("position_ids", torch.arange(len(rows))), ("token_type_ids", torch.zeros(len(rows)).long())):
        if hasattr(embeddings, name):
            embeddings.register_buffer(name, values[None].to(rows.device), persistent=False)
    backbone.config.max_position_embeddings = len(rows)
    logger.info("positions of %s go from %d to %d by %s", checkpoint.name, len(learnt), max_length, extension)
    return True


def _stretched(learnt: Tensor, length: int, extension: Extension) -> Tensor:
    if extension == "tile":
        return learnt[torch.arange(length) % len(learnt)]
    return F.interpolate(learnt.T[None], size=length, mode="linear", align_corners=True)[0].T.contiguous()
