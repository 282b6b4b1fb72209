"""``search``: hits for people and programs, options, saved options, and what is refused."""

from __future__ import annotations

import io
import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_runs import Run, write_jsonl

import trivec
from trivec.search.manifest import FILE

import tiny_models

HIT = {"rank", "score", "id", "title", "text", "metadata", "passage", "signals", "contributions"}
EXPLANATION = {"query", "document_id", "score", "signals", "words", "alignments"}


def pipe(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))


def test_json_is_what_the_library_finds(run: Run, library: Path) -> None:
    outcome = run("search", library, "the capital city", "-k", 3, "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    result = outcome.json
    with trivec.open(library) as collection:
        expected = [hit.to_dict() for hit in collection.search("the capital city", k=3)]
    assert result == {"query": "the capital city", "hits": expected}
    assert set(result["hits"][0]) == HIT


def test_json_with_explanations(run: Run, library: Path) -> None:
    (hit,) = run("search", library, "capital", "-k", 1, "--json", "--explain").json["hits"]
    assert set(hit) == HIT | {"explanation"}
    assert set(hit["explanation"]) == EXPLANATION
    assert hit["explanation"]["document_id"] == hit["id"]


def test_lines_for_people(run: Run, library: Path) -> None:
    outcome = run("search", library, "capital of France", "--where", 'lang = "en"', "-k", 9, "--mode", "bm25")
    assert outcome.code == 0
    first = outcome.out.splitlines()[:3]
    assert first[0].startswith(" 1 ")
    assert first[0].endswith("Paris  paris  [en]")
    assert first[1] == "   Paris is the capital city of France."
    assert first[2].startswith("   bm25 ")
    assert "Berlin" not in outcome.out
    assert "█" not in outcome.out


def test_an_explanation_for_people(run: Run, library: Path) -> None:
    out = run("search", library, "capital of France", "-k", 1, "--explain", "--where", "year = 2001").out
    assert "█" in out
    assert "words  " in out
    assert "capital" in out
    assert "tokens " in out
    assert " → " in out


def test_a_search_without_hits_is_no_error(run: Run, library: Path) -> None:
    outcome = run("search", library, "q", "--where", 'lang = "xx"')
    assert (outcome.code, outcome.out, outcome.err) == (0, "", "trivec: nothing found\n")
    assert run("search", library, "q", "--where", 'lang = "xx"', "--json").json["hits"] == []


def test_queries_of_standard_input(run: Run, library: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(monkeypatch, "\ufeffcapital\n\n  首都 \n".encode())
    lines = run("search", library, "-", "-k", 2, "--json").out.splitlines()
    assert [json.loads(line)["query"] for line in lines] == ["capital", "首都"]
    pipe(monkeypatch, b"capital\nwater")
    people = run("search", library, "-", "-k", 1).out
    assert people.startswith("# capital\n 1 ")
    assert "# water\n 1 " in people
    pipe(monkeypatch, b"capital\nwater")
    assert run("search", library, "-", "-k", 1, "-o", "hits.jsonl").out == ""
    assert len(Path("hits.jsonl").read_text("utf-8").splitlines()) == 2


@pytest.mark.parametrize(
    ("data", "message"),
    [(b"", "no query"), (b"\n  \n", "no query"), (b"fine\n\xff\n", "stdin:2: not utf-8")],
)
def test_standard_input_without_a_usable_query(
    data: bytes, message: str, run: Run, library: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe(monkeypatch, data)
    outcome = run("search", library, "-", "-o", "hits.jsonl")
    assert outcome.code == 2
    assert message in outcome.err
    assert not Path("hits.jsonl").exists()


def test_ranking_options_are_used_and_saved(run: Run, library: Path) -> None:
    words = ["--weights", "dense=1, sparse=0.3", "--fusion", "rrf", "--candidates", 50, "--shortlist", 5]
    saved = run("search", library, "capital", *words, "--save", "--json")
    assert saved.code == 0
    assert "now searches by mode hybrid, rrf" in saved.err
    assert set(saved.json["hits"][0]["contributions"]) == {"dense", "sparse"}
    assert run("search", library, "capital", "--json").json == saved.json
    assert "fusion rrf; weights dense=1, sparse=0.3; candidates 50; shortlist 5" in run("info", library).out
    by_one = run("search", library, "capital", "--mode", "dense", "--json").json["hits"][0]
    assert by_one["score"] == by_one["signals"]["dense"]


def test_a_reranker_puts_hits_in_its_order(run: Run, library: Path, workplace: Path) -> None:
    tiny_models.write_tiny_reranker(workplace / "reranker")
    hits = run("search", library, "capital city", "--rerank", "reranker", "--depth", 3, "-k", 3, "--json").json["hits"]
    assert [hit["score"] for hit in hits] == sorted((hit["reranking"]["score"] for hit in hits), reverse=True)
    assert sorted(hit["reranking"]["first_rank"] for hit in hits) == [1, 2, 3]
    saved = run("search", library, "capital city", "--rerank", "reranker", "--save")
    assert "now searches by mode hybrid, weighted-sum, the first 100 reranked by reranker" in saved.err
    assert "(was 1.)" in run("search", library, "capital city").out
    assert "reranking" not in run("search", library, "capital city", "--rerank", "", "--json").json["hits"][0]


def test_passages_lists_every_passage(run: Run, workplace: Path, model: Path) -> None:
    rows = [{"id": "long", "text": "water and night. " * 400}, {"id": "short", "text": "water"}]
    source = write_jsonl(workplace / "long.jsonl", rows)
    assert run("index", source, "--out", "library", "--model", model).code == 0
    documents = run("search", "library", "water", "--json").json["hits"]
    passages = run("search", "library", "water", "--json", "--passages").json["hits"]
    assert sorted(hit["id"] for hit in documents) == ["long", "short"]
    assert len(passages) == sum(hit["passage"]["count"] for hit in documents) > 2
    assert "long (1/" in run("search", "library", "water", "--passages").out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["q", "--where", "lang = "], "filter"),
        (["q", "--where", 'lang ~ "de"'], "filter"),
        (["q", "--weights", "dense"], "--weights"),
        (["q", "--weights", "dense=much"], "'much'"),
        (["q", "--weights", "smell=1"], "dense, sparse, bm25, multi"),
        (["q", "--weights", "dense=1,dense=2"], "twice"),
        (["q", "--weights", "dense=-1"], "0 or more"),
        (["q", "--weights", "dense=0"], "all weights are 0"),
        (["q", "--weights", "dense=1", "--mode", "dense"], "mode hybrid"),
        (["q", "--fusion", "rrf", "--mode", "bm25"], "mode hybrid"),
        (["q", "--fusion", "magic"], "'magic'"),
        (["q", "--mode", "best"], '"best"'),
        (["q", "-k", "0"], "at least 1"),
        (["q", "--shortlist", "0"], "shortlist"),
        (["q", "--candidates", "-5"], "candidates"),
        (["q", "--rerank", "nowhere"], "there is no model 'nowhere'"),
        (["q", "--depth", "5"], "are for a reranker: name one by --rerank"),
        (["q", "--first-stage", "5"], "are for a reranker: name one by --rerank"),
        (["q", "--rerank", "nowhere", "--first-stage", "-1"], "first_stage must be a weight of at least 0, got -1"),
        (["", "--json"], "blank"),
        ([" \n "], "blank"),
    ],
)
def test_what_cannot_be_searched(words: list[str], message: str, run: Run, library: Path) -> None:
    before = (library / FILE).read_bytes()
    outcome = run("search", library, *words, "--save")
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.startswith("trivec: ")
    assert message in outcome.err
    assert (library / FILE).read_bytes() == before


