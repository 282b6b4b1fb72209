"""What the tests of the store in our own files share: options, documents, a model to compare with, other processes."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from dataclasses import replace
from pathlib import Path

import numpy as np

from trivec.index import NativeOptions, NativeStore, parse_filter
from trivec.index.native.dense import DenseOptions
from trivec.index.native.settings import MergeOptions
from trivec.types import FloatArray, Passage

from store_cases import Model, check_store, embeddings

HERE = Path(__file__).parent
EXACT = NativeOptions(DenseOptions("float32"), "float32")
STILL = replace(EXACT, merge=MergeOptions(small_segments=1000, factor=1000, max_dead_share=1))
"""Exact codecs, and no merging unless asked."""
BUSY = replace(EXACT, merge=MergeOptions(small_rows=20, small_segments=2, factor=2, max_dead_share=0.2))
"""Exact codecs, and merging after nearly every write."""


def many(count: int, first: int = 0) -> list[Passage]:
    return [Passage(f"d{i}", f"text {i}", metadata={"tenth": i % 10}) for i in range(first, first + count)]


def fill(store: NativeStore, model: Model, count: int, first: int = 0, seed: int | None = None) -> None:
    vectors = embeddings(first if seed is None else seed, count)
    store.upsert(many(count, first), vectors)
    model.upsert(many(count, first), vectors)


def remove(store: NativeStore, model: Model, numbers: range) -> None:
    ids = [f"d{i}#0" for i in numbers]
    store.delete(ids)
    model.delete(ids)


def check(store: NativeStore, model: Model) -> None:
    for where in (None, {"tenth": 3}):
        check_store(store, model, embeddings(99, 1), parse_filter(where), 10)


def unit(rng: np.random.Generator, *shape: int) -> FloatArray:
    values = rng.standard_normal(shape, dtype=np.float32)
    return np.asarray(values / np.linalg.norm(values, axis=-1, keepdims=True), np.float32)


def segment_folders(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "segments").iterdir())


def start(code: str, *arguments: str) -> subprocess.Popen[str]:
    """Another process that runs Python code."""
    command = [sys.executable, "-c", textwrap.dedent(code), *arguments]
    environment = os.environ | {"PYTHONPATH": str(HERE)}
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)


class Crash(BaseException):
    """As if the process ended here."""


def crashing(*_: object, **__: object) -> None:
    raise Crash
