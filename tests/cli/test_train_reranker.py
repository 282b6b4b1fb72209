"""``train reranker``: from a file of pairs to a model for ``--rerank``, and what goes wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import Run, write_jsonl

import trivec
from trivec.train.recipe_files import read_recipe


@pytest.fixture
def pairs(workplace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("RANK", raising=False)
    words = ["water", "night", "river", "mountain", "library", "book"]
    made = [(one, other) for one in words for other in words if one != other]
    rows = [{"query": f"{one} {other}", "pos": [f"{other} {one}"], "neg": ["city", "country"]} for one, other in made]
    return write_jsonl(workplace / "pairs.jsonl", rows).relative_to(workplace)


def test_pairs_become_a_reranker(run: Run, pairs: Path, model: Path) -> None:
    outcome = run("train", "reranker", pairs, "--out", "run", "--model", model, "--steps", 2, "--json")
    assert outcome.code == 0, outcome.err
    result = outcome.json
    assert {row["measure"] for row in result["table"]} == {
        f"{way} {measure}" for way in ("rerank", "bm25") for measure in ("nDCG@10", "RR@10")
    }
    assert trivec.load_reranker(result["model"]).score("water", ["river", "water"]).shape == (2,)
    again = run("train", "resume", "run", "--json")
    assert again.json["table"] == result["table"]
    assert "trivec train resume run" in run("train", "reranker", pairs, "--out", "run", "--model", model).err


def test_a_recipe_and_that_of_a_run(run: Run, pairs: Path, model: Path) -> None:
    Path("recipe.yaml").write_text(f"task: reranker\ndata: [{pairs}]\nmodel: {model}\nsteps: 3\ndev_share: 0\n")
    outcome = run("train", "reranker", "--config", "recipe.yaml", "--steps", 1, "--out", "run", "--quiet")
    assert (outcome.code, outcome.out) == (0, ""), outcome.err
    written = read_recipe(Path("run/run.yaml"))
    assert written.learning.steps == 1
    assert run("train", "reranker", "--config", "run/run.yaml", "--out", "other", "--quiet").code == 0
    weights = [Path(name, "model", "model.safetensors").read_bytes() for name in ("run", "other")]
    assert weights[0] == weights[1]


def test_a_dry_run_writes_nothing(run: Run, pairs: Path, model: Path) -> None:
    outcome = run("train", "reranker", pairs, "--model", model, "--batch-size", 8, "--dry-run", "--json")
    assert outcome.code == 0, outcome.err
    planned = outcome.json["run"]
    assert planned["examples"] + planned["held_out"] == 30
    assert [bucket["batch_size"] for bucket in planned["buckets"]] == [8]
    assert not Path("run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--heads", "dense"], "--heads"),
        (["--pooling", "cls"], "--pooling"),
        (["--remember", "states"], "--remember"),
        (["--layouts", "trivec"], "--layouts"),
        (["--task", "reranker"], "--task"),
        (["--temperature", 1], "--temperature"),
        (["--teacher", "kl"], "no teacher scores"),
        (["--teacher", "ranks"], "ranks"),
        (["--group-size", 1], "at least 2"),
        (["--metric", "dense nDCG@10"], "give rerank"),
        (["--config", "heads.yaml"], "heads"),
        (["--config", "m3.yaml"], "m3.yaml holds a list"),
        (["--passage-length", 500], "positions 564"),
    ],
)
def test_what_goes_wrong_is_told_in_a_line(
    words: list[object], message: str, run: Run, pairs: Path, model: Path
) -> None:
    Path("heads.yaml").write_text("heads: [dense]\n")
    Path("m3.yaml").write_text("- m3\n")
    outcome = run("train", "reranker", pairs, "--out", "run", "--model", model, *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
    assert not Path("run").exists()


def test_a_recipe_for_a_reranker_makes_no_encoder(run: Run, pairs: Path, model: Path) -> None:
    Path("recipe.yaml").write_text("task: reranker\n")
    outcome = run("train", "m3", pairs, "--out", "run", "--model", model, "--config", "recipe.yaml")
    assert outcome.code == 2
    assert "recipe.yaml is a recipe for trivec train reranker, not for m3" in outcome.err


def test_help_names_the_options(run: Run) -> None:
    assert "reranker" in run("train", "--help").out
    shown = run("train", "reranker", "--help").out
    for option in ("--teacher", "--lora-rank", "--fit-memory", "--metric", "--dry-run"):
        assert option in shown
    for option in ("--heads", "--task", "--layouts", "--temperature ", "--remember"):
        assert option not in shown
