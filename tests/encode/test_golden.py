"""Tiny checkpoints encode as FlagEmbedding and sentence-transformers encode them.

The numbers in `tests/golden` were written by `benchmarks/parity/golden.py`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trivec

import tiny_models

GOLDEN = Path(__file__).parents[1] / "golden"
NAMES = sorted(path.stem for path in GOLDEN.glob("tiny_*.json"))
M3_NAMES = [name for name in NAMES if name.startswith("tiny_m3")]
LIMITS = {"torch": 1e-5, "onnx": 1e-4}

with_all_files = pytest.mark.parametrize("name", NAMES)
with_m3_files = pytest.mark.parametrize("name", M3_NAMES)
with_both_runtimes = pytest.mark.parametrize("runtime", LIMITS)


@dataclass(frozen=True)
class Golden:
    """A file of `tests/golden`, the checkpoint that it speaks of, rebuilt, and what a runtime makes of it."""

    content: dict[str, Any]
    folder: Path
    runtime: str

    @property
    def expected(self) -> dict[str, Any]:
        return dict(self.content["expected"])

    @cached_property
    def encoder(self) -> trivec.Encoder:
        return trivec.load(self.folder, runtime=self.runtime)

    @cached_property
    def vectors(self) -> trivec.Embeddings:
        return self.encoder.encode(self.content["texts"], max_length=self.content["max_length"])

    def check(self, given: Any, expected: Any) -> None:
        np.testing.assert_allclose(given, expected, rtol=0, atol=LIMITS[self.runtime])


@pytest.fixture(scope="module")
def goldens(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Golden]:
    """Reads a file and rebuilds its checkpoint, once for each runtime."""
    workplace = tmp_path_factory.mktemp("golden")

    @cache
    def make(name: str, runtime: str = "torch") -> Golden:
        content = json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
        build = getattr(tiny_models, content["builder"])
        return Golden(content, build(workplace / runtime / name, **content["arguments"]), runtime)

    return make


@with_all_files
def test_the_builder_still_writes_the_same_checkpoint(goldens: Callable[..., Golden], name: str) -> None:
    golden = goldens(name)
    digest = tiny_models.checkpoint_digest(golden.folder)
    assert digest == golden.content["checkpoint_digest"], "tiny_models.py has changed: run benchmarks/parity/golden.py"


@with_all_files
@with_both_runtimes
def test_dense_vectors(goldens: Callable[..., Golden], name: str, runtime: str) -> None:
    golden = goldens(name, runtime)
    golden.check(golden.vectors.dense, golden.expected["dense"])


@with_all_files
@with_both_runtimes
def test_dense_vectors_with_prompts(goldens: Callable[..., Golden], name: str, runtime: str) -> None:
    golden = goldens(name, runtime)
    texts, limit, encoder = golden.content["texts"], golden.content["max_length"], golden.encoder
    encode = {
        "prompted": lambda: encoder.encode(texts, ["dense"], golden.content["prompt"], limit),
        "queries": lambda: encoder.encode_queries(texts, ["dense"], limit),
        "documents": lambda: encoder.encode_documents(texts, ["dense"], limit),
    }
    for part in encode.keys() & golden.expected.keys():
        golden.check(encode[part]().dense, golden.expected[part])


@with_m3_files
@with_both_runtimes
def test_lexical_weights(goldens: Callable[..., Golden], name: str, runtime: str) -> None:
    golden = goldens(name, runtime)
    weights = golden.vectors.sparse.toarray()
    expected = np.zeros_like(weights)
    for row, by_id in zip(expected, golden.expected["sparse"], strict=True):
        row[[int(number) for number in by_id]] = list(by_id.values())
    golden.check(weights, expected)


@with_m3_files
@with_both_runtimes
def test_multi_vectors(goldens: Callable[..., Golden], name: str, runtime: str) -> None:
    golden = goldens(name, runtime)
    multi = golden.vectors.multi
    assert multi.lengths.tolist() == golden.expected["multi_lengths"]
    for text, expected in golden.expected["multi"].items():
        golden.check(multi[int(text)], expected)


@with_m3_files
@with_both_runtimes
def test_scores_of_pairs(goldens: Callable[..., Golden], name: str, runtime: str) -> None:
    """Pairs that the reference has scored alone: as pairs, and in a matrix of all against all."""
    golden = goldens(name, runtime)
    vectors, weights = golden.vectors, golden.content["weights"]
    queries, documents = np.array(golden.content["pairs"]).T
    pairs = trivec.score_pairs(vectors.select(queries), vectors.select(documents), weights, average=True)
    matrix = trivec.score(vectors, vectors, weights, average=True)
    for head, expected in golden.expected["pairs"].items():
        golden.check(getattr(pairs, head), expected)
        golden.check(getattr(matrix, head)[queries, documents], expected)