def test_what_is_no_library(run: Run, workplace: Path) -> None:
    (workplace / "folder").mkdir()
    for place in ("nowhere", "folder"):
        outcome = run("search", place, "q")
        assert outcome.code == 2
        assert f"{place} is no library" in outcome.err
    assert not Path("nowhere").exists()


def test_a_model_that_is_gone_or_changed(run: Run, library: Path, tiny: Callable[[str], Path]) -> None:
    content = json.loads((library / FILE).read_text("utf-8"))
    (library / FILE).write_text(json.dumps(content | {"model": {"model": "m3-small"}}))
    assert "trivec models fetch m3-small" in run("search", library, "q").err
    (library / FILE).write_text(json.dumps(content | {"model": {"model": str(tiny("bert"))}}))
    outcome = run("search", library, "q")
    assert outcome.code == 2
    assert "was made with" in outcome.err


def test_queries_that_begin_with_a_hyphen(run: Run, library: Path) -> None:
    assert run("search", library, "-5 degrees", "--json").json["query"] == "-5 degrees"
    assert run("search", library, " --json", "--json").json["query"] == " --json"


def test_control_characters_do_not_reach_the_terminal(run: Run, workplace: Path, model: Path) -> None:
    rows = [{"id": "a\x1b[2Jb", "title": "t\x1b]0;x\x07", "text": "one\x1b[31m\r\ntwo\u202e"}]
    source = write_jsonl(workplace / "odd.jsonl", rows)
    assert run("index", source, "--out", "library", "--model", model).code == 0
    out = run("search", "library", "two", "--explain").out
    assert not {"\x1b", "\r", "\x07", "\u202e"} & set(out)
    assert run("search", "library", "two", "--json").json["hits"][0]["text"] == rows[0]["text"]


def test_an_argument_that_is_no_utf8(run: Run, library: Path) -> None:
    query = os.fsdecode(b"capital \xff")
    assert run("search", library, query, "--json").code == 0
