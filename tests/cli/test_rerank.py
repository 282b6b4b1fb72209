"""``trivec rerank``: scores for people and programs, and lines that cannot be read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from cli_runs import Run, write_jsonl

import trivec
from trivec.cli.unnamed import name_reranker

import tiny_models

GROUPS = [
    {
        "query": "what is the capital",
        "documents": ["the capital city", "water", {"title": "A book", "text": "of science"}],
    },
    {"query": "river", "document": "the river and the mountain", "source": "kept"},
    {"query": "empty", "documents": []},
]


@pytest.fixture
def reranker(workplace: Path) -> Path:
    return tiny_models.write_tiny_reranker(workplace / "reranker")


@pytest.fixture
def groups(workplace: Path) -> Path:
    return write_jsonl(workplace / "groups.jsonl", GROUPS)


def test_lines_come_out_with_scores(run: Run, reranker: Path, groups: Path, workplace: Path) -> None:
    assert run("rerank", groups, "--model", reranker, "-o", "scored.jsonl").code == 0
    rows = [json.loads(line) for line in (workplace / "scored.jsonl").read_text().splitlines()]
    assert [{key: row[key] for key in group} for row, group in zip(rows, GROUPS, strict=True)] == GROUPS
    expected = trivec.load_reranker(reranker).score(
        "what is the capital", ["the capital city", "water", "A book of science"]
    )
    np.testing.assert_allclose(rows[0]["scores"], expected, atol=1e-5)
    np.testing.assert_allclose(rows[0]["probabilities"], 1 / (1 + np.exp(-expected)), atol=1e-5)
    assert [len(row["scores"]) for row in rows] == [3, 1, 0]


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ("search library q --rerank", "search library q --rerank m3-small-reranker"),
        ("search library q --rerank -k 3", "search library q --rerank m3-small-reranker -k 3"),
        ("search library q --rerank run/model -k 3", "search library q --rerank run/model -k 3"),
        ("eval m3-small set --rerank --depth 10", "eval m3-small set --rerank m3-small-reranker --depth 10"),
        ("rerank groups.jsonl", "rerank groups.jsonl"),
    ],
)
def test_the_default_reranker_need_not_be_named(words: str, named: str) -> None:
    assert name_reranker(words.split()) == named.split()


def test_a_default_reranker_that_is_not_there(run: Run, groups: Path) -> None:
    outcome = run("rerank", groups)
    assert outcome.code == 2
    assert "m3-small-reranker is not on this machine yet: run trivec models fetch m3-small-reranker" in outcome.err


def test_the_best_of_each_query(run: Run, reranker: Path, groups: Path) -> None:
    lines = run("rerank", groups, "--model", reranker, "-k", 2, "--json").out.splitlines()
    ranked = [json.loads(line)["ranked"] for line in lines]
    assert [len(own) for own in ranked] == [2, 1, 0]
    assert ranked[0][0]["score"] >= ranked[0][1]["score"]
    told = run("rerank", groups, "--model", reranker, "-k", 1).out.splitlines()
    assert told[0] == "# what is the capital"
    assert told[4].split(maxsplit=1)[1] == "the river and the mountain"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"documents": ["x"]}', "groups.jsonl:2: {'documents': ['x']} has no query"),
        ('{"query": "q"}', "documents is None, not a list"),
        ('{"query": "q", "documents": "x"}', "documents is x, not a list"),
        ('{"query": "q", "documents": [7]}', "the document 7 is no text"),
        ("{", "groups.jsonl:2: "),
    ],
)
def test_lines_that_cannot_be_read(line: str, message: str, run: Run, reranker: Path, workplace: Path) -> None:
    (workplace / "groups.jsonl").write_text(json.dumps(GROUPS[0]) + f"\n{line}\n")
    outcome = run("rerank", "groups.jsonl", "--model", reranker, "-o", "out.jsonl")
    assert outcome.code == 2
    assert message in outcome.err
    assert not Path("out.jsonl").exists()
    assert len(run("rerank", "groups.jsonl", "--model", reranker, "--skip-bad", "--json").out.splitlines()) == 1


def test_what_cannot_be_reranked(run: Run, reranker: Path, groups: Path, tiny: Callable[[str], Path]) -> None:
    bare = tiny("bert")
    for words, message in (
        (["nowhere.jsonl", "--model", reranker], "there is no file nowhere.jsonl"),
        ([groups, "--model", "nowhere"], "there is no model 'nowhere'"),
        ([groups, "--model", bare], "holds no reranker"),
        ([groups, "--model", reranker, "-k", 0], "k must be at least 1"),
        ([groups, "--model", reranker, "--max-length", 3], "leaves no room"),
    ):
        outcome = run("rerank", *words)
        assert (outcome.code, outcome.out) == (2, "")
        assert message in outcome.err
