"""The examples run: on a tiny model everywhere, and on the real one where it is."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import trivec

EXAMPLES = Path(__file__).parent.parent / "examples"
SCRIPTS = ["encode_and_score", "search_in_python", "custom_store", "train_plain_loop"]


def run(script: str, *words: object, cwd: Path) -> str:
    command = [sys.executable, str(EXAMPLES / f"{script}.py"), *map(str, words)]
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    result = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=cwd, env=environment, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stderr == ""
    return result.stdout


def test_every_example_is_run() -> None:
    assert {path.stem for path in EXAMPLES.glob("*.py")} == {*SCRIPTS, "demo"}


@pytest.mark.parametrize("script", SCRIPTS)
def test_on_a_tiny_model(script: str, tiny: Callable[[str], Path], tmp_path: Path) -> None:
    assert run(script, tiny("m3"), cwd=tmp_path).strip()
    assert not any(tmp_path.iterdir())


@pytest.mark.model
def test_encode_and_score(m3_small: trivec.Encoder, tmp_path: Path) -> None:
    lines = run("encode_and_score", cwd=tmp_path).splitlines()
    assert any(line.startswith("How do plants make sugar?  ->  Grüne Pflanzen") for line in lines)
    assert any(line.startswith("Wie hoch ist der Kilimandscharo?  ->  Kilimanjaro") for line in lines)


@pytest.mark.model
def test_search_in_python(m3_small: trivec.Encoder, tmp_path: Path) -> None:
    printed = run("search_in_python", cwd=tmp_path)
    assert "AddReport(added=0, updated=0, unchanged=4, passages=0)" in printed
    assert "\n1. zucker" in printed
    assert "2 documents deleted, 2 left" in printed


@pytest.mark.model
def test_custom_store(m3_small: trivec.Encoder, tmp_path: Path) -> None:
    printed = run("custom_store", cwd=tmp_path)
    assert printed.startswith("1. zucker")
    assert "score by multi     1 x" in printed


@pytest.mark.model
@pytest.mark.slow
def test_demo(m3_small_reranker: trivec.Reranker, tmp_path: Path) -> None:
    printed = run("demo", "library", cwd=tmp_path)
    assert "174 articles in 25 languages (174 new)" in printed
    assert f"reranked: {m3_small_reranker.name} has read the first 20 hits" in printed
    assert [path.name for path in tmp_path.iterdir()] == ["library"]
