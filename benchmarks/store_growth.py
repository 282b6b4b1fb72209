r"""How search grows with the collection: dense, sparse and token vectors apart, from a thousand passages to a million.

    python benchmarks/store_growth.py --scratch FOLDER --out benchmarks/results/store_growth.json

Synthetic, and said so: dense vectors (384) of 2,000 topics in 64 latent dimensions plus noise; sparse rows of 64
Zipf-distributed terms out of 250,002 and queries of 12; passages of 8 to 56 token vectors (128, int8). Queries are
noisy copies of passages. Beside each stands the exact answer by numpy or scipy where the collection is small enough
for it to be made in reasonable time, and the time that reading all vectors once would take.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from trivec.index.native.dense import DenseOptions, DensePart, build_graph, write_dense
from trivec.index.native.impacts import ImpactsPart
from trivec.index.native.impacts_files import write_impacts
from trivec.index.native.token_part import TokenPart
from trivec.index.native.token_parts import TokenParts
from trivec.index.native.tokens import write_tokens
from trivec.ragged import Ragged
from trivec.tensorfile import TensorWriter, memory_map
from trivec.types import FloatArray

from common import environment, write_result

_WIDTH, _TOKEN_WIDTH, _VOCABULARY = 384, 128, 250_002
_STEP = 10_000
_QUERIES = 50
_FIRST_EXACT = 100_000
"""Up to so many passages the sparse answers are compared with scipy's."""


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", type=int, nargs="*", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--scratch", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    result: dict[str, Any] = {"environment": environment("faiss-cpu", "scipy"), "sizes": {}}
    for size in arguments.sizes:
        with tempfile.TemporaryDirectory(dir=arguments.scratch) as folder:
            home = Path(folder)
            row = {"dense": _dense(home, size), "sparse": _sparse(home, size), "tokens": _tokens(home, size)}
        result["sizes"][str(size)] = row
        print(size, row)
    write_result(arguments.out, result)


def _write(path: Path, write: Callable[[TensorWriter], object]) -> dict[str, Any]:
    writer = TensorWriter(path, {})
    write(writer)
    writer.finish()
    return memory_map(path)


def _dense_blocks(size: int) -> Iterator[FloatArray]:
    rng = np.random.default_rng(0)
    directions = rng.standard_normal((64, _WIDTH), np.float32) / 8
    topics = rng.standard_normal((2000, 64), np.float32)
    for start in range(0, size, _STEP):
        count = min(_STEP, size - start)
        latent = topics[rng.zipf(1.3, count) % 2000] + 0.7 * rng.standard_normal((count, 64), np.float32)
        vectors = latent @ directions + 0.3 * rng.standard_normal((count, _WIDTH), np.float32)
        yield _unit(vectors)


def _dense(home: Path, size: int) -> dict[str, Any]:
    options = DenseOptions()
    start = time.perf_counter()
    arrays = _write(home / "dense", lambda w: write_dense(w, "dense", _WIDTH, _dense_blocks(size), options))
    writing = time.perf_counter() - start
    start = time.perf_counter()
    has_graph = build_graph(DensePart(arrays, "dense", None), home / "graph", options)
    building = time.perf_counter() - start
    part = DensePart(arrays, "dense", home / "graph" if has_graph else None)
    rng = np.random.default_rng(1)
    queries = _unit(part.vectors(rng.integers(size, size=_QUERIES)) + 0.02 * rng.standard_normal((_QUERIES, _WIDTH)))
    matrix = np.concatenate(list(_dense_blocks(size)))
    exact = _exact_dense(matrix, queries)
    found = [part.search(query, 100, None)[0] for query in queries]
    return {
        "graph": has_graph,
        "write_s": round(writing, 2),
        "graph_s": round(building, 2),
        "recall@100": round(float(np.mean([np.isin(a, b).mean() for a, b in zip(exact, found, strict=True)])), 4),
        "k=100 p50_ms": _median(lambda query: part.search(query, 100, None), queries),
        "k=1000 p50_ms": _median(lambda query: part.search(query, 1000, None), queries),
        "numpy exact p50_ms": _median(lambda query: np.argpartition(matrix @ query, -min(100, size)), queries[:20]),
        "mb": round(sum(path.stat().st_size for path in home.iterdir()) / 1e6, 1),
    }


