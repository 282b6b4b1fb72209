"""Plain Hugging Face folders: ``config.json``, weights, ``tokenizer.json``, and nothing about pooling.

Here too: how the JSON files of all layouts are read and checked.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from trivec.encode.checkpoints.checkpoint import Checkpoint
from trivec.errors import CorruptModelError

CONFIG_FILE = "config.json"
RERANKER_FILE = "reranker.json"
_COUNT_FROM_PADDING = ("xlm-roberta", "roberta", "camembert")
"""Architectures whose first position is the one after the padding token's number."""


def read(folder: Path) -> Checkpoint:
    """A checkpoint with CLS pooling, no prompts, and the length of its position table.

    Raises:
        CorruptModelError: the configuration is damaged, or that of no text encoder.
    """
    config = read_json(folder / CONFIG_FILE)
    whole_number(folder / CONFIG_FILE, config, "hidden_size")
    return Checkpoint(
        folder=folder,
        layout="plain",
        name=folder.name,
        config=config,
        max_length=position_limit(folder / CONFIG_FILE, config),
    )


def position_limit(path: Path, config: Mapping[str, Any]) -> int:
    """The most tokens that the position table of the configuration at ``path`` can tell apart."""
    offset = position_offset(path, config)
    return whole_number(path, config, "max_position_embeddings", default=512, least=offset + 1) - offset


def position_offset(path: Path, config: Mapping[str, Any]) -> int:
    """Row of the position table that belongs to the first token."""
    if config.get("model_type") not in _COUNT_FROM_PADDING:
        return 0
    return whole_number(path, config, "pad_token_id", default=1, least=0) + 1


def pad_id(checkpoint: Checkpoint) -> int:
    """The id that fills up short rows; it is masked, so any will do where the model names none."""
    named = {name: value for name, value in checkpoint.config.items() if value is not None}
    return whole_number(checkpoint.folder / CONFIG_FILE, named, "pad_token_id", default=0, least=0)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a model folder.

    Raises:
        CorruptModelError: the file is missing or is no JSON object.
    """
    content = parse_json(path)
    if not isinstance(content, dict):
        raise unexpected(path, f"holds a {type(content).__name__}, not an object")
    return content


def parse_json(path: Path) -> object:
    """Whatever a JSON file in a model folder holds.

    Raises:
        CorruptModelError: the file is missing or is no JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise CorruptModelError(f"{path} is missing: the model folder is not complete, fetch it again") from error
    except (OSError, ValueError, RecursionError) as error:
        raise unexpected(path, f"cannot be read ({error})") from error


def whole_number(
    path: Path,
    content: Mapping[str, Any],
    key: str,
    default: int | None = None,
    least: int = 1,
    most: int | None = None,
) -> int:
    """A number out of the content of the JSON file ``path``.

    Raises:
        CorruptModelError: it is missing without a default, no whole number, or not in the range.
    """
    value = content.get(key, default)
    if type(value) is not int or value < least or (most is not None and value > most):
        found = f"{value!r} for {key}" if key in content else f"no {key}"
        limits = f"of at least {least}" if most is None else f"from {least} to {most}"
        raise unexpected(path, f"has {found}, where a whole number {limits} should be")
    return value


def unexpected(path: Path, what: str) -> CorruptModelError:
    """The error for a JSON file of a model folder that does not say what it should."""
    return CorruptModelError(f"{path} {what}: fetch or export the model again")
