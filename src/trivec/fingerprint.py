"""`Fingerprint`: what vectors depend on, so that those of different models are never compared."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

from trivec.errors import InputError
from trivec.types import HEADS, Head

FORMAT_VERSION = 1
"""Raised when the same model would give other vectors, or vectors are written in another form."""


@dataclass(frozen=True)
class Fingerprint:
    """What vectors depend on. Two encoders with equal digests give the same vectors for the same text.

    ``heads`` maps each head to a short description of how it is made, e.g.
    ``{"dense": "384, mean, normalized", "multi": "128, training-free, seed 0"}``; ``model`` is a name for
    people and does not count.
    """

    model: str
    weights: str
    heads: Mapping[Head, str] = field(default_factory=dict)
    query_prompt: str = ""
    document_prompt: str = ""
    max_length: int = 0
    architecture: str = ""
    tokenizer: str = ""
    version: int = FORMAT_VERSION

    @property
    def digest(self) -> str:
        """Sixteen hexadecimal digits over everything but the name."""
        content = asdict(self) | {"model": None}
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]

    def differences(self, other: Fingerprint) -> list[str]:
        """The fields in which two fingerprints disagree, in words: ``"max_length: 512 / 256"``."""
        return [
            f"{f.name}: {getattr(self, f.name)} / {getattr(other, f.name)}"
            for f in fields(self)
            if f.name != "model" and getattr(self, f.name) != getattr(other, f.name)
        ]

    def to_json(self) -> str:
        """As one line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Fingerprint:
        """From `to_json`'s line.

        Raises:
            InputError: the line is another one.
        """
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise InputError(f"a fingerprint cannot be read ({error}): give a line that to_json wrote") from error
        if not _describes_fingerprint(content):
            raise InputError(f"a fingerprint has other fields, {content!r}: give a line that to_json wrote")
        return cls(**content)


def _describes_fingerprint(content: object) -> bool:
    """Whether decoded JSON has a fingerprint's fields, all of them, with values of their types."""
    pattern = asdict(Fingerprint("", ""))
    return (
        isinstance(content, dict)
        and content.keys() == pattern.keys()
        and all(type(content[name]) is type(value) for name, value in pattern.items())
        and all(head in HEADS and isinstance(words, str) for head, words in content["heads"].items())
    )