def _exact_dense(matrix: FloatArray, queries: FloatArray) -> list[np.ndarray[Any, Any]]:
    return [np.argpartition(-(matrix @ query), min(100, len(matrix) - 1))[:100] for query in queries]


def _sparse(home: Path, size: int) -> dict[str, Any]:
    matrix = _zipf_rows(size, 64, np.random.default_rng(2))
    queries = _zipf_rows(_QUERIES, 12, np.random.default_rng(3))
    start = time.perf_counter()
    part = ImpactsPart(_write(home / "sparse", lambda w: write_impacts(w, "sparse", matrix)), "sparse")
    writing = time.perf_counter() - start
    rows = [(queries[[i]].indices, queries[[i]].data) for i in range(_QUERIES)]
    columns = sp.csc_array(matrix)
    result = {
        "write_s": round(writing, 2),
        "k=100 p50_ms": _median(lambda row: part.search(*row, 100, None), rows),
        "k=1000 p50_ms": _median(lambda row: part.search(*row, 1000, None), rows),
        "scipy p50_ms": _median(lambda row: _exact_sparse(columns, *row), rows[:20]),
        "mb": round((home / "sparse").stat().st_size / 1e6, 1),
    }
    if size <= _FIRST_EXACT:
        for terms, weights in rows:
            best, scores = part.search(terms, weights, 100, None)
            exact = _exact_sparse(columns, terms, weights)
            assert np.allclose(np.sort(exact[exact > 0])[::-1][:100], scores, rtol=1e-4), "sparse search is not exact"
            assert np.allclose(exact[best], scores, rtol=1e-4)
    return result


def _exact_sparse(columns: sp.csc_array, terms: Any, weights: Any) -> FloatArray:
    scores = np.asarray(columns[:, terms] @ weights, np.float32)
    np.argpartition(-scores, min(100, len(scores) - 1))
    return scores


def _zipf_rows(count: int, terms: int, rng: np.random.Generator) -> sp.csr_array:
    parts = []
    for start in range(0, count, _STEP):
        rows = min(_STEP, count - start)
        columns = (rng.zipf(1.2, (rows, terms)) * 2654435761 % _VOCABULARY).astype(np.int32)
        values = rng.gamma(2.0, 0.05, columns.shape).astype(np.float32)
        offsets = np.arange(rows + 1) * terms
        part = sp.csr_array((values.reshape(-1), columns.reshape(-1), offsets), shape=(rows, _VOCABULARY))
        part.sum_duplicates()
        parts.append(part)
    return sp.csr_array(sp.vstack(parts, format="csr"))


def _token_blocks(size: int) -> Iterator[Ragged]:
    rng = np.random.default_rng(4)
    for start in range(0, size, _STEP):
        lengths = rng.integers(8, 57, min(_STEP, size - start))
        values = _unit(rng.standard_normal((int(lengths.sum()), _TOKEN_WIDTH), np.float32))
        yield Ragged(values, np.concatenate([[0], np.cumsum(lengths)]))


def _tokens(home: Path, size: int) -> dict[str, Any]:
    start = time.perf_counter()
    arrays = _write(home / "tokens", lambda w: write_tokens(w, "multi", _TOKEN_WIDTH, _token_blocks(size), "int8"))
    writing = time.perf_counter() - start
    tokens = TokenParts([TokenPart(arrays, "multi")])
    rng = np.random.default_rng(5)
    query = _unit(rng.standard_normal((16, _TOKEN_WIDTH), np.float32))
    chosen = [np.sort(rng.choice(size, min(200, size), replace=False)) for _ in range(_QUERIES)]
    return {
        "write_s": round(writing, 2),
        "200 candidates p50_ms": _median(lambda rows: tokens.maxsim(query, rows), chosen),
        "mb": round((home / "tokens").stat().st_size / 1e6, 1),
    }


def _median(call: Callable[[Any], object], items: Any) -> float:
    taken = []
    for item in items:
        start = time.perf_counter()
        call(item)
        taken.append(1000 * (time.perf_counter() - start))
    return round(statistics.median(taken), 3)


def _unit(vectors: Any) -> FloatArray:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), np.float32)


if __name__ == "__main__":
    main()
