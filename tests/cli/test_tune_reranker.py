"""``trivec tune --rerank``: what it finds is used by ``rerank``, ``search`` and ``eval`` without being named again."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from cli_runs import Run, write_jsonl

import tiny_vocabularies
import trivec
from trivec.evaluate.reranked_sets import SecondOrder
from trivec.search.manifest import Manifest
from trivec.types import Document

WORDS = [word for word in tiny_vocabularies.WORDS if len(word) > 2]


@pytest.fixture
def questions(workplace: Path, model: Path) -> list[str]:
    """A library of forty documents, a query for each, and an encoder that reranks by MaxSim."""
    shutil.copytree(model, workplace / "reranker")
    documents = [
        Document(f"d{number}", " ".join(WORDS[number + step] for step in (0, 3, 7, 11, 13)) + ".")
        for number in range(40)
    ]
    with trivec.open(workplace / "library", model) as library:
        library.add(documents)
    rows = [{"id": f"q{number}", "text": " ".join(document.text.rstrip(".").split()[1:4])}
            for number, document in enumerate(documents)]  # fmt: skip
    write_jsonl(workplace / "queries.jsonl", rows)
    (workplace / "qrels.tsv").write_text("".join(f"q{number}\td{number}\t1\n" for number in range(40)))
    return ["--queries", "queries.jsonl", "--qrels", "qrels.tsv"]


def test_a_calibration_is_found_again(run: Run, questions: list[str], workplace: Path) -> None:
    groups = write_jsonl(workplace / "groups.jsonl", [{"query": "water", "documents": ["water", "night"]}])
    before = run("rerank", groups, "--model", "reranker", "--json").json
    assert "%" not in run("rerank", groups, "--model", "reranker").out
    outcome = run("tune", "library", *questions, "--rerank", "reranker", "--depth", 20, "--json")
    assert outcome.code == 0
    told = outcome.json
    assert (told["queries"], told["depth"]) == (40, 20)
    calibration = told["calibration"]
    assert calibration["method"] == "platt" and calibration["pairs"] == 800
    for name in ("log_loss", "brier", "calibration_error"):
        assert calibration["after"][name] < calibration["before"][name]
    assert told["unjudged"] == 800 - calibration["right"]
    assert f"{told['unjudged']} of 800 documents that were read are not judged and count as wrong" in outcome.err
    path = Path(calibration["stored"])
    assert path.parent == Path("reranker")
    kept = json.loads(path.read_text())
    assert kept["evidence"]["queries"] == 40 and kept["evidence"]["after"] == calibration["after"]
    after = run("rerank", groups, "--model", "reranker", "--json").json
    reranker = trivec.load_reranker("reranker")
    assert reranker.calibration is not None and list(reranker.calibration.at) == kept["at"]
    assert after["scores"] == before["scores"] and after["probabilities"] != before["probabilities"]
    assert after["probabilities"] == pytest.approx([float(reranker.calibration(one)) for one in after["scores"]])
    assert run("rerank", groups, "--model", "reranker").out.count("%") == 2
    assert "probabilities by platt" in run("eval", "library", *questions, "--rerank", "reranker").out
    again = run("tune", "library", *questions, "--rerank", "reranker", "--depth", 20)
    assert "not stored: probabilities are no better than the present ones beyond chance" in again.out


def test_a_weight_is_kept_with_the_library(run: Run, questions: list[str]) -> None:
    words = ["--rerank", "reranker", "--depth", 20]
    outcome = run("tune", "library", *questions, *words, "--keep", "--json")
    assert outcome.code == 0
    told = outcome.json["first_stage"]
    assert told["stored"] and told["winner"] in ("reranker", "first stage", "mix")
    (kept,) = Manifest.read(Path("library")).rerankers.values()
    assert (kept["depth"], kept["first_stage"], kept["tuning"]["queries"]) == (20, told["weight"], 40)
    shown = {kept["name"]: {"depth": 20, "first_stage": told["weight"]}}
    assert run("info", "library", "--json").json["rerankers"] == shown
    assert f"{kept['name']} (depth 20, first stage {told['weight']:g})" in run("info", "library").out
    assert kept["tuning"]["change"]["p"] == told["change"]["p"]
    assert Manifest.read(Path("library")).search == run("info", "library", "--json").json["search"]

    def scores(*more: object) -> list[float]:
        hits = run("search", "library", "water", "--rerank", "reranker", *more, "--json").json["hits"]
        return [hit["score"] for hit in hits]

    assert scores() == scores("--depth", 20, "--first-stage", told["weight"])
    assert scores("--first-stage", 3) != scores()
    assert str(SecondOrder(20, told["weight"])) in run("eval", "library", *questions, "--rerank", "reranker").out
    assert run("search", "library", "x", "--weights", "dense=1", "--save").code == 0
    assert Manifest.read(Path("library")).rerankers  # another way of searching does not forget it


def test_people_are_told(run: Run, questions: list[str]) -> None:
    outcome = run("tune", "library", *questions, "--rerank", "reranker", "--calibration", "platt")
    assert outcome.code == 0
    for line in ("pairs ", "log loss ", "Brier score ", "calibration error ", "first stage alone ", "reranker alone "):
        assert any(own.startswith(line) for own in outcome.out.splitlines()), line
    assert "wins" in outcome.out.splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--depth", 20], "--depth and --calibration are for a reranker: name one by --rerank"),
        (["--calibration", "platt"], "--depth and --calibration are for a reranker: name one by --rerank"),
        (["--rerank", ""], "--rerank is empty"),
        (["--rerank", "nowhere"], "there is no model 'nowhere'"),
        (["--rerank", "library"], "library"),
        (["--rerank", "reranker", "--depth", 9], "depth must be at least 10"),
        (["--rerank", "reranker", "--calibration", "isotonic"], "isotonic calibration needs 200 of each"),
        (["--rerank", "reranker", "--pseudo", 40], "--pseudo draws queries that nobody has judged"),
    ],
)
def test_what_cannot_be_tuned(words: list[object], message: str, run: Run, questions: list[str]) -> None:
    before = Manifest.read(Path("library"))
    outcome = run("tune", "library", *questions, *words)
    assert (outcome.code, outcome.out) == (2, "")
    assert message in outcome.err
    assert Manifest.read(Path("library")) == before
    assert not list(Path("reranker").glob("calibration*"))


def test_judgements_of_one_kind_are_refused(run: Run, questions: list[str], workplace: Path) -> None:
    everything = (f"q{query}\td{document}\t1\n" for query in range(40) for document in range(40))
    (workplace / "qrels.tsv").write_text("".join(everything))
    outcome = run("tune", "library", *questions, "--rerank", "reranker")
    assert (outcome.code, outcome.out) == (2, "")
    assert "of 1600 pairs 1600 are right, which leaves 0 right or wrong ones" in outcome.err
    few = [json.dumps({"id": f"q{number}", "text": "water"}) for number in range(12)]
    write_jsonl(workplace / "queries.jsonl", few)
    assert "12 of 12 queries have an answer" in run("tune", "library", *questions, "--rerank", "reranker").err
