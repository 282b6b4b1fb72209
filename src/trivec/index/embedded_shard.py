"""One Qdrant Edge shard, spoken to in passages, passage ids and `Embeddings`.

With `embedded`, `embedded_points` and `embedded_filter` this is all of trivec that knows Edge.
"""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np
import qdrant_edge as edge

from trivec.embeddings import Embeddings
from trivec.errors import InputError, LibraryError
from trivec.index.embedded_points import (
    NAME_FIELDS,
    point_id,
    read_payload,
    read_vectors,
    stored_name,
    write_payload,
    write_vectors,
)
from trivec.index.schema import VectorSchema
from trivec.types import FloatArray, Head, Passage

_CHUNK = 1000
"""Points asked for at once."""

_WRITE_VALUES = 1 << 21
"""Vector values in one record of the write-ahead log: 8 MB."""

_FLUSH_VALUES = 1 << 26
"""Vector values after which the log is cut short, so that reopening after a crash replays little."""

_TIE_MARGIN = 16

_SPARSE_HEADS: tuple[Head, ...] = ("sparse", "terms")

Vector: TypeAlias = Any
"""A list of floats, a list of such lists, or an ``edge.SparseVector``."""


@dataclass(frozen=True)
class EmbeddedOptions:
    """How an `EmbeddedStore` keeps and searches vectors.

    Attributes:
        multi_dtype: of stored multi-vectors. Half precision moves a MaxSim score by about 1e-5.
        exact_below: number of passages up to which dense search compares with every passage. Above it,
            `optimize` builds a graph, and search is approximate.
        graph_links: links of a passage in that graph.
        graph_effort: candidates kept while a passage is put into the graph.
        search_effort: candidates kept while the graph is searched; never less than 2 k.
        index_fields_from: number of passages from which the first filter on a field builds an index for it.
    """

    multi_dtype: Literal["float16", "float32"] = "float16"
    exact_below: int = 20_000
    graph_links: int = 16
    graph_effort: int = 100
    search_effort: int = 512
    index_fields_from: int = 2_000

    def __post_init__(self) -> None:
        if self.multi_dtype not in ("float16", "float32"):
            raise InputError(f"multi_dtype is {self.multi_dtype!r}: choose 'float16' or 'float32'")


