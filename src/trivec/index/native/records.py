"""What the catalogue of a native store says, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from trivec.index.native.settings import NativeSettings


@dataclass(frozen=True, slots=True)
class FileRecord:
    """Size and hash of a file of a segment."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class SegmentRecord:
    """What the catalogue knows of a segment.

    Attributes:
        number: its name; never given twice.
        first: the smallest passage number in it.
        rows: how many passages were written to it.
        dead: one bit a row, lowest bit first, 1 where the passage is deleted; empty while none is.
        codecs: what its vectors were to be written with, `NativeOptions.codecs` of that time.
        files: the files that belong to it.
    """

    number: int
    first: int
    rows: int
    dead: bytes
    codecs: str
    files: Mapping[str, FileRecord]


@dataclass(frozen=True)
class State:
    """The catalogue at one moment, without the passages.

    Attributes:
        version: another value after each commit of another connection.
        settings: of the whole store.
        segments: in ascending order of their passage numbers.
        made_segments: how many were ever numbered.
        made_passages: how many were ever numbered.
    """

    version: tuple[int, int]
    settings: NativeSettings
    segments: tuple[SegmentRecord, ...]
    made_segments: int
    made_passages: int
