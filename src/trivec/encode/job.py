"""`Job`: what is to be made of texts, after all options have been checked."""

from __future__ import annotations

from dataclasses import dataclass

from trivec.encode.long_text import LongTextOptions
from trivec.fingerprint import Fingerprint
from trivec.types import Head


@dataclass(frozen=True)
class Job:
    """`EncodeOptions` after checking, with the model's own settings filled in."""

    heads: tuple[Head, ...]
    prompt: str
    max_length: int
    batch_tokens: int
    fingerprint: Fingerprint
    long_text: LongTextOptions
