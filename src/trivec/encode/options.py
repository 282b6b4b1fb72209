"""How texts are encoded: as the caller asks for it, and as it stands after checking."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from trivec.encode.long_text import MCLS_PERIOD, LongText, LongTextOptions
from trivec.errors import InputError
from trivec.fingerprint import Fingerprint
from trivec.types import HEADS, Head


@dataclass(frozen=True)
class EncodeOptions:
    """How texts are encoded.

    Attributes:
        heads: which vectors to make; None makes all that the model has.
        max_length: tokens per text, special tokens and prompt included; None is the model's own.
        batch_tokens: padded tokens a batch; None is what the runtime likes best.
        progress: show a bar on standard error.
        long_text: what becomes of a text longer than ``max_length``: ``cut``, ``windows`` or ``mcls``, see
            `trivec.encode.long_text`.
        overlap_tokens: that neighbouring windows share; None is an eighth of a window.
        mcls_period: tokens to a CLS token.
    """

    heads: Collection[Head] | None = None
    max_length: int | None = None
    batch_tokens: int | None = None
    progress: bool = False
    long_text: LongText = "cut"
    overlap_tokens: int | None = None
    mcls_period: int = MCLS_PERIOD

    def __post_init__(self) -> None:
        if self.heads is not None and isinstance(self.heads, str):
            raise InputError(f"heads must be a list such as ['dense', 'multi'], got the string {self.heads!r}")
        if self.heads is not None and not self.heads:
            raise InputError(f"heads is empty: ask for at least one of {', '.join(HEADS)}")
        if self.batch_tokens is not None and self.batch_tokens < 1:
            raise InputError(f"batch_tokens must be at least 1, got {self.batch_tokens}")
        self.long_text_options()

    def long_text_options(self) -> LongTextOptions:
        """The options for long texts by themselves.

        Raises:
            InputError: they contradict each other.
        """
        return LongTextOptions(self.long_text, self.overlap_tokens, self.mcls_period)


@dataclass(frozen=True)
class Job:
    """`EncodeOptions` after checking, with the model's own settings filled in."""

    heads: tuple[Head, ...]
    prompt: str
    max_length: int
    batch_tokens: int
    fingerprint: Fingerprint
    long_text: LongTextOptions
