"""Help and version: quick, complete, and without anything heavy."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from cli_runs import Run

import trivec
from trivec.cli import VERBS

HEAVY = {
    "bs4", "cyclopts", "huggingface_hub", "numpy", "onnx", "onnxruntime", "pyarrow", "pypdf", "qdrant_edge", "rich",
    "safetensors", "scipy", "sentencepiece", "tokenizers", "torch", "tqdm", "transformers",
}  # fmt: skip
HEAVY_FOR_A_VERB = HEAVY - {"cyclopts", "rich"}


def imported(*words: str) -> set[str]:
    """Top-level modules that a command imports."""
    program = (
        "import sys; from trivec.cli import main; code = main(sys.argv[1:]); "
        "print(*{name.partition('.')[0] for name in sys.modules}, file=sys.stderr); sys.exit(code)"
    )
    result = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, check=True)
    return set(result.stderr.split())


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["--version"]])
def test_help_imports_nothing_but_the_standard_library(words: list[str]) -> None:
    assert imported(*words) & HEAVY == set()


@pytest.mark.parametrize("verb", [verb.name for verb in VERBS])
def test_the_help_of_a_verb_imports_no_model_or_store(verb: str) -> None:
    assert imported(verb, "--help") & HEAVY_FOR_A_VERB == set()


def test_help_names_every_verb(run: Run) -> None:
    outcome = run("--help")
    assert outcome.code == 0
    assert outcome.err == ""
    for verb in VERBS:
        assert f"  {verb.name} " in outcome.out
        assert verb.help in outcome.out


@pytest.mark.parametrize("verb", VERBS, ids=lambda verb: verb.name)
def test_a_verb_is_where_the_table_says_and_shows_an_example(verb: object, run: Run) -> None:
    place, name, text = verb.place, verb.name, verb.help  # type: ignore[attr-defined]
    module, attribute = place.split(":")
    assert hasattr(importlib.import_module(module), attribute)
    outcome = run(name, "--help")
    assert outcome.code == 0
    assert f"trivec {name}" in outcome.out
    assert "For example:" in outcome.out
    assert run("help", name).out == outcome.out
    if name != "search":
        assert text in outcome.out


def test_version(run: Run) -> None:
    assert run("--version").out == f"trivec {trivec.__version__}\n"


def test_the_installed_command_is_main() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8"))["project"]
    assert project["scripts"] == {"trivec": "trivec.cli:program"}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["serch"], "Did you mean"),
        (["--bogus"], "--bogus"),
        (["search"], "trivec search --help"),
        (["search", "library"], "QUERY"),
        (["search", "library", "q", "--mode", "best"], '"best"'),
        (["search", "library", "q", "-k", "many"], '"many"'),
        (["search", "library", "--bogus"], "unknown option --bogus"),
        (["info", "library", "--bogus"], "--bogus"),
        (["index", "--bogus", "docs", "--out", "library"], "unknown option --bogus"),
        (["index", "docs"], "--out"),
        (["models", "steal"], "steal"),
    ],
)
def test_wrong_words_are_one_line_and_code_2(words: list[str], message: str, run: Run) -> None:
    outcome = run(*words)
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("trivec: ")
    assert outcome.err.count("\n") == 1
    assert message in outcome.err
    assert "--help" in outcome.err
