"""How a library encodes documents that are longer than the model's window."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from trivec.embeddings import Embeddings
from trivec.encode.encoder import EncodeOptions, Encoder
from trivec.encode.late_chunking import ChunkedText, encode_chunks
from trivec.encode.multi_cls import most_tokens
from trivec.errors import InputError
from trivec.search.settings import changed_settings, options_from
from trivec.types import Head, Passage

if TYPE_CHECKING:
    from trivec.search.passages import PassageSplitter

Method: TypeAlias = Literal["passages", "late-chunking", "windows", "mcls", "cut"]
METHODS: tuple[Method, ...] = get_args(Method)
_WHOLE: tuple[Method, ...] = ("windows", "cut")

LATE_PASSAGE_TOKENS = 256
"""Of 128 and 256, the better one on training pairs; short enough for its surroundings to tell something new."""


@dataclass(frozen=True)
class LongDocuments:
    """What becomes of long documents in a library.

    Attributes:
        method: ``passages`` of the model's window, each encoded by itself; ``late-chunking``, shorter passages encoded
            in sight of each other (`trivec.encode.late_chunking`); ``windows``, one passage a document, encoded in
            overlapping windows (`trivec.encode.windows`); ``mcls``, passages of the model's window with several CLS
            tokens (`trivec.encode.multi_cls`); ``cut``, one passage a document, of which the model sees the first
            window, as most published figures are made.
        passage_tokens: the most tokens of a passage, without its title; None is what the method likes best.
    """

    method: Method = "passages"
    passage_tokens: int | None = None

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise InputError(f"unknown way with long documents {self.method!r}: choose one of {', '.join(METHODS)}")
        if self.passage_tokens is not None and self.passage_tokens < 1:
            raise InputError(f"passage_tokens must be at least 1, got {self.passage_tokens}")
        if self.passage_tokens is not None and self.method in _WHOLE:
            raise InputError(
                f"passage_tokens has no meaning for {self.method!r}, where a document is one passage: drop it"
            )

    def check_model(self, encoder: Encoder) -> None:
        """Refuse a method that the model cannot follow.

        Raises:
            InputError: saying why, and what to use instead.
        """
        if self.method == "mcls":
            EncodeOptions(long_text="mcls").long_text_options().check_model(encoder.checkpoint)

    def check_same(self, other: LongDocuments, folder: Path) -> None:
        """Refuse another way for a library that has one.

        Raises:
            InputError: naming both.
        """
        if other != self:
            raise InputError(
                f"{folder} takes long documents as {self}, not as {other}: leave the option out, or make a new library"
            )

    def __str__(self) -> str:
        return self.method if self.passage_tokens is None else f"{self.method} of {self.passage_tokens} tokens"

    def window(self, encoder: Encoder) -> int:
        """Tokens of prompt, title and text that one pass of the model takes."""
        closing = encoder.tokenizer.closing_tokens
        if self.method == "mcls":
            return most_tokens(encoder.max_length - closing, EncodeOptions().mcls_period)
        return encoder.max_length - encoder.tokenizer.special_tokens_per_text

    def room(self, window: int) -> int:
        """The most tokens of a passage's text where ``window`` tokens are free for it."""
        if self.method in _WHOLE:
            return sys.maxsize
        preferred = LATE_PASSAGE_TOKENS if self.method == "late-chunking" else window
        return min(window, self.passage_tokens or preferred)

    def encode(
        self,
        encoder: Encoder,
        splitter: PassageSplitter,
        passages: Sequence[Passage],
        heads: Collection[Head] | None = None,
    ) -> Embeddings:
        """The vectors of passages, in order; all passages of a document must be among them, side by side.

        Args:
            encoder: the model.
            splitter: it made the passages.
            passages: what is encoded.
            heads: which vectors; None is all that the model has.
        """
        if self.method == "late-chunking":
            return _encode_late(encoder, splitter, passages, heads)
        contents = [splitter.content(passage) for passage in passages]
        long_text = "cut" if self.method == "passages" else self.method
        return encoder.encode_documents(contents, heads, long_text=long_text)

    def settings(self) -> dict[str, Any]:
        """What differs from the defaults; `from_settings` reads it."""
        return changed_settings(self)

    @classmethod
    def from_settings(cls, settings: Mapping[str, object]) -> LongDocuments:
        """From a library's settings.

        Raises:
            InputError: a setting is not known.
        """
        return options_from(cls, settings, "settings")


def _encode_late(
    encoder: Encoder, splitter: PassageSplitter, passages: Sequence[Passage], heads: Collection[Head] | None
) -> Embeddings:
    order: list[int] = []
    texts: list[ChunkedText] = []
    numbered = list(enumerate(passages))
    for _, group in itertools.groupby(numbered, key=lambda pair: pair[1].document_id):
        rows = sorted(group, key=lambda pair: pair[1].number)
        order += [row for row, _ in rows]
        title = splitter.encoded_title(rows[0][1].title)
        texts.append(ChunkedText([passage.text for _, passage in rows], title))
    vectors = encode_chunks(encoder, texts, heads)
    return vectors.select([row for _, row in sorted(zip(order, range(len(order)), strict=True))])
