"""Fixed encodings of a segment's multi-vectors, the first stage of searching by them where the options ask for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np

from trivec.index.fixed_encoding import FixedEncoder, FixedEncodingOptions
from trivec.index.native.dense import merge_dense, write_dense
from trivec.index.native.segment import Segment
from trivec.index.native.settings import NativeSettings
from trivec.ragged import Ragged
from trivec.tensorfile import TensorWriter
from trivec.types import FloatArray, IntArray

_BATCH = 512
"""Passages encoded at once, some 20 KB each."""


@lru_cache(maxsize=4)
def encoder_of(width: int, options: FixedEncodingOptions, center: tuple[float, ...] | None) -> FixedEncoder:
    """The encoder for multi-vectors of a width, made once: it holds random numbers."""
    return FixedEncoder(width, options, None if center is None else np.asarray(center, np.float32))


def centered(settings: NativeSettings, tokens: Ragged | None) -> NativeSettings:
    """Settings with the mean of some multi-vectors as center, if encodings are wanted and none were made yet."""
    if settings.options.multi_first_stage == "exact" or settings.center is not None:
        return settings
    if tokens is None or not len(tokens.values):
        return settings
    mean = tokens.values.mean(axis=0, dtype=np.float64).astype(np.float32)
    return replace(settings, center=tuple(mean.tolist()))


def write_encodings(writer: TensorWriter, tokens: Iterable[Ragged], width: int, settings: NativeSettings) -> None:
    """Write the encodings of multi-vectors of some width, which come in batches."""
    options = settings.options
    encoder = encoder_of(width, options.fixed_encoding, settings.center)
    batches = (encoder.encode_passage_tokens(part) for batch in tokens for part in _small(batch))
    write_dense(writer, "fde", encoder.width, batches, options.encodings)


def merge_encodings(
    writer: TensorWriter, parts: Sequence[tuple[Segment, IntArray]], width: int, settings: NativeSettings
) -> None:
    """Write the encodings of rows of segments; those that a segment does not have are made from its multi-vectors."""
    options = settings.options
    known = [(part, rows) for segment, rows in parts if (part := segment.encodings(options)) is not None]
    if len(known) == len(parts):
        merge_dense(writer, "fde", known, options.encodings)
        return
    write_encodings(writer, _tokens(parts), width, settings)


def encode_query(vectors: FloatArray, settings: NativeSettings) -> FloatArray:
    """The encoding of a query's vectors, (q, c)."""
    return encoder_of(vectors.shape[1], settings.options.fixed_encoding, settings.center).encode_query_tokens(vectors)


def _tokens(parts: Sequence[tuple[Segment, IntArray]]) -> Iterator[Ragged]:
    for segment, rows in parts:
        assert segment.multi is not None
        for start in range(0, len(rows), _BATCH):
            yield segment.multi.vectors(rows[start : start + _BATCH])


def _small(batch: Ragged) -> Iterator[Ragged]:
    return (batch.select(slice(start, start + _BATCH)) for start in range(0, len(batch), _BATCH))
