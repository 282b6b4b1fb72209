"""One store of trivec in a process of its own: build, open, search. Started by ``store_speed.py``.

Reports as JSON on the last line. The exact answers come from ``exact.npz``, made once by the driver.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from trivec.embeddings import Embeddings
from trivec.index import Store, parse_filter
from trivec.index.files import folder_bytes
from trivec.index.native.shared_work import share_work
from trivec.search.options import SearchOptions
from trivec.search.retrieval import retrieve
from trivec.types import Signal

from store_corpus import Corpus, make_corpus

SIGNALS: tuple[Signal, ...] = ("dense", "sparse", "bm25")
SELECTIVITIES = (0.001, 0.01, 0.05, 0.1, 0.2, 0.5)
HYBRID = SearchOptions(weights={"dense": 1.0, "sparse": 0.3, "bm25": 0.5, "multi": 1.0})
"""Every signal takes part: three propose 500 candidates each, MaxSim re-ranks 200."""

FEWER = SearchOptions(weights=HYBRID.weights, candidates=200)
"""The same with 200 proposals each: as many as MaxSim re-ranks."""


def main() -> None:
    """Build, measure, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("store", choices=["native", "edge"])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--real", type=int, required=True)
    parser.add_argument("--exact", type=Path, required=True)
    parser.add_argument("--folder", type=Path, required=True)
    arguments = parser.parse_args()
    corpus = make_corpus(arguments.data, arguments.cache, arguments.count, arguments.real)
    shutil.rmtree(arguments.folder, ignore_errors=True)
    create, reopen = _kinds()[arguments.store]
    result: dict[str, Any] = _build(create, arguments.folder, corpus)
    queries = list(corpus.queries)
    del corpus
    os.sync()  # what was written is on disk, so that nobody still writes while searches are timed
    before = resident()
    start = time.perf_counter()
    store = reopen(arguments.folder)
    result["open_ms"] = 1000 * (time.perf_counter() - start)
    with contextlib.closing(store):
        result |= _measure(store, queries, dict(np.load(arguments.exact, allow_pickle=False)))
        after = resident()
    result["resident_mb"] = {name: round(after[name] - before[name], 1) for name in after}
    print(json.dumps(result))


def _kinds() -> dict[str, tuple[Callable[[Path], Store], Callable[[Path], Store]]]:
    from trivec.index import EmbeddedStore, NativeStore

    return {
        "native": (NativeStore.create, NativeStore.open),
        "edge": (EmbeddedStore.create, EmbeddedStore.open),
    }


def _build(create: Callable[[Path], Store], folder: Path, corpus: Corpus) -> dict[str, Any]:
    store, writing, written = create(folder), 0.0, 0
    memory: dict[int, float] = {}
    for passages, vectors in corpus.batches():
        start = time.perf_counter()
        store.upsert(passages, vectors)
        writing += time.perf_counter() - start
        if written // (corpus.count // 5) < (written + len(passages)) // (corpus.count // 5):
            memory[written + len(passages)] = round(resident()["own"], 1)
        written += len(passages)
    start = time.perf_counter()
    store.optimize()
    store.flush()
    optimizing = time.perf_counter() - start
    store.close()
    memory[-1] = round(resident()["own"], 1)
    return {
        "upsert_s": round(writing, 2),
        "optimize_s": round(optimizing, 2),
        "disk_mb": round(folder_bytes(folder) / 1e6, 1),
        "own_mb_while_writing, by passages; -1 after optimize": memory,
    }


def _measure(store: Store, queries: list[Embeddings], exact: dict[str, Any]) -> dict[str, Any]:
    result: dict[str, Any] = {"signals": {}, "hybrid": {}}
    for signal in SIGNALS:
        found = [store.search(signal, query, 100).ids for query in queries]
        times = _times(lambda query, signal=signal: store.search(signal, query, 100), queries)
        result["signals"][signal] = {"p50_ms": times, "recall@100": _recall(found, exact[signal])}
        result["signals"][signal]["k=1000 p50_ms"] = _times(
            lambda query, signal=signal: store.search(signal, query, 1000), queries
        )
    candidates = [store.search("dense", query, 200).ids for query in queries]
    pairs = list(zip(queries, candidates, strict=True))
    result["signals"]["multi"] = {"200 candidates p50_ms": _times(lambda pair: store.score("multi", *pair), pairs)}
    for share in (None, *SELECTIVITIES):
        where = None if share is None else parse_filter(f"bucket < {round(1000 * share)}")
        name = "all" if share is None else f"{share:.1%}"
        found = [store.search("dense", query, 100, where).ids for query in queries]
        hits = [[hit.passage.id for hit in retrieve(store, query, 100, where, HYBRID)] for query in queries]
        fewer = [[hit.passage.id for hit in retrieve(store, query, 100, where, FEWER)] for query in queries]
        result["hybrid"][name] = {
            "p50_ms": _times(lambda query, where=where: retrieve(store, query, 10, where, HYBRID), queries),
            "200 candidates p50_ms": _times(
                lambda query, where=where: retrieve(store, query, 10, where, FEWER), queries
            ),
            "dense p50_ms": _times(lambda query, where=where: store.search("dense", query, 100, where), queries),
            "dense recall@100": _recall(found, exact[f"dense {name}"]),
            "hybrid recall@100": _recall(hits, exact[f"hybrid {name}"]),
            "200 candidates recall@100": _recall(fewer, exact[f"hybrid {name}"]),
        }
    result["hybrid queries/s by threads"] = {threads: _throughput(store, queries, threads) for threads in (1, 2, 4)}
    share_work(False)
    result["the same, one core a query"] = {threads: _throughput(store, queries, threads) for threads in (1, 2, 4)}
    return result


def _times(call: Callable[[Any], object], items: list[Any]) -> float:
    """Median milliseconds of a call, over all items, three times."""
    taken = []
    for item in items * 3:
        start = time.perf_counter()
        call(item)
        taken.append(1000 * (time.perf_counter() - start))
    return round(statistics.median(taken), 3)


def _throughput(store: Store, queries: list[Embeddings], threads: int) -> float:
    with ThreadPoolExecutor(threads) as pool:
        start = time.perf_counter()
        list(pool.map(lambda query: retrieve(store, query, 10, None, HYBRID), queries))
        return round(len(queries) / (time.perf_counter() - start), 1)


def _recall(found: list[list[str]], exact: np.ndarray[Any, Any]) -> float:
    """Mean share of the exact ids that were found; there may be fewer than 100 of them."""
    shares = []
    for ids, row in zip(found, exact.tolist(), strict=True):
        wanted = {name for name in row if name}
        if wanted:
            shares.append(len(wanted & set(ids)) / len(wanted))
    return round(statistics.mean(shares), 4)


def resident() -> dict[str, float]:
    """Megabytes of this process in memory: its own, and pages of files, which the system may take back."""
    fields = dict(_status())
    return {"own": fields["RssAnon"] / 1024, "files": fields["RssFile"] / 1024}


def _status() -> Iterator[tuple[str, int]]:
    for line in Path("/proc/self/status").read_text().splitlines():
        name, _, value = line.partition(":")
        if value.strip().endswith("kB"):
            yield name, int(value.split()[0])


if __name__ == "__main__":
    main()