class Shard:
    """A shard in a folder. All that only reads may be called from several threads."""

    # `_size` is at least the number of passages; it counts replaced and deleted ones too until the next flush.

    def __init__(self, shard: edge.EdgeShard, schema: VectorSchema, options: EmbeddedOptions) -> None:
        self._shard = shard
        self._schema = schema
        self._options = options
        self._indexed: set[str] = set()
        self._unflushed = 0
        self._size = self.count()

    @classmethod
    def create(cls, folder: Path, schema: VectorSchema, options: EmbeddedOptions, sample: Embeddings) -> Shard:
        """Make an empty shard in a folder that has none. It is laid out for texts as long as the sample's."""
        with _edge_errors("create", folder):
            config = _config(schema, options, sample)
            return cls(edge.EdgeShard.create(str(folder), config), schema, options)

    @classmethod
    def load(cls, folder: Path, schema: VectorSchema, options: EmbeddedOptions) -> Shard:
        """Open a shard, with everything that was acknowledged before it was last left.

        Raises:
            LibraryError: files are missing or damaged.
        """
        with _edge_errors("open", folder):
            return cls(edge.EdgeShard.load(str(folder)), schema, options)

    def upsert(self, passages: Sequence[Passage], vectors: Embeddings) -> None:
        """Write passages, all or none, in the log when this returns. Ids are distinct."""
        points = [
            edge.Point(point_id(passage.id), write_vectors(vectors, row), write_payload(passage))
            for row, passage in enumerate(passages)
        ]
        self._shard.update(edge.UpdateOperation.upsert_points(points))
        self._size += len(points)
        self._unflushed += int(_values_per_row(vectors).sum())
        if self._unflushed > _FLUSH_VALUES:
            self.flush()

    def delete(self, names: Sequence[str]) -> None:
        """Remove passages. Unknown ids are ignored."""
        for chunk in _chunks(names):
            self._shard.update(edge.UpdateOperation.delete_points(list(map(point_id, chunk))))

    def names(self, where: edge.Filter | None = None) -> list[str]:
        """Ids of the passages that pass a filter, ascending."""
        return sorted(stored_name(record.payload) for record in self._scroll(where, NAME_FIELDS, False))

    def passing(self, names: Sequence[str], where: edge.Filter) -> set[str]:
        """Those of the named passages that pass a filter."""
        passed: set[str] = set()
        for chunk in _chunks(names):
            passed.update(self.names(edge.Filter(must=[_has_id(chunk), where])))
        return passed

    def count(self, where: edge.Filter | None = None) -> int:
        """How many passages pass a filter."""
        return int(self._shard.count(edge.CountRequest(exact=True, filter=where)))

    def count_documents(self) -> int:
        """How many passages are the first of their document."""
        first = edge.FieldCondition(key="number", range=edge.RangeFloat(gte=0, lte=0))
        return self.count(edge.Filter(must=[first]))

    def passages(self, names: Sequence[str]) -> Iterator[Passage]:
        """Passages by id, in the order asked, unknown ones left out."""
        for chunk in _chunks(names):
            yield from (read_payload(record.payload) for record in self._retrieve(chunk, True, False))

    def vectors(self, names: Sequence[str]) -> Embeddings:
        """Vectors of known passages, in the order asked.

        Raises:
            InputError: an id is unknown.
        """
        parts = [read_vectors([], self._schema)]
        for chunk in _chunks(names):
            records = self._retrieve(chunk, False, True)
            if len(records) < len(chunk):
                raise InputError(
                    f"the store lacks {len(chunk) - len(records)} of the passages {chunk[0]!r} ...: "
                    "ask for ids that `select` gives"
                )
            parts.append(read_vectors([record.vector for record in records], self._schema))
        return Embeddings.concatenate(parts)

    def term_vectors(self) -> Iterator[tuple[list[str], Embeddings]]:
        """The ids and `terms` of all passages, in batches."""
        schema = VectorSchema({"terms": self._schema.widths["terms"]})
        batch: list[Any] = []
        for record in self._scroll(None, NAME_FIELDS, ["terms"]):
            batch.append(record)
            if len(batch) == _CHUNK:
                yield _read_terms(batch, schema)
                batch = []
        if batch:
            yield _read_terms(batch, schema)

    def nearest(self, head: str, vector: Vector, k: int, where: edge.Filter | None) -> tuple[list[str], FloatArray]:
        """The best k passages, and with them every other passage that scores like the last of them.

        Edge leaves open which of several equal scores come first, so the cut has to be made by the caller.
        """
        limit = k + _TIE_MARGIN
        while True:
            points = self._query(head, vector, limit, where, NAME_FIELDS)
            if len(points) < limit or points[-1].score < points[k - 1].score:
                names = [stored_name(point.payload) for point in points]
                return names, np.asarray([point.score for point in points], np.float32)
            limit *= 4

    def scores(self, head: str, vector: Vector, names: Sequence[str]) -> FloatArray:
        """Exact scores of passages, 0 where Edge gives none, shape (len(names),)."""
        found: dict[uuid.UUID, float] = {}
        for chunk in _chunks(names):
            where = edge.Filter(must=[_has_id(chunk)])
            points = self._query(head, vector, len(chunk), where, False, exact=True)
            found.update((point.id, point.score) for point in points)
        return np.asarray([found.get(point_id(name), 0.0) for name in names], np.float32)

    def index(self, path: str, kind: edge.PayloadSchemaType) -> None:
        """Make filters on a payload field fast, if the shard is large and nobody asked for it before."""
        if path in self._indexed or self._size < self._options.index_fields_from:
            return
        self._indexed.add(path)
        self._shard.update(edge.UpdateOperation.create_field_index(path, kind))

    def optimize(self) -> None:
        """Merge segments, drop what is deleted, and build the dense graph if the shard is large."""
        self._shard.optimize()

    def flush(self) -> None:
        """Write all segments to disk and cut the log short."""
        self._shard.flush()
        self._unflushed = 0
        self._size = self.count()

    def close(self) -> None:
        """Flush, and let go of the files."""
        self._shard.close()

    def _query(
        self,
        head: str,
        vector: Vector,
        limit: int,
        where: edge.Filter | None,
        payload: list[str] | bool,
        exact: bool = False,
    ) -> list[Any]:
        exact = exact or self._size < self._options.exact_below
        effort = max(self._options.search_effort, 2 * limit)
        request = edge.QueryRequest(
            limit=limit,
            query=edge.Query.Nearest(vector, head),
            filter=where,
            params=edge.SearchParams(exact=exact, hnsw_ef=effort),
            with_payload=payload,
        )
        return list(self._shard.query(request))

    def _scroll(self, where: edge.Filter | None, payload: list[str] | bool, vectors: list[str] | bool) -> Iterator[Any]:
        offset = None
        while True:
            request = edge.ScrollRequest(
                offset=offset, limit=_CHUNK, filter=where, with_payload=payload, with_vector=vectors
            )
            records, offset = self._shard.scroll(request)
            yield from records
            if offset is None:
                return

    def _retrieve(self, names: Sequence[str], payload: bool, vectors: bool) -> list[Any]:
        records = self._shard.retrieve(list(map(point_id, names)), payload, vectors)
        by_id = {record.id: record for record in records}
        return [by_id[point] for point in map(point_id, names) if point in by_id]


