"""Runs beside each other, and the command that does it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from trivec.cli import main
from trivec.errors import InputError
from trivec.evaluate.comparison import compare_runs
from trivec.evaluate.runs import Run, write_run

RELEVANCE = {f"q{number}": {"right": 1} for number in range(20)} | {"nothing": {"right": 0}}


def run(name: str, ranks: list[int]) -> Run:
    """The right document of query i stands on ``ranks[i]``."""
    found = {}
    for number, rank in enumerate(ranks):
        order = [f"wrong{place}" for place in range(9)]
        order.insert(rank - 1, "right")
        found[f"q{number}"] = {document: 1.0 - place / 10 for place, document in enumerate(order)}
    return Run(name, found)


WEAK, STRONG = run("weak", [2] * 20), run("strong", [1] * 18 + [4, 3])


def test_a_better_system_is_told_with_its_wins_and_losses() -> None:
    compared = compare_runs([WEAK, STRONG, run("half", [1] * 10)], RELEVANCE, ["RR@10", "R@1"])
    assert (compared.baseline, compared.queries, compared.without_relevant) == ("weak", 20, 1)
    assert compared.means == {"RR@10": 0.5, "R@1": 0.0}
    assert compared.unanswered == {"weak": 0, "strong": 0, "half": 10}
    strong = compared.comparisons[0]
    assert (strong.system, strong.measure, strong.wins, strong.losses) == ("strong", "RR@10", 18, 2)
    assert strong.mean == pytest.approx((18 + 1 / 4 + 1 / 3) / 20)
    assert strong.difference == pytest.approx(strong.mean - 0.5)
    assert strong.p < 0.001
    assert strong.p_corrected == pytest.approx(3 * strong.p, rel=0.5)
    assert [change.query for change in strong.worst] == ["q18", "q19"]
    assert [change.first for change in strong.best] == [0.5] * 5
    half = compared.comparisons[2]
    assert (half.system, half.wins, half.losses, half.difference, half.p) == ("half", 10, 10, 0.0, 1.0)


@pytest.mark.parametrize("runs", [[], [WEAK], [WEAK, WEAK]])
def test_too_few_runs_are_refused(runs: list[Run]) -> None:
    with pytest.raises(InputError, match="give at least two, with different names"):
        compare_runs(runs, RELEVANCE)


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    for one in (WEAK, STRONG):
        write_run(one, tmp_path / f"{one.name}.run")
    judged = [(query, document, grade) for query, grades in RELEVANCE.items() for document, grade in grades.items()]
    lines = ["query-id\tcorpus-id\tscore", *(f"{query}\t{document}\t{grade}" for query, document, grade in judged)]
    (tmp_path / "qrels.tsv").write_text("\n".join(lines))
    return [str(tmp_path / "weak.run"), str(tmp_path / "strong.run"), "--qrels", str(tmp_path / "qrels.tsv")]


def test_the_command_prints_a_table(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *files, "--measure", "rr@10", "P@1"]) == 0
    told = capsys.readouterr()
    assert "1 queries have no relevant document and are left out" in told.err
    lines = told.out.splitlines()
    assert lines[0].split() == [
        "system",
        "measure",
        "mean",
        "difference",
        "95",
        "%",
        "interval",
        "p",
        "better",
        "/",
        "worse",
    ]
    assert lines[1].split() == ["weak", "RR@10", "0.5000"]
    assert lines[3].split()[:4] == ["strong", "RR@10", "0.9292", "+0.4292"]
    assert "strong loses most by RR@10" in told.out
    assert "  q18  0.5000 to 0.2500" in told.out


def test_the_command_gives_json(files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *files, "--json", "--quiet", "--show", "0"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["comparisons"][0]["best"] == []
    assert result["means"]["nDCG@10"] == pytest.approx(0.6309, abs=5e-5)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (["--measure", "nonsense"], "there is no measure 'nonsense'"),
        (["--show", "-1"], "--show is -1"),
        (["--qrels", "missing.tsv"], "there is no file missing.tsv"),
    ],
)
def test_bad_input_is_told(more: list[str], message: str, files: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    words = files[:2] if more[0] == "--qrels" else files
    assert main(["compare", *words, *more]) == 2
    assert message in capsys.readouterr().err
