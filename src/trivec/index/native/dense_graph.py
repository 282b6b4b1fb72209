"""Neighbourhood graphs and inverted lists over the vectors of a segment, made and walked by faiss.

They only propose candidates. What they hold is coarser than the segment's own vectors: a graph (Malkov and
Yashunin 2016, 1603.09320) has one byte a value, inverted lists (RaBitQ, Gao and Long 2024, 2405.12497) one bit. So
more rows are asked for than are wanted, and the caller scores them against what is stored.

Graphs are made for distances, not for inner products. In a graph, vectors of unequal lengths therefore get one value
more, sqrt(max |v|^2 - |v|^2), which makes all of them equally long: then the nearest is the one with the largest
inner product (Bachrach et al. 2014). Queries get a zero there. Lists take inner products as they are: the added value
would drown in one bit.
"""

from __future__ import annotations

import contextlib
import importlib
import logging
import math
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from trivec.tensorfile import replacing
from trivec.types import FloatArray, IntArray

_logger = logging.getLogger(__name__)

_NEIGHBOURS = 32
_BUILD_CANDIDATES = 200
_MARGIN, _FEWEST = 1.5, 300
"""Candidates of a graph search: 1.5 for each row wanted, and 300."""

_LIST_CANDIDATES, _LIST_FEWEST = 4, 200
_SAMPLE_A_LIST = 64
_PROBE_QUERIES, _PROBE_BEST, _PROBE_RECALL = 48, (100, 1000), 0.985
"""How many lists a search looks into is tried out when they are made: to find the best 100, and the best 1000."""

_SCANNED_A_CANDIDATE = {"float32": 20, "float16": 45, "int8": 70, "binary": 80}
"""Rows that are scanned in the time that one candidate of a graph costs, for each codec."""

_END = struct.Struct("<8sQ2I")
"""What closes a file: a mark, the size of what faiss wrote, and the lists to look into, zeros for a graph."""
_MAGIC = b"trivecNN"
_BLOCK_BYTES = 1 << 25


def _faiss() -> Any:  # noqa: ANN401
    """The package faiss, imported by the first who needs it: it takes a fifth of a second."""
    return importlib.import_module("faiss")


class Vectors(Protocol):
    """What a graph is made from: a `trivec.index.native.dense.DensePart`."""

    @property
    def width(self) -> int:
        """Values of a vector."""

    def __len__(self) -> int: ...

    def vectors(self, rows: IntArray) -> FloatArray:
        """The vectors of rows."""

    def score(self, query: FloatArray, rows: IntArray) -> FloatArray:
        """Dot products of a query with the vectors of rows."""


class DenseGraph:
    """An opened graph, or opened lists. Many threads may search it at once."""

    def __init__(self, index: Any, probes: tuple[int, int]) -> None:  # noqa: ANN401
        """Wrap an index of faiss. ``probes`` are the lists to look into for 100 rows and for 1000."""
        self._index, self._tried = index, probes
        self._lists = hasattr(index, "nlist")

    def scanned_rows(self, wanted: int, codec: str) -> float:
        """How many rows could be scanned in the time that candidates for ``wanted`` rows cost."""
        if self._lists:
            seen = self._probes(wanted) / self._index.nlist * self._index.ntotal
            return float(seen / 4 + _LIST_CANDIDATES * wanted + self._index.nlist)
        return _asked(wanted) * _SCANNED_A_CANDIDATE[codec]

    def _probes(self, wanted: int) -> int:
        (few, many), (less, more) = _PROBE_BEST, self._tried
        if wanted > many:
            return min(int(self._index.nlist), math.ceil(more * wanted / many))
        share = max(0.0, math.log(wanted / few) / math.log(many / few))
        return math.ceil(less + share * (more - less))

    def candidates(self, query: FloatArray, wanted: int) -> IntArray:
        """Ascending rows among which the ``wanted`` best are to be found, as a rule 98 in 100 of them or more."""
        faiss = _faiss()

        padded = np.zeros((1, self._index.d), np.float32)
        padded[0, : len(query)] = query
        if self._lists:
            asked = _LIST_CANDIDATES * wanted + _LIST_FEWEST
            parameters = faiss.IVFRaBitQSearchParameters(nprobe=self._probes(wanted))
        else:
            asked = _asked(wanted)
            parameters = faiss.SearchParametersHNSW(efSearch=asked, bounded_queue=False)
        with _threads(1):
            rows = self._index.search(padded, min(asked, self._index.ntotal), params=parameters)[1][0]
        found: IntArray = np.sort(rows[rows >= 0])
        return found


def _asked(wanted: int) -> int:
    return math.ceil(_MARGIN * wanted) + _FEWEST


