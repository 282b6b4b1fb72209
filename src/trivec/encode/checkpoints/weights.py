"""Tensors of a model folder, from safetensors or from pickles, which are read weights-only: no code in them is run."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from trivec.encode.checkpoints.checkpoint import Linear
from trivec.errors import CorruptModelError, require
from trivec.tensorfile import memory_map
from trivec.types import FloatArray

WEIGHTS_FILE, PICKLED_WEIGHTS_FILE = "model.safetensors", "pytorch_model.bin"


def read_weights(folder: Path) -> dict[str, Any]:
    """The weights in a folder: one safetensors file, or a pickle.

    Raises:
        CorruptModelError: there are none, or the file is damaged.
    """
    if (folder / WEIGHTS_FILE).is_file():
        return memory_map(folder / WEIGHTS_FILE)
    if (folder / PICKLED_WEIGHTS_FILE).is_file():
        return dict(read_state_dict(folder / PICKLED_WEIGHTS_FILE))
    raise CorruptModelError(
        f"{folder} holds no weights ({WEIGHTS_FILE} or {PICKLED_WEIGHTS_FILE}): fetch the model again"
    )


def read_state_dict(path: Path) -> dict[str, FloatArray]:
    """The floating-point tensors of a pickled state dict, as float32.

    Raises:
        CorruptModelError: it is damaged, or holds anything but tensors.
    """
    torch = require("torch", "torch", f"reading {path.name}")
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        return {name: tensor.detach().float().numpy() for name, tensor in state.items() if tensor.is_floating_point()}
    except Exception as error:  # what a damaged pickle ends in depends on its bytes
        raise CorruptModelError(f"{path} is no state dict of tensors ({reason(error)}): fetch it again") from error


def read_linear(tensors: Mapping[str, Any], prefix: str) -> Linear | None:
    """The layer ``PREFIXweight``, ``PREFIXbias``, or None without a weight. Shapes are as they are in the file."""
    if f"{prefix}weight" not in tensors:
        return None
    bias = tensors.get(f"{prefix}bias")
    weight = np.asarray(tensors[f"{prefix}weight"], np.float32)
    return Linear(weight, None if bias is None else np.asarray(bias, np.float32))


def reason(error: Exception) -> str:
    """Why a file could not be loaded, on one line. Torch's own words advise to run the code in a pickle."""
    if isinstance(error, pickle.UnpicklingError):
        return "it holds more than tensors, or is cut off"
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
