"""Exact search over term weights, beside scipy and beside the BM25 index in memory.

    python benchmarks/sparse_search.py --rows 100000 --out benchmarks/results/sparse_search_100k.json

Synthetic passages: 115 draws of terms each, half from a Zipf distribution over a vocabulary of 250,002, half from
that of one of 200 topics; counts are how often a term was drawn, learned weights are random times idf. Topics come
in random order, or one after the other as in a corpus filed by subject. A query is 17 terms of a passage, its three
most frequent among them. The methods take turns query by query; times are processor time of the one thread that
searches, best of three.

``unpruned`` is the same kernel with bounds of infinity: what the bounds save is the difference.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from trivec.index.bm25 import Bm25Index, Bm25Options
from trivec.index.native import impacts_kernels
from trivec.index.native.impacts import ImpactsPart
from trivec.index.native.impacts_files import write_impacts
from trivec.tensorfile import TensorWriter, memory_map

from common import environment, write_result

VOCABULARY, TOPICS, TOPIC_TERMS, DRAWS, TERMS = 250_002, 200, 3000, 115, 17
OPTIONS = Bm25Options()


def draw_counts(rows: int, seed: int, filed: bool) -> sp.csr_array:
    """How often each term stands in each passage."""
    rng = np.random.default_rng(seed)
    own = rng.integers(0, VOCABULARY, (TOPICS, TOPIC_TERMS))
    common, special = _zipf(VOCABULARY), _zipf(TOPIC_TERMS)
    topics = rng.integers(0, TOPICS, rows)
    topics = np.sort(topics) if filed else topics
    blocks = []
    for start in range(0, rows, 20_000):
        topic = topics[start : start + 20_000, None]
        half = DRAWS // 2
        drawn = np.concatenate(
            [
                np.searchsorted(common, rng.random((len(topic), DRAWS - half))),
                own[topic, np.searchsorted(special, rng.random((len(topic), half)))],
            ],
            axis=1,
        )
        ends = np.arange(len(topic) + 1) * DRAWS
        block = sp.csr_array((np.ones(drawn.size, np.float32), drawn.ravel(), ends), shape=(len(topic), VOCABULARY))
        block.sum_duplicates()
        blocks.append(block)
    return sp.csr_array(sp.vstack(blocks, format="csr"))


def _zipf(size: int) -> Any:
    chances = np.cumsum(1 / (3 + np.arange(size)))
    return chances / chances[-1]


def learned(counts: sp.csr_array, seed: int) -> sp.csr_array:
    """Weights in place of counts: large where a term is rare."""
    rows = np.bincount(counts.indices, minlength=VOCABULARY)
    idf = np.log1p(counts.shape[0] / (rows + 1)).astype(np.float32) / 20
    values = np.random.default_rng(seed).standard_gamma(2, counts.nnz, np.float32) * idf[counts.indices]
    return sp.csr_array((values, counts.indices, counts.indptr), shape=counts.shape)


def write(path: Path, matrix: sp.csr_array) -> ImpactsPart:
    """A part on disk."""
    with closing(TensorWriter(path, {})) as writer:
        write_impacts(writer, "part", matrix)
        writer.finish()
    return ImpactsPart(memory_map(path), "part")


def unpruned(path: Path) -> ImpactsPart:
    """The part in a file, with bounds that never allow anything to be skipped."""
    arrays = memory_map(path)
    endless = {name: np.full_like(arrays[name], np.inf) for name in ("part.maxima", "part.block_maxima")}
    return ImpactsPart(arrays | endless, "part")


def pick_queries(matrix: sp.csr_array, count: int) -> list[tuple[Any, Any]]:
    """Terms of random passages and their weights there, always with the three most frequent terms of the passage."""
    rng = np.random.default_rng(1)
    rows = np.bincount(matrix.indices, minlength=VOCABULARY)
    queries = []
    for row in rng.integers(0, matrix.shape[0], count).tolist():
        span = slice(matrix.indptr[row], matrix.indptr[row + 1])
        order = np.argsort(-rows[matrix.indices[span]], kind="stable")
        chosen = np.concatenate([order[:3], rng.permutation(order[3:])[: TERMS - 3]])
        queries.append((matrix.indices[span][chosen], matrix.data[span][chosen]))
    return queries


def column_search(columns: Any, terms: Any, weights: Any, k: int) -> tuple[Any, Any]:
    """The usual way in scipy: slice columns, multiply, choose."""
    scores = columns[:, terms] @ weights
    rows = np.argpartition(-scores, k)[:k]
    rows = rows[np.argsort(-scores[rows], kind="stable")]
    return rows, scores[rows]


def index_search(index: Bm25Index, query: dict[int, float], k: int) -> Any:
    """Scores of all rows, and the best k."""
    scores = index.score(query)
    rows = np.argpartition(-scores, k)[:k]
    return rows[np.argsort(-scores[rows], kind="stable")]


def take_turns(methods: dict[str, Callable[[Any, Any], Any]], queries: list[tuple[Any, Any]]) -> dict[str, Any]:
    """Median and 90th percentile in milliseconds of each method."""
    taken: dict[str, list[float]] = {name: [] for name in methods}
    for terms, weights in queries:
        for name, method in methods.items():
            best = np.inf
            for _ in range(3):
                start = time.thread_time()
                method(terms, weights)
                best = min(best, time.thread_time() - start)
            taken[name].append(1e3 * best)
    return {
        n: {"p50": round(float(np.median(v)), 3), "p90": round(float(np.percentile(v, 90)), 3)}
        for n, v in taken.items()
    }


def measure_learned(folder: Path, counts: sp.csr_array, queries: int) -> dict[str, Any]:
    """Learned weights: search beside column slices, and without pruning."""
    matrix = learned(counts, 2)
    start = time.process_time()
    part = write(folder / "learned", matrix)
    built = time.process_time() - start
    plain, asked = unpruned(folder / "learned"), pick_queries(matrix, queries)
    rows, columns = matrix.shape[0], matrix.tocsc()
    few = np.random.default_rng(0).random(rows) < 0.01
    candidates = np.random.default_rng(0).integers(0, rows, 1000)
    same = all(
        np.allclose(part.search(t, w, 100)[1], column_search(columns, t, w, 100)[1], rtol=1e-5) for t, w in asked[:10]
    )
    methods: dict[str, Callable[[Any, Any], Any]] = {
        "scipy columns k=1000": lambda t, w: column_search(columns, t, w, 1000),
        "scipy columns, scores only": lambda t, w: columns[:, t] @ w,
        **{f"trivec k={k}": lambda t, w, k=k: part.search(t, w, k) for k in (10, 100, 1000)},
        **{f"trivec unpruned k={k}": lambda t, w, k=k: plain.search(t, w, k) for k in (10, 100, 1000)},
        "trivec 1 % allowed k=1000": lambda t, w: part.search(t, w, 1000, few),
        "trivec scores of 1000 rows": lambda t, w: part.score(t, w, candidates),
    }
    return {
        "postings": matrix.nnz,
        "postings a query": round(float(np.mean([part.frequencies(t).sum() for t, _ in asked]))),
        "bytes a posting": round(part.bytes / matrix.nnz, 2),
        "write, processor seconds": round(built, 1),
        "same scores": same,
        "milliseconds": take_turns(methods, asked),
    }


def measure_bm25(folder: Path, counts: sp.csr_array, queries: int) -> dict[str, Any]:
    """Counts: BM25 beside the index in memory, with and without deletions."""
    rows = counts.shape[0]
    part = write(folder / "counts", counts)
    plain, asked = unpruned(folder / "counts"), [(t, w) for t, w in pick_queries(counts, queries)]
    names = [str(row) for row in range(rows)]
    index = Bm25Index(OPTIONS)
    index.add(names, counts)
    average = float(part.lengths.mean())
    dead = np.random.default_rng(3).random(rows) < 0.1
    alive, rare = ~dead, np.arange(rows) % 1000 != 0

    def idf(terms: Any, weights: Any, found: Any, total: int) -> Any:
        return weights * np.log1p((total - found + 0.5) / (found + 0.5))

    def search(which: ImpactsPart, terms: Any, weights: Any, mask: Any, k: int) -> Any:
        found = which.frequencies(terms, mask)
        return which.bm25_search(terms, idf(terms, weights, found, rows), average, OPTIONS, k, mask)

    first = asked[0]
    wanted = index.score(dict(zip(first[0].tolist(), first[1].tolist(), strict=True)))
    got = search(part, *first, None, 100)
    methods: dict[str, Callable[[Any, Any], Any]] = {
        "Bm25Index k=1000": lambda t, w: index_search(index, dict(zip(t.tolist(), w.tolist(), strict=True)), 1000),
        **{f"trivec k={k}": lambda t, w, k=k: search(part, t, w, None, k) for k in (10, 1000)},
        **{f"trivec unpruned k={k}": lambda t, w, k=k: search(plain, t, w, None, k) for k in (10, 1000)},
        "trivec 10 % dead k=1000": lambda t, w: search(part, t, w, alive, 1000),
        "frequencies, 10 % dead": lambda t, w: part.frequencies(t, alive),
        "frequencies, 0.1 % dead": lambda t, w: part.frequencies(t, rare),
    }
    return {"same scores": bool(np.allclose(np.sort(wanted)[::-1][:100], got[1], rtol=1e-5))} | {
        "milliseconds": take_turns(methods, asked)
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--queries", type=int, default=50)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    result: dict[str, Any] = {
        "environment": environment("scipy"),
        "rows": arguments.rows,
        "kernels": "C" if impacts_kernels._kernels else "numpy",
    }
    for order in ("random", "filed"):
        with tempfile.TemporaryDirectory() as scratch:
            counts = draw_counts(arguments.rows, 0, order == "filed")
            result[f"learned, {order} order"] = measure_learned(Path(scratch), counts, arguments.queries)
            result[f"bm25, {order} order"] = measure_bm25(Path(scratch), counts, arguments.queries)
    for name in [name for name in result if "order" in name]:
        times = {method: value["p50"] for method, value in result[name]["milliseconds"].items()}
        peer = times.get("scipy columns k=1000") or times["Bm25Index k=1000"]
        result[name]["ratios"] = {
            "peer / trivec k=1000": round(peer / times["trivec k=1000"], 2),
            **{
                f"unpruned / pruned k={k}": round(times[f"trivec unpruned k={k}"] / times[f"trivec k={k}"], 2)
                for k in (10, 1000)
            },
        }
        print(name, times, result[name]["ratios"])
    write_result(arguments.out, result)


if __name__ == "__main__":
    main()