@contextlib.contextmanager
def _threads(count: int) -> Iterator[None]:
    """Let faiss use this many threads. OpenMP keeps the number for each calling thread by itself."""
    faiss = _faiss()

    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(count)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def open_graph(path: Path, rows: int, width: int) -> DenseGraph | None:
    """Map a graph's file into memory; None, and a warning, where it is not the whole graph of such a part."""
    faiss = _faiss()

    try:
        with path.open("rb") as file:
            size = file.seek(-_END.size, os.SEEK_END)
            mark, written, *probes = _END.unpack(file.read())
            if (mark, written) != (_MAGIC, size):
                raise RuntimeError("its end is missing")
        index = faiss.read_index(str(path), faiss.IO_FLAG_MMAP_IFC)
        if index.ntotal != rows or index.d != _stored_width(width, index.metric_type == faiss.METRIC_L2):
            raise RuntimeError(f"it is over {index.ntotal} vectors of width {index.d}, not {rows} of {width}")
    except (OSError, RuntimeError, struct.error) as error:
        _logger.warning("%s cannot be used, so the segment is scanned (%s): run optimize to make it anew", path, error)
        return None
    return DenseGraph(index, (probes[0], probes[1]))


def write_graph(part: Vectors, path: Path, lists: bool) -> None:
    """Make a graph, or inverted lists, over a part and write it: whole, synced, or not at all."""
    faiss = _faiss()

    longest = None if lists else _longest(part)
    metric = faiss.METRIC_INNER_PRODUCT if longest is None else faiss.METRIC_L2
    d = _stored_width(part.width, longest is not None)
    with _threads(os.cpu_count() or 1):
        if lists:
            index = _lists_over(part, d)
        else:
            index = faiss.IndexHNSWSQ(d, faiss.ScalarQuantizer.QT_8bit, _NEIGHBOURS, metric)
            index.hnsw.efConstruction = _BUILD_CANDIDATES
            index.train(_prepared(part.vectors(_sample(len(part), 1 << 16)), d, longest))
        for rows in _blocks(part):
            index.add(_prepared(part.vectors(rows), d, longest))
        probes = _probes_needed(part, index) if lists else (0, 0)
    with replacing(path) as temporary:
        faiss.write_index(index, str(temporary))
        with temporary.open("ab") as file:
            file.write(_END.pack(_MAGIC, file.tell(), *probes))


def _longest(part: Vectors) -> float | None:
    """The largest |v|^2; None where all vectors are as good as equally long."""
    squares = [np.einsum("nd,nd->n", block, block) for block in map(part.vectors, _blocks(part))]
    least, largest = min(float(s.min()) for s in squares), max(float(s.max()) for s in squares)
    return None if least >= 0.98 * largest else largest


def _stored_width(width: int, longer: bool) -> int:
    """Width with the added value, rounded up to what faiss' vector code wants."""
    return -(-(width + longer) // 16) * 16


def _prepared(vectors: FloatArray, d: int, longest: float | None) -> FloatArray:
    prepared = np.zeros((len(vectors), d), np.float32)
    prepared[:, : vectors.shape[1]] = vectors
    if longest is not None:
        squares = np.einsum("nd,nd->n", vectors, vectors)
        prepared[:, vectors.shape[1]] = np.sqrt(np.maximum(longest - squares, 0))
    return prepared


def _blocks(part: Vectors) -> Iterator[IntArray]:
    size = max(1, _BLOCK_BYTES // (4 * part.width))
    for start in range(0, len(part), size):
        yield np.arange(start, min(start + size, len(part)))


def _sample(n: int, size: int) -> IntArray:
    """Rows drawn without replacement, ascending, always the same."""
    return np.sort(np.random.default_rng(0).choice(n, min(n, size), replace=False))


def _lists_over(part: Vectors, d: int) -> Any:  # noqa: ANN401
    """Trained, empty lists: as many as the square root of the number of rows."""
    faiss = _faiss()
    count = max(1, round(math.sqrt(len(part))))
    coarse = faiss.IndexFlat(d, faiss.METRIC_INNER_PRODUCT)
    index = faiss.IndexIVFRaBitQ(coarse, d, count, faiss.METRIC_INNER_PRODUCT)
    coarse.this.disown()
    index.own_fields = True
    index.cp.min_points_per_centroid = 1
    index.train(_prepared(part.vectors(_sample(len(part), _SAMPLE_A_LIST * count)), d, None))
    return index


def _probes_needed(part: Vectors, index: Any) -> tuple[int, int]:  # noqa: ANN401
    """The fewest lists to look into so that the best rows are found, tried with points between stored rows."""
    rows = _sample(len(part), 2 * _PROBE_QUERIES)
    ends = part.vectors(np.random.default_rng(1).permutation(rows))
    half = len(ends) // 2
    queries = 0.7 * ends[:half] + 0.3 * ends[half : 2 * half]
    scores = [part.score(query, np.arange(len(part))) for query in queries]
    less, more = (_probes_for(index, queries, scores, min(best, len(part))) for best in _PROBE_BEST)
    return less, max(less, more)


def _probes_for(index: Any, queries: FloatArray, scores: list[FloatArray], best: int) -> int:  # noqa: ANN401
    exact = [np.argpartition(-products, best - 1)[:best] for products in scores]
    probes = 4
    while probes < index.nlist:
        graph = DenseGraph(index, (probes, probes))
        found = [np.isin(e, graph.candidates(q, best)).sum() for q, e in zip(queries, exact, strict=True)]
        if sum(found) >= _PROBE_RECALL * best * len(queries):
            return probes
        probes = math.ceil(1.3 * probes)
    return int(index.nlist)
