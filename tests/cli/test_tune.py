"""``trivec tune``: what it finds is told, and stored where there is evidence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cli_runs import Run

import tiny_vocabularies
import trivec
from trivec.search.manifest import Manifest
from trivec.types import Document

WORDS = [word for word in tiny_vocabularies.WORDS if len(word) > 2]


@pytest.fixture
def questions(workplace: Path, model: Path) -> list[str]:
    """A library of forty documents, searched by dense vectors of an untrained model, and a query for each."""
    documents = [
        Document(f"d{number}", " ".join(WORDS[number + step] for step in (0, 3, 7, 11, 13)) + ".")
        for number in range(40)
    ]
    from trivec.search.options import SearchOptions

    with trivec.open(workplace / "library", model) as library:
        library.add(documents)
        library.configure(SearchOptions(mode="dense"))
    rows = [{"id": f"q{number}", "text": " ".join(document.text.rstrip(".").split()[1:4])}
            for number, document in enumerate(documents)]  # fmt: skip
    (workplace / "queries.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (workplace / "qrels.tsv").write_text("".join(f"q{number}\td{number}\t1\n" for number in range(40)))
    return ["--queries", "queries.jsonl", "--qrels", "qrels.tsv"]


def test_a_better_way_is_stored_with_its_evidence(run: Run, questions: list[str]) -> None:
    outcome = run("tune", "library", *questions, "--json")
    assert outcome.code == 0
    told = json.loads(outcome.out)
    assert told["stored"] and told["labels"] == "judged" and told["after"] > told["before"]
    manifest = Manifest.read(Path("library"))
    assert dict(manifest.search) == told["options"]
    assert manifest.tuning["change"]["p"] == told["change"]["p"]
    again = run("tune", "library", *questions)
    assert again.code == 0
    assert "not stored: no better than the present way beyond chance" in again.out
    assert run("search", "library", "water", "--mode", "dense", "--save").code == 0
    assert Manifest.read(Path("library")).tuning == {}


def test_pseudo_queries_store_nothing_unless_told(run: Run, questions: list[str]) -> None:
    before = Manifest.read(Path("library"))
    outcome = run("tune", "library", "--pseudo", "40")
    assert outcome.code == 0
    assert "pseudo queries, which favour lexical signals" in outcome.out
    assert "not stored, for pseudo queries are no users'" in outcome.out
    assert Manifest.read(Path("library")) == before
    assert run("tune", "library", "--pseudo", "40", "--keep", "--quiet").code == 0
    assert Manifest.read(Path("library")).tuning["labels"] == "pseudo"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "give --queries and --qrels, or --pseudo"),
        (["--queries", "queries.jsonl"], "give --queries and --qrels"),
        (["--queries", "queries.jsonl", "--qrels", "qrels.tsv", "--pseudo", "9"], "give --queries and --qrels"),
        (["--pseudo", "9"], "fewer than 30"),
        (["--queries", "missing", "--qrels", "qrels.tsv"], "there is no file missing"),
        (["--queries", "queries.jsonl", "--qrels", "missing"], "there is no file missing"),
    ],
)
def test_what_cannot_be_tuned(words: list[str], message: str, run: Run, questions: list[str]) -> None:
    outcome = run("tune", "library", *words)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err
