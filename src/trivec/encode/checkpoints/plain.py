"""Plain Hugging Face folders: ``config.json``, weights, ``tokenizer.json``, and nothing about pooling."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from trivec.encode.checkpoints.checkpoint import Checkpoint
from trivec.errors import CorruptModelError

_POSITION_OFFSETS = {"xlm-roberta": 2, "roberta": 2, "camembert": 2}
"""Rows of the position table that these architectures never use for text."""


def read(folder: Path) -> Checkpoint:
    """A checkpoint with CLS pooling, no prompts, and the length of its position table."""
    config = read_json(folder / "config.json")
    if "hidden_size" not in config:
        raise CorruptModelError(f"{folder / 'config.json'} names no hidden_size: it is no text encoder")
    return Checkpoint(
        folder=folder,
        layout="plain",
        name=folder.name,
        config=config,
        max_length=position_limit(config),
    )


def position_limit(config: dict[str, Any]) -> int:
    """The most tokens that the position table can tell apart."""
    rows = int(config.get("max_position_embeddings", 512))
    return rows - _POSITION_OFFSETS.get(str(config.get("model_type")), 0)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a model folder.

    Raises:
        CorruptModelError: the file is missing or is no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CorruptModelError(f"{path} is missing: the model folder is not complete, fetch it again") from error
    except (OSError, ValueError) as error:
        raise CorruptModelError(f"{path} cannot be read ({error}): fetch the model again") from error
    if not isinstance(content, dict):
        raise CorruptModelError(f"{path} holds a {type(content).__name__}, not an object: fetch the model again")
    return content
