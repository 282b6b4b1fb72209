"""Hidden states of a tiny checkpoint in float64, by transformers alone: what runtimes and pooling are held against."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from numpy.typing import NDArray


def hidden_states(folder: Path, ids: list[int]) -> NDArray[np.float64]:
    """The last hidden states (L, hidden) of one text without padding."""
    with torch.inference_mode():
        states = _model(folder)(torch.tensor([ids]), attention_mask=torch.ones(1, len(ids), dtype=torch.long))
    return states.last_hidden_state[0].numpy()


def unit(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows divided by their lengths."""
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


@cache
def _model(folder: Path) -> Any:
    level = transformers.utils.logging.get_verbosity()
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    try:
        return transformers.AutoModel.from_pretrained(str(folder), local_files_only=True).double().eval()
    finally:
        transformers.utils.logging.set_verbosity(level)
        transformers.utils.logging.enable_progress_bar()
