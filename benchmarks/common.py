"""What the benchmarks share: evaluation sets, what ran where, and result files."""

from __future__ import annotations

import gzip
import importlib.metadata
import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from trivec.search.readers import read_documents
from trivec.types import Document


@dataclass(frozen=True)
class EvaluationSet:
    """A set in BEIR layout: documents, queries, and relevance by query and document id."""

    name: str
    documents: list[Document]
    queries: dict[str, str]
    qrels: dict[str, dict[str, int]]


def read_set(folder: Path) -> EvaluationSet:
    """Read ``corpus.jsonl[.gz]``, ``queries.jsonl[.gz]`` and ``qrels.tsv``."""
    qrels: dict[str, dict[str, int]] = {}
    for line in (folder / "qrels.tsv").read_text(encoding="utf-8").splitlines()[1:]:
        query, document, relevance = line.split("\t")
        qrels.setdefault(query, {})[document] = int(relevance)
    queries = {row["_id"]: row["text"] for row in _rows(folder / "queries.jsonl.gz") if row["_id"] in qrels}
    return EvaluationSet(folder.name, list(read_documents(folder)), queries, qrels)


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        yield from (json.loads(line) for line in lines)


def environment(*packages: str) -> dict[str, Any]:
    """Date, machine and versions, for a result file."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "versions": {name: importlib.metadata.version(name) for name in ("trivec", "numpy", "onnxruntime", *packages)},
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.machine())


def write_result(path: Path, result: dict[str, Any]) -> None:
    """Write a result file, readable by people."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    print(f"wrote {path}")


def physical_limits() -> dict[str, float]:
    """What this machine gives at the moment, the best of five: a float32 matrix product, and reading by one thread.

    Other guests of the same host make it change by a factor of two.
    """
    square, long = np.ones((1500, 1500), np.float32), np.ones(40_000_000, np.float32)
    product = min(_seconds(lambda: square @ square) for _ in range(5))
    reading = min(_seconds(long.sum) for _ in range(5))
    return {
        "matrix product, GFLOP/s": round(2e-9 * 1500**3 / product),
        "reading, GB/s": round(1e-9 * long.nbytes / reading, 1),
    }


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
