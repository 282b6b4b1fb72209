"""Fixed encodings of a segment's multi-vectors, the first stage of searching by them where the options ask for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from trivec.index.fixed_encoding import FixedEncoder, FixedEncodingOptions
from trivec.index.native.dense import merge_dense, write_dense
from trivec.index.native.segment import Segment
from trivec.index.native.settings import NativeOptions
from trivec.ragged import Ragged
from trivec.tensorfile import TensorWriter
from trivec.types import FloatArray, IntArray

_BATCH = 512
"""Passages encoded at once, some 20 KB each."""


@lru_cache(maxsize=4)
def encoder_of(width: int, options: FixedEncodingOptions) -> FixedEncoder:
    """The encoder for multi-vectors of a width, made once: it holds random numbers."""
    return FixedEncoder(width, options)


def write_encodings(writer: TensorWriter, tokens: Iterable[Ragged], width: int, options: NativeOptions) -> None:
    """Write the encodings of multi-vectors of some width, which come in batches."""
    encoder = encoder_of(width, options.fixed_encoding)
    batches = (encoder.encode_passage_tokens(part) for batch in tokens for part in _small(batch))
    write_dense(writer, "fde", encoder.width, batches, options.encodings)


def merge_encodings(
    writer: TensorWriter, parts: Sequence[tuple[Segment, IntArray]], width: int, options: NativeOptions
) -> None:
    """Write the encodings of rows of segments; those that a segment does not have are made from its multi-vectors."""
    known = [(part, rows) for segment, rows in parts if (part := segment.encodings(options)) is not None]
    if len(known) == len(parts):
        merge_dense(writer, "fde", known, options.encodings)
        return
    write_encodings(writer, _tokens(parts), width, options)


def encode_query(vectors: FloatArray, options: NativeOptions) -> FloatArray:
    """The encoding of a query's vectors, (q, c)."""
    return encoder_of(vectors.shape[1], options.fixed_encoding).encode_query_tokens(vectors)


def _tokens(parts: Sequence[tuple[Segment, IntArray]]) -> Iterator[Ragged]:
    for segment, rows in parts:
        assert segment.multi is not None
        for start in range(0, len(rows), _BATCH):
            yield segment.multi.vectors(rows[start : start + _BATCH])


def _small(batch: Ragged) -> Iterator[Ragged]:
    return (batch.select(slice(start, start + _BATCH)) for start in range(0, len(batch), _BATCH))
