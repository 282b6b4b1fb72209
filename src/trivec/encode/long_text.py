"""What becomes of texts that are longer than a model takes: cut, windows, or several CLS tokens."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

import numpy as np

from trivec.embeddings import Embeddings
from trivec.encode.checkpoints.checkpoint import Checkpoint
from trivec.errors import InputError
from trivec.fingerprint import Fingerprint

if TYPE_CHECKING:
    from trivec.encode.encoder import Encoder
    from trivec.encode.options import Job
    from trivec.progress import Progress

LongText: TypeAlias = Literal["cut", "windows", "mcls"]
LONG_TEXTS: tuple[LongText, ...] = get_args(LongText)

MCLS_PERIOD = 256
"""Tokens to a CLS token, as in M3-Embedding (Chen et al. 2024, 2402.03216)."""


@dataclass(frozen=True)
class LongTextOptions:
    """How long texts are encoded.

    Attributes:
        method: ``cut`` drops their end, ``windows`` encodes overlapping windows (`trivec.encode.windows`), ``mcls``
            inserts CLS tokens (`trivec.encode.multi_cls`).
        overlap_tokens: that neighbouring windows share; None is an eighth of a window.
        period: tokens to a CLS token.
    """

    method: LongText = "cut"
    overlap_tokens: int | None = None
    period: int = MCLS_PERIOD

    def __post_init__(self) -> None:
        if self.method not in LONG_TEXTS:
            raise InputError(f"unknown long_text {self.method!r}: choose one of {', '.join(LONG_TEXTS)}")
        if self.overlap_tokens is not None and self.method != "windows":
            raise InputError(f"overlap_tokens is for long_text='windows', not for {self.method!r}: leave it out")
        if self.overlap_tokens is not None and self.overlap_tokens < 0:
            raise InputError(f"overlap_tokens must be at least 0, got {self.overlap_tokens}")
        if self.period < 1:
            raise InputError(f"mcls_period must be at least 1, got {self.period}")

    def check_model(self, checkpoint: Checkpoint) -> None:
        """Refuse MCLS for a model whose dense vector is not the state of CLS.

        Raises:
            InputError: naming the model's pooling and what to use instead.
        """
        if self.method == "mcls" and checkpoint.pooling != "cls":
            raise InputError(
                f"mcls averages the states of CLS tokens, and {checkpoint.name} has {checkpoint.pooling} pooling: use "
                "long_text='windows', or late chunking"
            )

    @property
    def description(self) -> str:
        """A few words that change whenever vectors of long texts would; empty for ``cut``."""
        if self.method == "windows":
            return f"windows, overlap {'an eighth' if self.overlap_tokens is None else self.overlap_tokens}"
        return f"mcls, period {self.period}" if self.method == "mcls" else ""


def describe_further(fingerprint: Fingerprint, words: str) -> Fingerprint:
    """A fingerprint whose vectors are made in another way, which ``words`` tell; terms stay what they are."""
    heads = {head: f"{how}, {words}" if words and head != "terms" else how for head, how in fingerprint.heads.items()}
    return replace(fingerprint, heads=heads)


def encode_long_texts(
    encoder: Encoder, texts: Sequence[str], job: Job, bar: Progress, plain: Callable[..., Embeddings]
) -> Embeddings:
    """Encode texts, the long ones by ``job.long_text``, all others by ``plain(texts, job, bar)``."""
    from trivec.encode.multi_cls import encode_mcls
    from trivec.encode.windows import encode_windows

    if job.heads == ("terms",):
        return plain(texts, job, bar)
    tokenized = encoder.tokenizer.tokenize(texts, sys.maxsize, job.prompt, "sparse" in job.heads)
    mcls = job.long_text.method == "mcls"
    limit = 1 + job.long_text.period + encoder.tokenizer.closing_tokens if mcls else job.max_length
    is_long = np.array([len(text.ids) > limit for text in tokenized], bool)
    if not is_long.any():
        return plain(texts, job, bar)
    rows = np.flatnonzero(is_long).tolist()
    encode = encode_mcls if mcls else encode_windows
    vectors = encode(encoder, [tokenized[row] for row in rows], job, bar)
    parts = {head: getattr(vectors, head) for head in vectors.heads}
    if "terms" in job.heads:
        parts["terms"] = encoder.count_terms([texts[row] for row in rows])
    long = Embeddings(**parts, fingerprint=job.fingerprint)
    others = np.flatnonzero(~is_long).tolist()
    if not others:
        return long
    short = plain([texts[row] for row in others], job, bar)
    return Embeddings.concatenate([short, long]).select(np.argsort([*others, *rows]))
