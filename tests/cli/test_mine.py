"""``trivec mine``."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from cli_runs import Run, write_jsonl

import tiny_vocabularies
import trivec
from trivec.data.mining import index, mining

import tiny_models


@pytest.fixture
def pairs(workplace: Path) -> Path:
    """Sixty examples of made-up words."""
    words = tiny_vocabularies.WORDS

    def text(number: int, length: int) -> str:
        return " ".join(words[(number * 7 + place * place) % len(words)] for place in range(length))

    rows = [{"query": text(n, 4), "pos": [f"{text(n, 9)} {n}"], "lang": "xx"} for n in range(60)]
    return write_jsonl(workplace / "pairs.jsonl", rows)


def rows_of(path: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in Path(path).read_text(encoding="utf-8").splitlines()]


def test_mines_and_says_what_was_dropped(run: Run, pairs: Path, model: Path) -> None:
    words = [pairs, "--out", "mined.jsonl", "--model", model, "--percent", 0, "--range", "1-30"]
    outcome = run("mine", *words, "--negatives", 5, "--audit", "audit.jsonl")
    assert outcome.code == 0
    assert "examples           60" in outcome.out and "dropped, dense" in outcome.out
    mined = rows_of("mined.jsonl")
    assert len(mined) == 60 and all(len(row["neg"]) == 5 and row["lang"] == "xx" for row in mined)
    assert {rank for row in mined for rank in row["neg_ranks"]} <= set(range(1, 30))
    assert len(rows_of("audit.jsonl")) == 60 * 30
    report = run("mine", *words, "--json").json
    assert report["examples"] == 60 and report["texts"] == 60 and report["median_left"] >= 28
    assert run("mine", *words, "--quiet").out == ""


def test_a_reranker_teaches(run: Run, pairs: Path, model: Path) -> None:
    reranker = tiny_models.write_tiny_reranker(Path("reranker"))
    words = ["--model", model, "--teacher", reranker, "--allow-few", "--quiet", "--out", "taught.jsonl"]
    assert run("mine", pairs, *words).code == 0
    judge = trivec.load_reranker(reranker)
    for row in rows_of("taught.jsonl"):
        assert row["pos_scores"] == pytest.approx(judge.score(row["query"], row["pos"]).tolist(), abs=1e-4)
        assert row["neg_scores"] == pytest.approx(judge.score(row["query"], row["neg"]).tolist(), abs=1e-4)
        assert row["teacher"].startswith("reranker ")


def test_every_option_reaches_mining(run: Run, pairs: Path, model: Path) -> None:
    words = ["mine", pairs, "--model", model, "--allow-few", "--quiet"]
    sources = "dense=50,bm25=25,random=25"
    few = ["--negatives", 8, "--percent", 0, "--index", "mixed"]
    assert run(*words, "--out", "a.jsonl", "--by", sources, *few).code == 0
    assert [len({*row["neg_source"]}) for row in rows_of("a.jsonl")] == [3] * 60
    run(*words, "--out", "top.jsonl", "--index", "other", "--sampling", "top", "--percent", 0, "--near-duplicate", 0)
    assert all(row["neg_ranks"] == sorted(row["neg_ranks"]) for row in rows_of("top.jsonl"))
    run(*words, "--out", "short.jsonl", "--index", "other", "--no-fill", "--below", -1)
    assert all(row["neg"] == [] for row in rows_of("short.jsonl"))
    run(*words, "--out", "taught.jsonl", "--index", "other", "--teacher", model, "--teacher-by", "dense", "--margin", 0)
    assert all(len(row["pos_scores"]) == 1 and "dense" in row["teacher"] for row in rows_of("taught.jsonl"))
    run(*words, "--out", "1.jsonl", "--index", "other", "--shard", "1/2")
    run(*words, "--out", "2.jsonl", "--index", "other", "--shard", "2/2")
    assert len(rows_of("1.jsonl")) + len(rows_of("2.jsonl")) == 60
    hybrid = ["--by", "hybrid", "--weights", "dense=1,bm25=0.5"]
    assert run(*words, "--out", "hybrid.jsonl", "--index", "mixed", *hybrid).code == 0
    assert {*rows_of("hybrid.jsonl")[0]["neg_source"]} <= {"hybrid", "random"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--range", "2:200"], "--range is '2:200': give it as 2-200"),
        (["--range", "9-3"], "hold no candidate"),
        (["--shard", "3/2"], "no shard 3 of 2"),
        (["--by", "dense=much"], "share of dense in --by is 'much'"),
        (["--by", "google"], "no source 'google'"),
        (["--by", "dense", "--weights", "dense=1"], "not among the sources"),
        (["--below", "-1"], "--allow-few"),
        (["--out", "mined.txt"], "no name for the result"),
        (["--corpus", "nowhere.jsonl"], "nowhere.jsonl"),
    ],
)
def test_what_cannot_be_done(words: list[str], message: str, run: Run, pairs: Path, model: Path) -> None:
    default = [] if "--out" in words else ["--out", "mined.jsonl"]
    outcome = run("mine", pairs, "--model", model, *default, *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert not Path("mined.jsonl").exists()


KILLED = """
import os, signal, sys
from trivec.cli import main
from trivec.data.mining import index, mining
from trivec.data.mining.work import WorkFolder

index._WINDOW, mining._WINDOW = 32, 16
add = WorkFolder.add

def add_and_die(self, number, *rest):
    add(self, number, *rest)
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)

WorkFolder.add = add_and_die
main(sys.argv[1:])
"""


def test_a_killed_run_goes_on_and_gives_the_same_bytes(
    run: Run, pairs: Path, model: Path, workplace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "_WINDOW", 32)
    monkeypatch.setattr(mining, "_WINDOW", 16)
    words = ["mine", str(pairs), "--model", str(model), "--range", "2-20", "--allow-few", "--quiet", "--out"]
    killed = subprocess.run([sys.executable, "-c", KILLED, *words, "killed.jsonl"], check=False)
    done = workplace / ".killed.jsonl.mining" / "part-00001.json"
    assert killed.returncode == -signal.SIGKILL and done.exists() and not Path("killed.jsonl").exists()
    assert run(*words, "whole.jsonl").code == 0
    assert done.exists()
    assert run(*words, "killed.jsonl").code == 0
    assert Path("killed.jsonl").read_bytes() == Path("whole.jsonl").read_bytes()
    assert not done.exists()