@contextlib.contextmanager
def _edge_errors(action: str, folder: Path) -> Iterator[None]:
    """Turn what Edge raises about files into a `LibraryError`. A panic of its Rust code is no `Exception`."""
    try:
        yield
    except BaseException as error:
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        raise LibraryError(
            f"cannot {action} the store in {folder} ({error}): restore it from a snapshot, or index again"
        ) from error


def _config(schema: VectorSchema, options: EmbeddedOptions, sample: Embeddings) -> edge.EdgeConfig:
    dense: dict[str, edge.EdgeVectorParams] = {}
    if "dense" in schema.widths:
        graph = edge.HnswIndexConfig(options.graph_links, options.graph_effort, full_scan_threshold=10_000)
        dense["dense"] = edge.EdgeVectorParams(schema.widths["dense"], edge.Distance.Dot, hnsw_config=graph)
    if "multi" in schema.widths:
        half = options.multi_dtype == "float16"
        dense["multi"] = edge.EdgeVectorParams(
            schema.widths["multi"],
            edge.Distance.Dot,
            multivector_config=edge.MultiVectorConfig(edge.MultiVectorComparator.MaxSim),
            datatype=edge.VectorStorageDatatype.Float16 if half else edge.VectorStorageDatatype.Float32,
            hnsw_config=edge.HnswIndexConfig(m=0, ef_construct=16, full_scan_threshold=10_000),
        )
    return edge.EdgeConfig(
        vectors=dense,
        sparse_vectors={head: edge.EdgeSparseVectorParams() for head in _SPARSE_HEADS if head in schema.widths},
        optimizers=edge.EdgeOptimizersConfig(indexing_threshold=_graph_threshold(schema, options, sample)),
    )


def _graph_threshold(schema: VectorSchema, options: EmbeddedOptions, sample: Embeddings) -> int:
    """Kilobytes from which Edge builds graphs: it looks at the head that takes most space."""
    largest = schema.widths.get("dense", 0) * 4
    if sample.multi is not None and len(sample):
        item = 2 if options.multi_dtype == "float16" else 4
        largest = max(largest, sample.multi.values.size * item // len(sample))
    return max(1, options.exact_below * largest // 1024)


def _read_terms(records: Sequence[Any], schema: VectorSchema) -> tuple[list[str], Embeddings]:
    names = [stored_name(record.payload) for record in records]
    return names, read_vectors([record.vector for record in records], schema)


def _has_id(names: Sequence[str]) -> edge.HasIdCondition:
    return edge.HasIdCondition(set(map(point_id, names)))


def _chunks(names: Sequence[str]) -> Iterator[Sequence[str]]:
    return (names[start : start + _CHUNK] for start in range(0, len(names), _CHUNK))


def _values_per_row(vectors: Embeddings) -> FloatArray:
    values = np.ones(len(vectors), np.float32)
    if vectors.dense is not None:
        values += vectors.dense.shape[1]
    if vectors.multi is not None:
        values += vectors.multi.lengths * vectors.multi.width
    for weights in (vectors.sparse, vectors.terms):
        if weights is not None:
            values += 2 * np.diff(weights.indptr)
    return values


def write_chunks(vectors: Embeddings) -> Iterator[slice]:
    """Runs of rows that fit into one record of the log, at least one row each."""
    start = 0
    size = 0
    for row, values in enumerate(_values_per_row(vectors).tolist()):
        if row > start and size + values > _WRITE_VALUES:
            yield slice(start, row)
            start, size = row, 0
        size += values
    if len(vectors):
        yield slice(start, len(vectors))
