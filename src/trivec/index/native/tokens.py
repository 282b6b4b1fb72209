"""Multi-vectors in a segment: writing them, merging them, and `TokenPart`, which reads them.

A segment records its own codec: where residual2 is asked for and there are too few tokens to learn from, it is int8.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain
from typing import TypeAlias

import numpy as np

from trivec.errors import InputError
from trivec.index.native import token_residual
from trivec.index.native.token_codecs import Codes, TokenCodec, TokenCoder, check_codec, plain_coder
from trivec.index.native.token_files import write_passages
from trivec.index.native.token_maxsim import row_blocks
from trivec.index.native.token_part import TokenPart
from trivec.index.native.token_residual import ResidualCoder
from trivec.ragged import Ragged
from trivec.tensorfile import TensorWriter
from trivec.types import FloatArray, IntArray

__all__ = ["TokenCodec", "TokenPart", "merge_tokens", "write_tokens"]

_PIECE_VALUES = 1 << 21
"""Values coded, decoded or copied at once."""
_HEAD_VALUES = 1 << 24
"""Of vectors that come in batches, int4 and residual2 learn from the first so many values: 64 MB."""

Part: TypeAlias = tuple[TokenPart, IntArray]


def write_tokens(
    writer: TensorWriter, prefix: str, width: int, batches: Iterable[Ragged], codec: TokenCodec = "int8"
) -> None:
    """Write the multi-vectors of passages that come in batches.

    int4 and residual2 hold the first 64 MB of vectors in memory to learn from; residual2 at least 50,000 vectors.

    Args:
        writer: of the segment's file.
        prefix: of the tensors' names.
        width: c of all vectors.
        batches: passages in the order of their rows.
        codec: how to code them.

    Raises:
        InputError: the codec is unknown, a batch has another width, or a value is not finite.
    """
    check_codec(codec)
    lengths: list[IntArray] = []
    vectors = _vectors_of(batches, width, lengths)
    coder: TokenCoder
    if codec == "int4" or codec == "residual2":
        head = _take(vectors, max(token_residual.min_tokens(codec), _HEAD_VALUES // width))
        coder = _learnt_coder(codec, head, width)
        vectors = chain(head, vectors)
    else:
        coder = plain_coder(codec, width)
    write_passages(writer, prefix, coder, map(coder.encode, vectors), lengths)


def merge_tokens(writer: TensorWriter, prefix: str, parts: Sequence[Part], codec: TokenCodec = "int8") -> None:
    """Write chosen rows of several parts, part after part. Codes of the same codec are copied.

    With int4 and residual2, tables of centroids are kept and stand one below the other; parts of other codecs get a
    table of their own when they have enough tokens. Only where the tables together grow over 65,536 centroids, all is
    coded anew.

    Args:
        writer: of the segment's file.
        prefix: of the tensors' names.
        parts: at least one, each with its surviving rows.
        codec: how to code them.

    Raises:
        InputError: the codec is unknown, there is no part, or parts have different widths.
    """
    check_codec(codec)
    widths = {part.width for part, _ in parts}
    if len(widths) != 1:
        raise InputError(f"token vectors of widths {sorted(widths)} cannot be merged: give parts of one width")
    coder = _merged_coder(parts, codec)
    shifts = _list_shifts(parts, coder)
    pieces = (
        _recode(part, rows, coder, shift)
        for (part, kept), shift in zip(parts, shifts, strict=True)
        for rows in _row_pieces(part, kept)
    )
    write_passages(writer, prefix, coder, pieces, [part.lengths[rows] for part, rows in parts])


def _recode(part: TokenPart, rows: IntArray, coder: TokenCoder, shift: int | None) -> Codes:
    """Codes of a part's rows for a merged part: copied, with numbers of lists moved, unless ``shift`` is None."""
    if shift is None:
        return coder.encode(part.vectors(rows).values)
    codes = part.codes(rows)
    return replace(codes, lists=codes.lists + np.uint16(shift))


def _list_shifts(parts: Sequence[Part], coder: TokenCoder) -> list[int | None]:
    """For each part, where its centroids start in the merged table; None where its vectors are coded anew."""
    if not isinstance(coder, ResidualCoder):
        return [0 if part.codec == coder.codec else None for part, _ in parts]
    shifts: list[int | None] = []
    start = 0
    for part, _ in parts:
        if isinstance(part.coder, ResidualCoder) and coder.holds(part.coder, start):
            shifts.append(start)
            start += len(part.coder.centroids)
        else:
            shifts.append(None)
    return shifts


def _merged_coder(parts: Sequence[Part], codec: TokenCodec) -> TokenCoder:
    width = parts[0][0].width
    if codec != "int4" and codec != "residual2":
        return plain_coder(codec, width)
    tables = [part.coder for part, _ in parts if part.codec == codec and isinstance(part.coder, ResidualCoder)]
    others = [(part, rows) for part, rows in parts if part.codec != codec]
    if _count(others) >= token_residual.min_tokens(codec):
        tables.append(token_residual.train(codec, _sample(others), _count(others)))
    if not tables or not _count(parts):
        return plain_coder("int8", width)
    joined = token_residual.join(tables)
    return joined or token_residual.train(codec, _sample(parts), _count(parts))


def _learnt_coder(codec: TokenCodec, vectors: Sequence[FloatArray], width: int) -> TokenCoder:
    """A residual coder that has seen these vectors, or the coder of int8 if they are too few."""
    tokens = sum(map(len, vectors))
    if tokens < token_residual.min_tokens(codec):
        return plain_coder("int8", width)
    return token_residual.train(codec, np.concatenate(vectors), tokens)


def _count(parts: Sequence[Part]) -> int:
    return sum(int(part.lengths[rows].sum()) for part, rows in parts)


def _sample(parts: Sequence[Part]) -> FloatArray:
    """Vectors of random passages, from all parts alike, at least as many as training wants to see."""
    total = _count(parts)
    share = token_residual.sample_size(total) / total
    random = np.random.default_rng(token_residual.SEED)
    found = []
    for part, rows in parts:
        order = random.permutation(rows)
        ends = np.cumsum(part.lengths[order])
        taken = int(np.searchsorted(ends, share * ends[-1])) + 1 if len(rows) else 0
        found.append(part.vectors(np.sort(order[:taken])).values)
    return np.concatenate(found)


def _take(vectors: Iterator[FloatArray], tokens: int) -> list[FloatArray]:
    """Pieces of vectors from the front, until there are so many."""
    taken: list[FloatArray] = []
    count = 0
    while count < tokens and (piece := next(vectors, None)) is not None:
        taken.append(piece)
        count += len(piece)
    return taken


def _vectors_of(batches: Iterable[Ragged], width: int, lengths: list[IntArray]) -> Iterator[FloatArray]:
    """All vectors in pieces; ``lengths`` grows by those of the passages gone by."""
    for batch in batches:
        if batch.width != width:
            raise InputError(f"token vectors of width {batch.width} among those of width {width}: encode them alike")
        if not np.isfinite(batch.values).all():
            raise InputError("a token vector has a value that is no finite number: encode the texts again")
        lengths.append(batch.lengths)
        size = _piece_tokens(width)
        for start in range(0, len(batch.values), size):
            yield np.asarray(batch.values[start : start + size], np.float32)


def _row_pieces(part: TokenPart, rows: IntArray) -> Iterator[IntArray]:
    return (rows[block] for block in row_blocks(part.lengths[rows], _piece_tokens(part.width)))


def _piece_tokens(width: int) -> int:
    return max(1, _PIECE_VALUES // width)
