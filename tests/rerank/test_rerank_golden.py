"""Logits and rows of FlagEmbedding 1.4.2 for tiny rerankers of every kind, kept in `tests/golden`.

Written by `benchmarks/parity/golden_rerankers.py`. FlagEmbedding lets separators and prompt come on top of its
``max_length``, and twice, and gives the query three quarters of the number that it was told.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trivec
from trivec.encode.tokenizer import TextTokenizer
from trivec.rerank.layer_heads import LayerHeads
from trivec.rerank.prompts import PREDICT, YES_OR_NO
from trivec.rerank.reranker import Pair, Reranker

import tiny_llms
import tiny_models

GOLDEN = Path(__file__).parents[1] / "golden"
BUILDERS: dict[str, Callable[[Path], Path]] = {
    "cross_encoder": tiny_models.write_tiny_reranker,
    "yes_llama": lambda folder: tiny_llms.write_tiny_llm(folder, "llama"),
    "yes_gemma": lambda folder: tiny_llms.write_tiny_llm(folder, "gemma"),
    "layerwise": tiny_llms.write_tiny_layerwise,
    "lightweight": tiny_llms.write_tiny_lightweight,
}
ASKED = [
    ("cross_encoder", "plain"),
    ("yes_llama", "plain"),
    ("yes_gemma", "plain"),
    ("layerwise", "plain"),
    ("layerwise", "one"),
    ("lightweight", "plain"),
    ("lightweight", "halves"),
    ("lightweight", "quarters"),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folders by case, of the very weights that the reference had."""
    workplace = tmp_path_factory.mktemp("golden")

    @cache
    def build(case: str) -> Path:
        written = BUILDERS[case](workplace / case)
        assert tiny_models.checkpoint_digest(written) == golden(case)["checkpoint_digest"], "run golden_rerankers.py"
        return written

    return build


@cache
def golden(case: str) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((GOLDEN / f"reranker_{case}.json").read_text("utf-8"))
    return content


def load(folder: Path, case: str, asked: str) -> Reranker:
    length = golden(case)["max_length"]
    lengths = {"max_length": length}
    if case != "cross_encoder":
        tokenizer = TextTokenizer.from_file(folder / "tokenizer.json")
        extra = tokenizer.pieces(["\n", PREDICT if case == "lightweight" else YES_OR_NO])
        lengths = {"max_length": length + 2 * sum(len(e.ids) for e in extra), "query_length": 3 * length // 4}
    return trivec.load_reranker(folder, **lengths, **golden(case)["asked"][asked])


def pairs_of(case: str) -> list[Pair]:
    return [Pair(*pair) for pair in golden(case)["pairs"]]


@pytest.mark.parametrize(("case", "asked"), ASKED)
def test_logits_equal_the_published_code(case: str, asked: str, folder: Callable[[str], Path]) -> None:
    expected = np.asarray(golden(case)["scores"][asked])
    scores = load(folder(case), case, asked).score_layers(pairs_of(case))
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-5)
    assert np.ptp(expected[:, -1]) > 1


@pytest.mark.parametrize("case", BUILDERS)
def test_rows_equal_the_published_code(case: str, folder: Callable[[str], Path]) -> None:
    tokens = load(folder(case), case, "plain").scorer._tokens  # type: ignore[attr-defined]
    rows = tokens.rows(pairs_of(case))
    assert [[*(row if case == "cross_encoder" else row.ids)] for row in rows] == golden(case)["rows"]


def test_where_the_published_code_takes_another_layers_head(folder: Callable[[str], Path]) -> None:
    """Asked for the last layer alone, its lightweight class scores it by the first head, which is that of layer 2."""
    expected = np.asarray(golden("lightweight")["scores"]["last_alone"])
    every = load(folder("lightweight"), "lightweight", "plain")
    last = load(folder("lightweight"), "lightweight", "last_alone")
    pairs = pairs_of("lightweight")
    np.testing.assert_allclose(last.score_layers(pairs)[:, 0], every.score_layers(pairs)[:, -1], atol=1e-5)
    assert np.abs(last.score_layers(pairs) - expected).max() > 1
    first = every.scorer.reader.heads._weights[2]  # type: ignore[attr-defined]
    last.scorer.reader.heads = LayerHeads([6], first[None], tiny_llms.SOFTCAP)  # type: ignore[attr-defined]
    np.testing.assert_allclose(last.score_layers(pairs), expected, atol=1e-5)
