"""Milvus Lite or LanceDB on the same dense (and sparse) vectors: as much of the job as each can do.

Run by a Python that has ``pymilvus`` with ``milvus-lite``, or ``lancedb``; needs numpy and scipy. Reads what
``store_speed.py`` exported: ``dense.npy``, ``sparse.npz``, ``bucket.npy``, the queries, and the exact rows.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import statistics
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

_STEP = 2000


def main() -> None:
    """Build, measure, print JSON on the last line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("peer", choices=["milvus-lite", "lancedb"])
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    exact = np.load(folder / "rows.npz")
    dense, bucket, queries = (np.load(folder / f"{name}.npy") for name in ("dense", "bucket", "queries"))
    if arguments.peer == "lancedb":
        result = _lancedb(folder / "lancedb", dense, bucket, queries, exact)
    else:
        sparse, sparse_queries = sp.load_npz(folder / "sparse.npz"), sp.load_npz(folder / "sparse_queries.npz")
        result = _milvus(folder / "milvus.db", (dense, sparse), bucket, (queries, sparse_queries), exact)
    result["version"] = importlib.metadata.version(arguments.peer)
    print(json.dumps(result))


def _lancedb(
    folder: Path, dense: np.ndarray[Any, Any], bucket: np.ndarray[Any, Any], queries: np.ndarray[Any, Any], exact: Any
) -> dict[str, Any]:
    import lancedb
    import pyarrow as pa

    start = time.perf_counter()
    database = lancedb.connect(str(folder))
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(dense.reshape(-1)), dense.shape[1])
    rows = pa.table({"id": pa.array(np.arange(len(dense))), "bucket": pa.array(bucket), "vector": vectors})
    table = database.create_table("passages", rows)
    table.create_index("vector", config=_lance_index(len(dense)))
    table.create_scalar_index("bucket")
    built = time.perf_counter() - start

    def search(row: int, where: str | None) -> list[int]:
        query = (
            table.search(queries[row], vector_column_name="vector").distance_type("dot").nprobes(160).refine_factor(20)
        )
        query = query.limit(100).select(["id", "_distance"])
        return [int(found["id"]) for found in (query.where(where, prefilter=True) if where else query).to_list()]

    return {"build_s": built} | _filters(search, len(queries), exact, lambda share: f"bucket < {share}")


def _lance_index(count: int) -> Any:
    from lancedb.index import IvfPq

    return IvfPq(distance_type="dot", num_partitions=max(1, int(count**0.5)), num_sub_vectors=48)


def _milvus(
    path: Path, vectors: tuple[Any, Any], bucket: np.ndarray[Any, Any], queries: tuple[Any, Any], exact: Any
) -> dict[str, Any]:
    from pymilvus import DataType, MilvusClient

    dense, sparse = vectors
    start = time.perf_counter()
    client = MilvusClient(str(path))
    schema = client.create_schema(auto_id=False)
    schema.add_field("id", DataType.INT64, is_primary=True)
    schema.add_field("bucket", DataType.INT64)
    schema.add_field("dense", DataType.FLOAT_VECTOR, dim=dense.shape[1])
    schema.add_field("sparse", DataType.SPARSE_FLOAT_VECTOR)
    index = client.prepare_index_params()
    index.add_index("dense", index_type="HNSW", metric_type="IP", params={"M": 32, "efConstruction": 128})
    index.add_index("sparse", index_type="SPARSE_INVERTED_INDEX", metric_type="IP")
    client.create_collection("passages", schema=schema, index_params=index)
    for first in range(0, len(dense), _STEP):
        client.insert(
            "passages",
            [
                {"id": row, "bucket": int(bucket[row]), "dense": dense[row].tolist(), "sparse": _weights(sparse, row)}
                for row in range(first, min(first + _STEP, len(dense)))
            ],
        )
    client.flush("passages")
    client.load_collection("passages")
    built = time.perf_counter() - start

    def search(row: int, where: str | None, field: str = "dense") -> list[int]:
        data = [queries[0][row].tolist()] if field == "dense" else [_weights(queries[1], row)]
        params = {"metric_type": "IP", "params": {"ef": 200} if field == "dense" else {}}
        found = client.search("passages", data, anns_field=field, limit=100, filter=where or "", search_params=params)
        return [int(hit["id"]) for hit in found[0]]

    count = queries[0].shape[0]
    result = {"build_s": built} | _filters(search, count, exact, lambda share: f"bucket < {share}")
    found, times = _run(lambda row: search(row, None, "sparse"), count)
    result["sparse"] = {"p50_ms": times, "recall@100": _recall(found, exact["sparse"])}
    return result


def _weights(matrix: Any, row: int) -> dict[int, float]:
    start, stop = matrix.indptr[row], matrix.indptr[row + 1]
    return dict(zip(matrix.indices[start:stop].tolist(), matrix.data[start:stop].tolist(), strict=True))


def _filters(
    search: Callable[[int, str | None], list[int]], count: int, exact: Any, write: Callable[[int], str]
) -> dict[str, Any]:
    result = {}
    for name in exact.files:
        if name.startswith("dense "):
            share = name.removeprefix("dense ")
            where = None if share == "all" else write(round(10 * float(share.rstrip("%"))))
            found, times = _run(lambda row, where=where: search(row, where), count)
            result[name] = {"p50_ms": times, "recall@100": _recall(found, exact[name])}
    return {"filters": result}


def _run(call: Callable[[int], list[int]], count: int) -> tuple[list[list[int]], float]:
    found, taken = [], []
    for row in range(count):
        start = time.perf_counter()
        found.append(call(row))
        taken.append(1000 * (time.perf_counter() - start))
    return found, round(statistics.median(taken), 3)


def _recall(found: Iterable[list[int]], exact: np.ndarray[Any, Any]) -> float:
    shares = []
    for ids, row in zip(found, exact.tolist(), strict=True):
        wanted = {number for number in row if number >= 0}
        if wanted:
            shares.append(len(wanted & set(ids)) / len(wanted))
    return round(statistics.mean(shares), 4)


if __name__ == "__main__":
    main()
