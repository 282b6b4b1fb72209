"""``trivec compress``."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import Run

import trivec


def test_a_smaller_library_says_what_it_cost(run: Run, library: Path) -> None:
    outcome = run("compress", library, "--to", "int8", "--tokens", "int4", "--sample", 3, "--json")
    assert outcome.code == 0
    assert outcome.json["kept"] and outcome.json["queries"] == 3
    assert 0 <= outcome.json["losses"]["hybrid"]["overlap"] <= 1
    told = run("compress", library, "--pool-tokens", "2").out
    assert "of the best ten kept" in told and "own document found" in told
    with trivec.open(library) as collection:
        assert collection.compression.pool_tokens == 2
        assert len(collection) == 4
    assert run("search", library, "water").code == 0


def test_given_queries(run: Run, library: Path, workplace: Path) -> None:
    (workplace / "queries.txt").write_text("capital\n\nriver and night\n")
    outcome = run("compress", library, "--dimensions", "1", "--max-loss", "0", "--queries", "queries.txt")
    assert "queries  2" in outcome.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "nothing to do"),
        (["--to", "int8", "--queries", "none.txt"], "no file none.txt"),
        (["--to", "int8", "--queries", "empty.txt"], "no queries"),
        (["--dimensions", "1000"], "cannot keep 1000"),
        (["--pool-tokens", "0"], "pool_tokens must be at least 1"),
        (["--to", "int3"], "int3"),
    ],
)
def test_what_cannot_be_done(words: list[str], message: str, run: Run, library: Path, workplace: Path) -> None:
    (workplace / "empty.txt").write_text("\n")
    outcome = run("compress", library, *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert run("info", library, "--json").json["documents"] == 4
