"""One dense vector a row of a segment: written, merged, searched and scored.

The vectors lie memory-mapped in the segment's file, in one of the codecs of `trivec.index.native.dense_codecs`.
A search scans the allowed rows, or, where that is cheaper, asks the segment's graph (see
`trivec.index.native.dense_graph`) for candidates. Either way the scores that come back are dot products with the
stored vectors, the same numbers that `DensePart.score` gives.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivec.errors import InputError, LibraryError
from trivec.index.native.dense_codecs import (
    DenseCodec,
    Signs,
    Values,
    batches_of,
    check_codec,
    decode_values,
    dot_rows,
    encode_signs,
    encode_values,
    likely_rows,
    value_type,
)
from trivec.index.native.dense_graph import DenseGraph, open_graph, write_graph
from trivec.index.native.found import NOTHING, Found, Known, best_of
from trivec.index.native.shared_work import SharedWork, stretches
from trivec.index.ranking import check_k
from trivec.tensorfile import TensorWriter
from trivec.types import FloatArray, IntArray

_BLOCK_BYTES = 1 << 24
_CENTER_ROWS = 4096
_SIGNS_FEWEST = 64
_ROUGH_OVERSAMPLE, _ROUGH_FEWEST = 4, 1000
"""Of float codecs, whose signs serve only to propose, this many rows for each one asked for and so many more are
scored: with them 0.999 of the best 100 are among a thousand proposed of 100,000."""
_SIGNS_FROM = 16_000
"""Fewer rows are scanned, since that takes less than half a millisecond."""
_STRETCHES, _STRETCH_ROWS = 6, 8192
"""A scan is shared in at most so many stretches of at least so many rows: 0.2 ms each."""


@dataclass(frozen=True)
class DenseOptions:
    """How the dense vectors of a segment are kept and found.

    Attributes:
        codec: "float32", "float16", "int8" or "binary".
        graph_from: rows from which a segment gets a graph; below, an exact scan takes two or three milliseconds.
        lists_from: rows from which it gets inverted lists instead, which take a tenth of a graph's memory and a
            sixth of its time to build, and are slower to search where there are many rows.
        oversample: for "binary", how many rows the signs propose for each one asked for.
        signs: keep them with float codecs too where many rows are merged, d / 8 + 8 bytes a row, for searches that
            need not be exact: those that propose candidates.
    """

    codec: DenseCodec = "float16"
    graph_from: int = 150_000
    lists_from: int = 5_000_000
    oversample: int = 8
    signs: bool = True

    def keeps_signs(self, rows: int) -> bool:
        """Whether signs stand beside the values of so many rows when parts are merged."""
        return self.codec == "binary" or (self.signs and self.codec != "int8" and rows >= _SIGNS_FROM)

    def __post_init__(self) -> None:
        check_codec(self.codec)
        if self.graph_from < 1 or self.lists_from < 1 or self.oversample < 1:
            raise InputError(
                f"graph_from={self.graph_from}, lists_from={self.lists_from} and oversample={self.oversample} "
                "must be at least 1"
            )


def write_dense(
    writer: TensorWriter, prefix: str, width: int, batches: Iterable[FloatArray], options: DenseOptions
) -> int:
    """Write vectors, (n_i, width) a batch, as the tensors ``prefix.*``, and return how many.

    Only one batch, and some 60 bytes a row beside it at width 384, are held in memory.

    Raises:
        InputError: a batch has another width, or a value cannot be kept.
    """
    blocks = (encode_values(batch, options.codec) for batch in batches_of(batches, width))
    return _write(writer, prefix, width, blocks, options.codec, options.codec == "binary")


def merge_dense(
    writer: TensorWriter, prefix: str, parts: Sequence[tuple[DensePart, IntArray]], options: DenseOptions
) -> int:
    """Write the named rows of parts, part after part, and return how many.

    Stored values are copied as they are where the codec keeps its type of value, and encoded anew otherwise.

    Raises:
        InputError: there are no parts, or their widths differ.
    """
    widths = {part.width for part, _ in parts}
    if len(widths) != 1:
        raise InputError(f"cannot merge dense parts of the widths {sorted(widths)}: give parts of one width")
    signs = options.keeps_signs(sum(len(rows) for _, rows in parts))
    return _write(writer, prefix, widths.pop(), _stored(parts, options.codec), options.codec, signs)


def _stored(
    parts: Sequence[tuple[DensePart, IntArray]], codec: DenseCodec
) -> Iterator[tuple[Values, FloatArray | None]]:
    """Blocks of rows in the form of a codec."""
    for part, rows in parts:
        size = max(1, _BLOCK_BYTES // (4 * part.width or 1))
        for start in range(0, len(rows), size):
            chosen = rows[start : start + size]
            if value_type(part.codec) == value_type(codec):
                yield part.stored(chosen)
            else:
                yield encode_values(part.vectors(chosen), codec)


def _write(
    writer: TensorWriter,
    prefix: str,
    width: int,
    blocks: Iterable[tuple[Values, FloatArray | None]],
    codec: DenseCodec,
    signs: bool,
) -> int:
    beside = _Beside(width, codec, signs)
    rows = writer.stream(f"{prefix}.values", value_type(codec), (width,), beside.collect(blocks))
    for name, array in beside.arrays().items():
        writer.add(f"{prefix}.{name}", array)
    return rows


class _Beside:
    """What a codec keeps beside the values: gathered while they are written."""

    def __init__(self, width: int, codec: DenseCodec, signs: bool) -> None:
        self._keeps_scales, self._keeps_signs = value_type(codec) == np.int8, signs
        self._scales: list[FloatArray] = [np.zeros(0, np.float32)]
        self._signs = [encode_signs(np.zeros((0, width), np.float32), np.zeros(width, np.float32))]

    def collect(self, blocks: Iterable[tuple[Values, FloatArray | None]]) -> Iterator[Values]:
        for values, scales in blocks:
            if scales is not None:
                self._scales.append(scales)
            if self._keeps_signs and len(values):
                self._add_signs(decode_values(values, scales))
            yield values

    def _add_signs(self, vectors: FloatArray) -> None:
        # any center is right, but all rows have the same; one near the mean makes the signs tell most
        first = len(self._signs) == 1
        center = vectors[:_CENTER_ROWS].mean(axis=0) if first else self._signs[-1].center
        self._signs.append(encode_signs(vectors, center))

    def arrays(self) -> dict[str, NDArray[np.generic]]:
        found: dict[str, NDArray[np.generic]] = {}
        if self._keeps_scales:
            found["scales"] = np.concatenate(self._scales)
        if self._keeps_signs:
            found["center"] = self._signs[-1].center
            for name in ("bits", "factors", "offsets"):
                found[name] = np.concatenate([getattr(signs, name) for signs in self._signs])
        return found


class DensePart:
    """The dense vectors of one segment. Safe to use from many threads; none of them holds up the others."""

    def __init__(
        self,
        arrays: Mapping[str, NDArray[np.generic]],
        prefix: str,
        graph: Path | None = None,
        options: DenseOptions | None = None,
    ) -> None:
        """Wrap the tensors ``prefix.*`` of a segment. The graph's file is opened by the first search that needs it.

        Raises:
            LibraryError: the tensors are not those of a dense part.
        """
        self._values: Any = arrays.get(f"{prefix}.values")
        self._scales: Any = arrays.get(f"{prefix}.scales")
        signs: list[Any] = [arrays.get(f"{prefix}.{field.name}") for field in fields(Signs)]
        self._signs = None if any(array is None for array in signs) else Signs(*signs)
        self._options = options or DenseOptions()
        self._path, self._lock = graph, threading.Lock()
        self._graph: DenseGraph | None = None
        self._check(prefix)

    def _check(self, prefix: str) -> None:
        values = self._values
        whole = values is not None and values.ndim == 2 and values.dtype in (np.float32, np.float16, np.int8)
        if whole and values.dtype == np.int8:
            whole = self._scales is not None and len(self._scales) == len(values)
        if whole and self._signs is not None:
            signs = self._signs
            whole = len(signs.bits) == len(signs.factors) == len(signs.offsets) == len(values)
        if not whole:
            raise LibraryError(f"the tensors {prefix}.* are not those of dense vectors: restore the segment's file")

    def __len__(self) -> int:
        return len(self._values)

    @property
    def width(self) -> int:
        """Values of a vector."""
        return int(self._values.shape[1])

    @property
    def codec(self) -> DenseCodec:
        """How the vectors are kept."""
        if self._is_binary:
            return "binary"
        codecs: dict[str, DenseCodec] = {"float32": "float32", "float16": "float16", "int8": "int8"}
        return codecs[self._values.dtype.name]

    @property
    def _is_binary(self) -> bool:
        return self._signs is not None and self._values.dtype == np.int8

    @property
    def bytes(self) -> int:
        """Bytes on disk, with the graph."""
        signs = () if self._signs is None else (getattr(self._signs, field.name) for field in fields(Signs))
        arrays = [array for array in (self._values, self._scales, *signs) if array is not None]
        graph = self._path.stat().st_size if self._path and self._path.exists() else 0
        return sum(int(array.nbytes) for array in arrays) + graph

    def vectors(self, rows: IntArray) -> FloatArray:
        """The vectors of rows as the codec kept them, (len(rows), width)."""
        return decode_values(*self.stored(rows))

    def stored(self, rows: IntArray) -> tuple[Values, FloatArray | None]:
        """The values of rows in their stored form, and their scales."""
        return self._values[rows], None if self._scales is None else self._scales[rows]

    def score(self, query: FloatArray, rows: IntArray) -> FloatArray:
        """Dot products of the query, (width,), with the vectors of rows.

        Raises:
            InputError: the query has another width.
            IndexError: there is no such row.
        """
        query = self._checked(query)
        if len(rows) and not 0 <= int(rows.min()) <= int(rows.max()) < len(self):
            raise IndexError(f"rows {int(rows.min())} to {int(rows.max())} of a segment with {len(self)}")
        return dot_rows(self._values, self._scales, query, rows)

    def _checked(self, query: FloatArray) -> FloatArray:
        if query.shape != (self.width,):
            raise InputError(f"a dense query of shape {query.shape} where vectors have width {self.width}")
        return np.ascontiguousarray(query, np.float32)

    def search(self, query: FloatArray, k: int, allowed: NDArray[np.bool_] | None) -> tuple[IntArray, FloatArray]:
        """The best k allowed rows and their scores, best first, ties by ascending row.

        Exact where it scans codecs other than "binary"; with a graph or by signs, at least 98 of the best 100 are
        found as a rule.

        Raises:
            InputError: k is less than 1, or the query has another width.
        """
        found = self.find(query, k, allowed)
        return found.rows[:k], found.scores[:k]

    def find(self, query: FloatArray, k: int, allowed: NDArray[np.bool_] | None) -> Found:
        """As `search`; where it scans, with all rows that equal the last, and with the scores of all allowed rows.

        Raises:
            InputError: k is less than 1, or the query has another width.
        """
        check_k(k)
        query, allowed, count = self._checked(query), *self._counted(allowed)
        if count == 0:
            return NOTHING
        rows = self._by_graph(query, k, allowed, count)
        if rows is not None:
            return self._best(query, k, rows)
        wanted = k * self._options.oversample + _SIGNS_FEWEST
        if self._is_binary and wanted < count:
            return self._by_signs(query, k, allowed, wanted)
        return self._scan(query, k, allowed, count)()

    def begin(self, query: FloatArray, k: int, allowed: NDArray[np.bool_] | None) -> Callable[[], Found]:
        """Candidates, in two steps: other threads may begin with it, and the call that comes back ends it.

        Scans that `find` makes of many rows are made by signs here, if there are any. More than 99 of the best 100
        are found as a rule, if ten times as many are asked for.
        """
        query, allowed, count = self._checked(query), *self._counted(allowed)
        if self._path is not None or self._is_binary or count < _SIGNS_FROM:
            return lambda: self.find(query, k, allowed)
        wanted = k * _ROUGH_OVERSAMPLE + _ROUGH_FEWEST
        if self._signs is not None and wanted < count // 3:
            work = SharedWork([partial(self._by_signs, query, k, allowed, wanted)])
            return lambda: work.results()[0]
        return self._scan(query, k, allowed, count)

    def _counted(self, allowed: NDArray[np.bool_] | None) -> tuple[NDArray[np.bool_] | None, int]:
        """What is allowed, None where it is everything, and how many rows that are."""
        count = len(self) if allowed is None else int(np.count_nonzero(allowed))
        return (None if count == len(self) else allowed), count

    def _best(self, query: FloatArray, k: int, rows: IntArray) -> Found:
        """The best of candidates."""
        best = best_of(Known(dot_rows(self._values, self._scales, query, rows), rows), k)
        return Found(best.rows, best.scores)

    def _by_signs(self, query: FloatArray, k: int, allowed: NDArray[np.bool_] | None, wanted: int) -> Found:
        """The best of those rows whose signs look best."""
        assert self._signs is not None
        rows = None if allowed is None else np.flatnonzero(allowed)
        return self._best(query, k, likely_rows(self._signs, query, rows, wanted))

    def _scan(self, query: FloatArray, k: int, allowed: NDArray[np.bool_] | None, count: int) -> Callable[[], Found]:
        """Score all allowed rows, in several threads; the call that comes back gives the best."""
        rows, pieces = None if allowed is None else np.flatnonzero(allowed), stretches(count, _STRETCHES, _STRETCH_ROWS)
        if len(pieces) == 1:
            return lambda: best_of(Known(dot_rows(self._values, self._scales, query, rows), rows), k)
        work = SharedWork([partial(self._score_stretch, query, rows, piece) for piece in pieces])
        return lambda: best_of(Known(np.concatenate(work.results()), rows), k)

    def _score_stretch(self, query: FloatArray, rows: IntArray | None, stretch: slice) -> FloatArray:
        if rows is not None:
            return dot_rows(self._values, self._scales, query, rows[stretch])
        return dot_rows(self._values[stretch], None if self._scales is None else self._scales[stretch], query, None)

    def _by_graph(self, query: FloatArray, k: int, allowed: NDArray[np.bool_] | None, count: int) -> IntArray | None:
        """Candidates in ascending order; None where scanning is cheaper, or safer."""
        if self._path is None or k >= count:
            return None
        graph = self._opened()
        if graph is None:
            return None
        wanted = -(-k * len(self) // count)
        if graph.scanned_rows(wanted, self.codec) >= count:
            return None
        rows = graph.candidates(query, wanted)
        if allowed is None:
            return rows if len(rows) >= k else None
        rows = rows[allowed[rows]]
        # where the filter avoids the query's neighbourhood, too few remain, and those are no longer the best
        return rows if len(rows) >= k + k // 5 else None

    def _opened(self) -> DenseGraph | None:
        with self._lock:
            if self._graph is None and self._path is not None:
                self._graph = open_graph(self._path, len(self), self.width)
                if self._graph is None:
                    self._path = None
            return self._graph


def wants_graph(part: DensePart, options: DenseOptions) -> bool:
    """Whether a part is large enough for a graph or inverted lists."""
    return len(part) >= min(options.graph_from, options.lists_from) and part.width > 0


def build_graph(part: DensePart, path: Path, options: DenseOptions) -> bool:
    """Write the graph of a part that is large enough for one, synced, and say whether there is one."""
    if not wants_graph(part, options):
        return False
    write_graph(part, path, lists=len(part) >= options.lists_from)
    return True
