"""Types of decoders that were published with heads between their layers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MINICPM, GEMMA = "minicpm", "cost_wise_gemma"
LAYERED = (MINICPM, GEMMA)


def has_heads(config: Mapping[str, Any]) -> bool:
    """Whether a folder with this ``config.json`` has heads between its layers."""
    return config.get("model_type") in LAYERED and "start_layer" in config
