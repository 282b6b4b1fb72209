"""``train``: from a file of pairs to a model, the recipe's way, and what goes wrong."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from cli_runs import Run, write_jsonl

import trivec
from trivec.train.recipe_files import read_recipe


@pytest.fixture
def pairs(workplace: Path) -> Path:
    words = ["water", "night", "river", "mountain", "library", "book", "city", "country"]
    made = [(one, other) for one in words for other in words if one != other]
    rows = [{"query": f"{one} {other}", "pos": [f"{other} {one}"]} for one, other in made]
    return write_jsonl(workplace / "pairs.jsonl", rows).relative_to(workplace)


@pytest.fixture(autouse=True)
def no_progress(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("RANK", raising=False)
    yield


def test_pairs_become_a_model(run: Run, pairs: Path, model: Path) -> None:
    outcome = run("train", "m3", pairs, "--out", "run", "--model", model, "--steps", 2, "--json")
    assert outcome.code == 0, outcome.err
    assert "2 steps" in outcome.err
    result = outcome.json
    assert result["steps"] == 2
    assert {row["measure"] for row in result["table"]} >= {"dense nDCG@10", "hybrid R@100", "bm25 RR@10"}
    assert trivec.load(result["model"]).heads == ("dense", "sparse", "multi", "terms")
    assert Path(result["report"]).is_file()
    again = run("train", "resume", "run", "--json")
    assert again.json["table"] == result["table"]
    assert "trivec train resume run" in run("train", "m3", pairs, "--out", "run", "--model", model).err


def test_words_go_before_the_recipe(run: Run, pairs: Path, model: Path) -> None:
    Path("recipe.yaml").write_text(f"data: [{pairs}]\nmodel: {model}\nsteps: 3\nlearning_rate: 1e-4\ndev_share: 0\n")
    outcome = run("train", "m3", "--config", "recipe.yaml", "--steps", 1, "--out", "run", "--group-size", 2)
    assert outcome.code == 0, outcome.err
    written = read_recipe(Path("run/run.yaml"))
    assert (written.learning.steps, written.learning.learning_rate, written.batches.group_size) == (1, 1e-4, 2)
    assert "model" in outcome.out and "measure" not in outcome.out


def test_dense_trains_the_dense_vector_alone(run: Run, pairs: Path, model: Path) -> None:
    outcome = run("train", "dense", pairs, "--out", "run", "--model", model, "--steps", 1, "--quiet")
    assert outcome.code == 0, outcome.err
    assert outcome.out == ""
    written = read_recipe(Path("run/run.yaml"))
    assert (written.heads, written.evaluation.metric) == (("dense",), "dense nDCG@10")


def test_a_dry_run_writes_nothing(run: Run, pairs: Path, model: Path) -> None:
    outcome = run("train", "m3", pairs, "--out", "run", "--model", model, "--batch-size", 8, "--dry-run", "--json")
    assert outcome.code == 0, outcome.err
    planned = outcome.json["run"]
    assert planned["examples"] + planned["held_out"] == outcome.json["data"][0]["examples"] == 56
    assert sum(bucket["examples"] for bucket in planned["buckets"]) == planned["examples"] - planned["left_out"]
    assert [bucket["batch_size"] for bucket in planned["buckets"]] == [8]
    assert planned["peak_bytes"] > 4 * planned["memory_bytes"]["weights"]
    assert planned["memory_bytes"]["optimiser"] == 8 * planned["trained"] == 8 * planned["parameters"]
    assert not Path("run").exists()
    fitted = ["--fit-memory", 1, "--batch-size", 2]
    outcome = run("train", "m3", pairs, "--model", model, "--dry-run", "--json", *fitted)
    assert [bucket["batch_size"] for bucket in outcome.json["run"]["buckets"]] == [2]
    assert "contradict" in run("train", "m3", pairs, "--dry-run", "--fit-memory", 1, "--batch-tokens", 9).err
    words = run("train", "m3", pairs, "--model", model, "--dry-run", "--freeze").out
    assert "data set" in words and "queries a batch" in words and "58 of them trained" not in words


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["pairs.jsonl"], "give --out"),
        (["--out", "run"], "no training data"),
        (["nothing.jsonl", "--out", "run"], "nothing.jsonl"),
        (["pairs.jsonl", "--out", "run", "--smell", 1], "--smell"),
        (["pairs.jsonl", "--out", "run", "--epochs", 1, "--steps", 1], "contradict"),
        (["pairs.jsonl", "--out", "run", "--config", "nothing.yaml"], "no recipe nothing.yaml"),
        (["pairs.jsonl", "--out", "run", "--config", "bad.yaml"], "smell"),
        (["pairs.jsonl", "--out", "run", "--passage-length", 9000], "positions 9000"),
        (["pairs.jsonl", "--out", "run", "--dev", "nothing"], "nothing"),
        (["pairs.jsonl", "--out", "run", "--teacher", "kl"], "no teacher scores"),
    ],
)
def test_what_goes_wrong_is_told_in_a_line(
    words: list[object], message: str, run: Run, pairs: Path, model: Path
) -> None:
    Path("bad.yaml").write_text("smell: 1\n")
    outcome = run("train", "m3", *words, "--model", model)
    assert outcome.code == 2
    assert message in outcome.err
    assert len(outcome.err.strip().splitlines()) == 1
    assert not Path("run").exists()


def test_there_must_be_a_run_to_go_on_with(run: Run) -> None:
    outcome = run("train", "resume", "nothing")
    assert outcome.code == 2
    assert "holds no run" in outcome.err


def test_help_names_the_options(run: Run) -> None:
    assert "resume" in run("train", "--help").out
    for option in ("--learning-rate", "--lora-rank", "--dev-share", "--split", "--dry-run"):
        assert option in run("train", "m3", "--help").out
