"""JSON files with a checksum of what they say in them, so that one changed byte is noticed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

_KEY = "sha256"


def seal(content: Mapping[str, Any]) -> str:
    """The text of a file that says this."""
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    return json.dumps({**content, _KEY: digest}, ensure_ascii=False, indent=2) + "\n"


def unseal(text: str) -> tuple[dict[str, Any], bool]:
    """What a file says, and whether every byte of it is as `seal` wrote it.

    Raises:
        ValueError: it is no JSON, or no object.
    """
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError(f"it holds {text[:40]!r}, not an object")
    content.pop(_KEY, None)
    return content, text == seal(content)
