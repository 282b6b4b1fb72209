"""``trivec mteb``: its table, what failed, and the package that it wants."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from cli_runs import Run

from trivec.evaluate import mteb
from trivec.evaluate.mteb import TaskRun, TaskScore


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> dict[str, object]:
    """Stands for mteb's tasks, whose data lie on the hub: keeps what was asked, and tells three tasks."""
    asked: dict[str, object] = {}
    scores = [
        TaskScore("First", "Retrieval", "encoder", "ndcg_at_10", 0.5, {"test": {"default": 0.5}}),
        TaskScore("First", "Retrieval", "hybrid", "ndcg_at_10", 0.75, {"test": {"default": 0.75}}),
        TaskScore("Second", "Retrieval", "encoder", "ndcg_at_10", 0.25, {"test": {"default": 0.25}}),
        TaskScore("Third", "STS", "encoder", "cosine_spearman", 0.125, {"test": {"en": 0.125}}),
    ]

    def run_tasks(encoder: object, tasks: object, out: Path, systems: object, *more: object) -> TaskRun:
        asked.update(tasks=tasks, out=out, systems=systems)
        return TaskRun(scores, {("Second", "hybrid"): "no data"})

    monkeypatch.setattr(mteb, "run_tasks", run_tasks)
    return asked


def test_a_table_of_tasks_and_what_failed(run: Run, model: Path, measured: dict[str, object]) -> None:
    words = ["First", "Second", "Third", "--systems", "encoder", "hybrid", "--out", "results"]
    outcome = run("mteb", model, *words)
    assert outcome.code == 1
    assert outcome.err == "trivec: Second, hybrid: no data\n"
    assert [line.split() for line in outcome.out.splitlines()] == [
        ["task", "measure", "encoder", "hybrid"],
        ["First", "ndcg_at_10", "0.5000", "0.7500"],
        ["Second", "ndcg_at_10", "0.2500", "-"],
        ["mean", "of", "Retrieval", "0.3750", "-"],
        ["Third", "cosine_spearman", "0.1250", "-"],
    ]
    assert measured == {"tasks": ("First", "Second", "Third"), "out": Path("results"), "systems": ("encoder", "hybrid")}


def test_the_same_as_json(run: Run, model: Path, measured: dict[str, object]) -> None:
    found = run("mteb", model, "First", "--out", "results", "--json").json
    assert found["scores"][1]["subsets"] == {"test": {"default": 0.75}}
    assert found["failed"] == [{"task": "Second", "system": "hybrid", "why": "no data"}]
    assert measured["systems"] == ()


def test_the_package_is_named(run: Run, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mteb", None)
    outcome = run("mteb", model, "STS17", "--out", "results")
    assert (outcome.code, outcome.out) == (2, "")
    assert "trivec[mteb]" in outcome.err


def test_no_task(run: Run, model: Path) -> None:
    outcome = run("mteb", model, "--out", "results")
    assert outcome.code == 2
    assert len(outcome.err.splitlines()) == 1
