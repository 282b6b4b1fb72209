"""Writing segments: from passages that come in, and from rows of other segments. Publishing them syncs their files."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivec.embeddings import Embeddings
from trivec.index.native.columns import merge_columns, write_columns
from trivec.index.native.dense import merge_dense, write_dense
from trivec.index.native.encodings import merge_encodings, write_encodings
from trivec.index.native.impacts_files import merge_impacts, write_impacts
from trivec.index.native.records import FileRecord
from trivec.index.native.segment import DATA, Segment
from trivec.index.native.settings import NativeSettings
from trivec.index.native.token_merging import TokenSource, merge_token_files
from trivec.index.native.tokens import write_tokens
from trivec.tensorfile import TensorWriter
from trivec.types import Head, IntArray, Passage

_METADATA = {"format": "trivec.segment", "version": "1"}
_CHUNK = 1 << 15
"""Rows whose ids are held at once while merging."""


class Stopped(Exception):
    """Merging was broken off, because the store closes."""


class StoppableWriter(TensorWriter):
    """Writes until an event is set, then raises `Stopped`."""

    def __init__(self, path: Path, stop: threading.Event) -> None:
        super().__init__(path, _METADATA)
        self._stop = stop

    def stream(
        self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...], parts: Iterable[NDArray[np.generic]]
    ) -> int:
        """Write a tensor whose rows come in parts, and return how many there were."""
        return super().stream(name, dtype, shape, self._until_stopped(parts))

    def _until_stopped(self, parts: Iterable[NDArray[np.generic]]) -> Iterator[NDArray[np.generic]]:
        for part in parts:
            if self._stop.is_set():
                raise Stopped
            yield part


def write_segment(
    folder: Path, first: int, passages: Sequence[Passage], vectors: Embeddings, settings: NativeSettings
) -> None:
    """Write passages, numbered from ``first``, and their vectors to a folder."""
    writer = TensorWriter(folder / DATA, _METADATA)
    try:
        _write_ids(writer, first, passages)
        write_columns(writer, "columns", passages)
        _write_heads(writer, vectors, settings)
        writer.finish(sync=False)
    finally:
        writer.close()


def merge_segments(
    folder: Path, parts: Sequence[tuple[Segment, IntArray]], settings: NativeSettings, stop: threading.Event
) -> dict[str, FileRecord]:
    """Write some rows of segments, segment after segment, to a folder, in bounded memory.

    Args:
        folder: where to write.
        parts: segments in ascending order of passage numbers, and rows to keep, ascending, at least one in all.
        settings: heads, widths and codecs of the new segment.
        stop: set it to break off.

    Returns:
        The files that were taken over from these segments, and what is known of them.

    Raises:
        Stopped: the event was set.
    """
    writer = StoppableWriter(folder / DATA, stop)
    try:
        _merge_ids(writer, parts)
        merge_columns(writer, "columns", [(segment.columns, rows) for segment, rows in parts])
        _merge_heads(writer, parts, settings)
        shared = _merge_tokens(folder, writer, parts, settings, stop)
        writer.finish(sync=False)
    finally:
        writer.close()
    return shared


def _write_ids(writer: TensorWriter, first: int, passages: Sequence[Passage]) -> None:
    names = [passage.id.encode() for passage in passages]
    writer.add("ids.bytes", np.frombuffer(b"".join(names), np.uint8))
    writer.add("ids.offsets", np.cumsum([0, *map(len, names)], dtype=np.int64))
    writer.add("ids.numbers", np.arange(first, first + len(passages)))
    writer.add("ids.firsts", np.asarray([passage.number == 0 for passage in passages], np.bool_))


def _merge_ids(writer: TensorWriter, parts: Sequence[tuple[Segment, IntArray]]) -> None:
    chunks = [(segment, rows[i : i + _CHUNK]) for segment, rows in parts for i in range(0, len(rows), _CHUNK)]
    lengths = [np.zeros(1, np.int64)]

    def id_bytes() -> Iterator[NDArray[np.uint8]]:
        for segment, rows in chunks:
            content, counts = segment.id_bytes(rows)
            lengths.append(counts)
            yield content

    writer.stream("ids.bytes", np.dtype(np.uint8), (), id_bytes())
    writer.add("ids.offsets", np.cumsum(np.concatenate(lengths)))
    writer.add("ids.numbers", np.concatenate([segment.numbers[rows] for segment, rows in parts]))
    writer.add("ids.firsts", np.concatenate([segment.firsts[rows] for segment, rows in parts]))


def _write_heads(writer: TensorWriter, vectors: Embeddings, settings: NativeSettings) -> None:
    widths, options = _widths(settings), settings.options
    if vectors.dense is not None:
        write_dense(writer, "dense", widths["dense"], [vectors.dense], options.dense)
    if vectors.sparse is not None:
        write_impacts(writer, "sparse", vectors.sparse)
    if vectors.terms is not None:
        write_impacts(writer, "terms", vectors.terms)
    if vectors.multi is not None:
        write_tokens(writer, "multi", widths["multi"], [vectors.multi], options.tokens)
        if options.multi_first_stage == "fixed-encoding":
            write_encodings(writer, [vectors.multi], widths["multi"], settings)


def _merge_heads(writer: TensorWriter, parts: Sequence[tuple[Segment, IntArray]], settings: NativeSettings) -> None:
    widths, options = _widths(settings), settings.options
    if "dense" in widths:
        dense = [(segment.dense, rows) for segment, rows in parts if segment.dense is not None]
        merge_dense(writer, "dense", dense, options.dense)
    if "sparse" in widths:
        sparse = [(segment.sparse, rows) for segment, rows in parts if segment.sparse is not None]
        merge_impacts(writer, "sparse", sparse)
    if "terms" in widths:
        terms = [(segment.terms, rows) for segment, rows in parts if segment.terms is not None]
        merge_impacts(writer, "terms", terms)


def _merge_tokens(
    folder: Path,
    writer: TensorWriter,
    parts: Sequence[tuple[Segment, IntArray]],
    settings: NativeSettings,
    stop: threading.Event,
) -> dict[str, FileRecord]:
    widths, options = _widths(settings), settings.options
    if "multi" not in widths:
        return {}
    if options.multi_first_stage == "fixed-encoding":
        merge_encodings(writer, parts, widths["multi"], settings)
    sources = [
        TokenSource(segment.multi, rows, segment.folder, segment.record.files)
        for segment, rows in parts
        if segment.multi is not None
    ]
    return merge_token_files(folder, writer, sources, options.tokens, lambda path: StoppableWriter(path, stop))


def _widths(settings: NativeSettings) -> Mapping[Head, int]:
    assert settings.schema is not None
    return settings.schema.widths
