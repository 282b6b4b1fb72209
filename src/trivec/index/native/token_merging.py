"""Merging the token vectors of segments: what is large and whole is taken over as a file, the rest is written anew.

Token vectors are four fifths of what a library weighs. Were they copied in every merge, a library of 100,000 passages
would be written several times over. So a new segment takes over the files of old ones, by a second name for the same
file, as long as every passage in them is alive. They shall stay few: a search asks all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trivec.index.native.files import link_or_copy
from trivec.index.native.records import FileRecord
from trivec.index.native.token_codecs import TokenCodec
from trivec.index.native.token_part import TokenPart
from trivec.index.native.token_parts import PREFIX, ROWS, TokenParts, token_file
from trivec.index.native.tokens import merge_tokens
from trivec.tensorfile import TensorWriter
from trivec.types import IntArray

MOST_FILES = 8
"""Files of token vectors that a segment has at most."""

OWN_FILES_FROM = 64 << 20
"""Bytes of token vectors that stand in a segment's own file, beside all else, as long as there are fewer."""

_LEARNT: tuple[TokenCodec, ...] = ("int4", "residual2")
"""Codecs with tables of centroids, which a merge joins: their files are never shared."""


@dataclass(frozen=True)
class TokenSource:
    """The token vectors of a segment that is merged: rows to keep, ascending, and where the segment's files lie."""

    tokens: TokenParts
    rows: IntArray
    folder: Path
    files: Mapping[str, FileRecord]


@dataclass(frozen=True)
class _Piece:
    """Rows of one part, and the file to take over if these are all that is in it, else None."""

    part: TokenPart
    rows: IntArray
    file: str | None
    source: TokenSource

    @property
    def bytes(self) -> int:
        return int(self.part.sizes(self.rows).sum())


def merge_token_files(
    folder: Path,
    writer: TensorWriter,
    sources: Sequence[TokenSource],
    codec: TokenCodec,
    new_file: Callable[[Path], TensorWriter],
) -> dict[str, FileRecord]:
    """Put the token vectors of segments, one after the other, into a new segment.

    Args:
        folder: of the new segment.
        writer: of its own file.
        sources: at least one, with at least one row in all.
        codec: how vectors shall be coded.
        new_file: opens a file for writing.

    Returns:
        The files that were taken over, with what is known of them.
    """
    pieces = [piece for source in sources for piece in _pieces(source, codec)]
    if codec in _LEARNT or sum(piece.bytes for piece in pieces) < OWN_FILES_FROM:
        merge_tokens(writer, PREFIX, [(piece.part, piece.rows) for piece in pieces], codec)
        return {}
    groups = _few_files(pieces)
    shared: dict[str, FileRecord] = {}
    for number, group in enumerate(groups):
        name = token_file(number)
        first = group[0]
        if len(group) == 1 and first.file is not None:
            link_or_copy(first.source.folder / first.file, folder / name)
            shared[name] = first.source.files[first.file]
        else:
            _write_file(new_file(folder / name), group, codec)
    writer.add(ROWS, np.asarray([sum(len(piece.rows) for piece in group) for group in groups], np.int64))
    return shared


def _pieces(source: TokenSource, codec: TokenCodec) -> list[_Piece]:
    pieces = []
    for number, rows in source.tokens.split(source.rows):
        part = source.tokens.parts[number]
        whole = source.tokens.in_files and len(rows) == len(part) and part.codec == codec
        pieces.append(_Piece(part, rows, token_file(number) if whole else None, source))
    return pieces


def _few_files(pieces: Sequence[_Piece]) -> list[list[_Piece]]:
    """Neighbours that become one file: what is written anyway, and the smallest, until the files are few enough."""
    groups: list[list[_Piece]] = []
    for piece in pieces:
        if groups and piece.file is None and groups[-1][-1].file is None:
            groups[-1].append(piece)
        else:
            groups.append([piece])
    sizes = [sum(piece.bytes for piece in group) for group in groups]
    while len(groups) > MOST_FILES:
        place = min(range(len(groups) - 1), key=lambda at: sizes[at] + sizes[at + 1])
        groups[place : place + 2] = [groups[place] + groups[place + 1]]
        sizes[place : place + 2] = [sizes[place] + sizes[place + 1]]
    return groups


def _write_file(writer: TensorWriter, group: Sequence[_Piece], codec: TokenCodec) -> None:
    try:
        merge_tokens(writer, PREFIX, [(piece.part, piece.rows) for piece in group], codec)
        writer.finish(sync=False)
    finally:
        writer.close()
