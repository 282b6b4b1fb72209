r"""Stores side by side on one collection: quality against exact search, milliseconds, memory, bytes, building.

    python benchmarks/store_speed.py --data DATA/train --cache CACHE --out benchmarks/results/store_speed.json \
        --peers PYTHON

DATA/train holds training pairs in jsonl; PYTHON is one with lancedb and pymilvus[milvus-lite] installed, or left
out. Each store runs in a process of its own, one after the other. Hybrid search is all of it but the encoding of the
query: three signals propose 500 passages each, MaxSim re-ranks 200.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp

from common import environment, physical_limits, write_result
from store_corpus import make_corpus
from store_exact import ExactStore, write_exact

_HERE = Path(__file__).parent
_LIMIT_S = 900


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--count", type=int, default=100_000)
    parser.add_argument("--real", type=int, default=10_000)
    parser.add_argument("--stores", nargs="*", default=["native", "edge"])
    parser.add_argument("--peers", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    exported = arguments.cache / f"exact-{arguments.count}-{arguments.real}"
    if not (exported / "exact.npz").is_file():
        _prepare(arguments, exported)
    limits = json.loads((exported / "limits.json").read_text())
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(dir=arguments.cache) as scratch:
        for store in arguments.stores:
            limits_now = physical_limits()
            results[store] = {**_worker(arguments, store, exported, Path(scratch) / store), "machine": limits_now}
            print(store, json.dumps(results[store], indent=1))
    for peer in ("lancedb", "milvus-lite") if arguments.peers else ():
        with tempfile.TemporaryDirectory(dir=arguments.cache) as scratch:
            results[peer] = _peer(arguments.peers, peer, exported, Path(scratch))
            print(peer, json.dumps(results[peer], indent=1))
    result = {
        "environment": environment("faiss-cpu", "qdrant-edge-py", "scipy"),
        "passages": arguments.count,
        "of these real": arguments.real,
        "limits": limits | _bandwidth(),
        "stores": results,
    }
    write_result(arguments.out, result)


def _prepare(arguments: argparse.Namespace, target: Path) -> None:
    corpus = make_corpus(arguments.data, arguments.cache, arguments.count, arguments.real)
    store, queries = ExactStore(corpus), list(corpus.queries)
    target.mkdir(parents=True, exist_ok=True)
    dense = np.concatenate([query.dense for query in queries if query.dense is not None])
    np.save(target / "dense.npy", store.dense)
    np.save(target / "queries.npy", dense)
    np.save(target / "bucket.npy", np.asarray([p.metadata["bucket"] for p in store.passages.values()], np.int64))
    sp.save_npz(target / "sparse.npz", store.sparse.tocsr())
    sp.save_npz(target / "sparse_queries.npz", corpus.queries.sparse)
    times = []
    for query in dense:
        start = time.perf_counter()
        store.dense @ query
        times.append(1000 * (time.perf_counter() - start))
    limits = {"exact dense by numpy p50_ms": round(float(np.median(times)), 3), "dense_mb": store.dense.nbytes / 1e6}
    (target / "limits.json").write_text(json.dumps(limits))
    write_exact(store, queries, target / "exact.npz")
    exact = np.load(target / "exact.npz", allow_pickle=False)
    rows = {name: np.char.partition(exact[name], "#")[..., 0] for name in exact.files if "hybrid" not in name}
    np.savez(
        target / "rows.npz", **{name: np.where(ids == "", "-1", ids).astype(np.int64) for name, ids in rows.items()}
    )


def _worker(arguments: argparse.Namespace, store: str, exported: Path, folder: Path) -> Any:
    return _run(
        [sys.executable, str(_HERE / "store_worker.py"), store, "--data", str(arguments.data), "--cache",
         str(arguments.cache), "--count", str(arguments.count), "--real", str(arguments.real), "--exact",
         str(exported / "exact.npz"), "--folder", str(folder)]
    )  # fmt: skip


def _peer(python: Path, peer: str, exported: Path, scratch: Path) -> Any:
    for path in exported.iterdir():
        (scratch / path.name).symlink_to(path)
    return _run([str(python), str(_HERE / "store_peers.py"), peer, "--folder", str(scratch)])


def _run(command: list[str]) -> Any:
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=_LIMIT_S)
    except subprocess.TimeoutExpired:
        return {"failed": f"not done after {_LIMIT_S} s"}
    if done.returncode:
        return {"failed": done.stderr.strip().splitlines()[-1:]}
    return json.loads(done.stdout.strip().splitlines()[-1])


def _bandwidth() -> dict[str, float]:
    """Gigabytes a second that one core reads: the bound of any exact scan."""
    block = np.ones(50_000_000, np.float32)
    times = []
    for _ in range(7):
        start = time.perf_counter()
        block.sum()
        times.append(time.perf_counter() - start)
    return {"read GB/s": round(block.nbytes / min(times) / 1e9, 1)}


if __name__ == "__main__":
    main()
