"""Fixtures for all tests: tiny checkpoints that are built once, and a comparison of vectors."""

from __future__ import annotations

import json
import os
import shutil

os.environ.setdefault("OMP_NUM_THREADS", "1")  # tiny models: threads would only wait for each other

from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import settings

import trivec
from trivec.cache import model_folder
from trivec.encode.catalogue import DEFAULT_RERANKER
from trivec.encode.loading import fetch

import tiny_models

settings.register_profile("trivec", deadline=None)  # no test asserts a time
settings.load_profile("trivec")

PROMPTS = {"query": "query: ", "document": "passage: "}

BUILDERS: dict[str, Callable[[Path], Path]] = {
    "m3": lambda folder: tiny_models.write_tiny_m3(folder, multi_width=24),
    "bert": lambda folder: tiny_models.write_tiny_bert(folder),
    "roberta": lambda folder: tiny_models.write_tiny_roberta(folder),
    "st-mean": lambda folder: tiny_models.write_tiny_bert(
        folder, "sentence-transformers", pooling="mean", dense_module=True, normalize=False, prompts=PROMPTS
    ),
}


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folders of tiny checkpoints by name. They belong to all tests: copy one before changing it."""
    workplace = tmp_path_factory.mktemp("tiny")

    @cache
    def build(name: str) -> Path:
        return BUILDERS[name](workplace / name)

    return build


@pytest.fixture
def copy_tiny(tiny: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """Copies of tiny checkpoints, to be changed by the test."""
    return lambda name: Path(shutil.copytree(tiny(name), tmp_path / name))


@pytest.fixture(scope="session")
def change_json() -> Callable[..., None]:
    """Gives other values to keys of a JSON file."""

    def change(path: Path, **changes: object) -> None:
        path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), encoding="utf-8")

    return change


@pytest.fixture(scope="session")
def load_tiny(tiny: Callable[[str], Path]) -> Callable[..., trivec.Encoder]:
    """Encoders of tiny checkpoints by name and runtime."""

    @cache
    def load(name: str, runtime: str = "onnx", training_free_width: int | None = None) -> trivec.Encoder:
        threads = 1 if runtime == "onnx" else None
        return trivec.load(tiny(name), runtime, threads=threads, training_free_width=training_free_width)

    return load


@pytest.fixture(scope="session")
def same_vectors() -> Callable[..., None]:
    """Asserts that two `Embeddings` hold the same heads with the same numbers, up to ``atol``."""
    return _assert_same_vectors


def _assert_same_vectors(first: trivec.Embeddings, second: trivec.Embeddings, atol: float = 1e-5) -> None:
    assert first.heads == second.heads
    assert len(first) == len(second)
    if first.multi is not None:
        assert first.multi.lengths.tolist() == second.multi.lengths.tolist()
    for head in first.heads:
        np.testing.assert_allclose(_dense_array(first, head), _dense_array(second, head), rtol=0, atol=atol)


def _dense_array(vectors: trivec.Embeddings, head: str) -> np.ndarray:
    part: Any = getattr(vectors, head)
    if head == "multi":
        return part.values
    return part if head == "dense" else part.toarray()


@pytest.fixture(scope="session")
def m3_small() -> trivec.Encoder:
    """The real default model, for tests marked ``model``."""
    folder = model_folder("m3-small")
    if not folder.is_dir():
        pytest.skip(f"m3-small is not in the cache ({folder}): trivec models fetch m3-small")
    return trivec.load("m3-small")


@pytest.fixture(scope="session")
def m3_small_reranker(m3_small: trivec.Encoder) -> trivec.Reranker:
    """The real default reranker, made of the default model, for tests marked ``model``."""
    assert m3_small.name == "m3-small"
    fetch(DEFAULT_RERANKER)
    return trivec.load_reranker()
