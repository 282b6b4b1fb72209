"""Parts of decoders that stock models have no place for: the configuration of their first layers, and a few tensors."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from trivec.encode.checkpoints import plain
from trivec.encode.checkpoints.weights import PICKLED_WEIGHTS_FILE, WEIGHTS_FILE, read_state_dict, reason
from trivec.errors import CorruptModelError

_OF_THE_FOLDER = ("architectures", "auto_map", "model_type", "_name_or_path", "layer_types")
"""What names the folder's own code, or tells of each of its layers."""


def stock_config(config_class: Any, folder: Path, config: Mapping[str, Any], layers: int) -> Any:  # noqa: ANN401
    """What a ``config.json`` of a model that is built on a stock one says of that one's first layers.

    Raises:
        CorruptModelError: transformers does not accept it.
    """
    own = {key: value for key, value in config.items() if key not in _OF_THE_FOLDER}
    try:
        return config_class(**{**own, "num_hidden_layers": layers, "tie_word_embeddings": False})
    except Exception as error:  # which ones it raises for which values depends on its release
        raise CorruptModelError(
            f"transformers cannot use {folder / plain.CONFIG_FILE} ({reason(error)}): fetch the model again"
        ) from error


def read_named(folder: Path, prefix: str) -> dict[str, torch.Tensor]:
    """Tensors whose names begin with ``prefix``, as float32, from one weights file or from several with an index.

    Raises:
        CorruptModelError: there are no weights, or an index is damaged.
    """
    tensors: dict[str, torch.Tensor] = {}
    for path in _files(folder, prefix):
        if path.suffix == ".safetensors":
            with safe_open(path, framework="pt") as file:
                tensors |= {name: file.get_tensor(name) for name in file.keys() if name.startswith(prefix)}  # noqa: SIM118
        else:
            tensors |= {name: torch.from_numpy(array) for name, array in read_state_dict(path).items()}
    return {name: tensor.float() for name, tensor in tensors.items() if name.startswith(prefix)}


def _files(folder: Path, prefix: str) -> list[Path]:
    for name in (WEIGHTS_FILE, PICKLED_WEIGHTS_FILE):
        index = folder / f"{name}.index.json"
        if (folder / name).is_file():
            return [folder / name]
        if index.is_file():
            places = plain.read_json(index).get("weight_map")
            if not isinstance(places, dict):
                raise plain.unexpected(index, "has no weight_map")
            return sorted({folder / str(file) for key, file in places.items() if key.startswith(prefix)})
    raise CorruptModelError(
        f"{folder} holds no weights ({WEIGHTS_FILE} or {PICKLED_WEIGHTS_FILE}): fetch the model again"
    )
