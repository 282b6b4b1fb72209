"""``index`` and ``add``: what is made, what is told, and what stays when something goes wrong."""

from __future__ import annotations

import gzip
import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_runs import ROWS, Run, write_jsonl

import trivec
from trivec.search.manifest import FILE

SUMMARY = {"library", "model", "added", "updated", "unchanged", "passages", "skipped", "warnings", "seconds"}


def ids(library: Path) -> list[str]:
    with trivec.open(library, create=False) as collection:
        return [document.id for document in collection.documents()]


def typed(text: str) -> io.TextIOWrapper:
    """Standard input with this text."""
    return io.TextIOWrapper(io.BufferedReader(io.BytesIO(text.encode())))  # type: ignore[arg-type]


def test_index_makes_a_library(run: Run, source: Path, model: Path) -> None:
    outcome = run("index", source, "--out", "library", "--model", model)
    assert outcome.code == 0, outcome.err
    assert outcome.err == ""
    lines = dict(line.split("  ", 1) for line in outcome.out.splitlines())
    assert lines["documents added"].strip() == "4"
    assert lines["library"].strip() == "library"
    assert ids(Path("library")) == ["berlin", "paris", "tokyo", "water"]


def test_index_again_encodes_only_what_changed(run: Run, library: Path, workplace: Path) -> None:
    rows = [{**ROWS[0], "text": "Another text."}, *ROWS[1:], {"id": "new", "text": "new"}]
    source = write_jsonl(workplace / "docs.jsonl", rows)
    summary = run("index", source, "--out", library, "--json").json
    assert set(summary) == SUMMARY
    counts = {name: summary[name] for name in ("added", "updated", "unchanged", "passages", "skipped")}
    assert counts == {"added": 1, "updated": 1, "unchanged": 3, "passages": 2, "skipped": 0}


def test_quiet_prints_nothing_and_output_writes_a_file(run: Run, source: Path, model: Path) -> None:
    quiet = run("index", source, "--out", "library", "--model", model, "--quiet")
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")
    written = run("add", "library", source, "-o", "summary.json")
    assert (written.out, written.err) == ("", "")
    assert json.loads(Path("summary.json").read_text("utf-8"))["unchanged"] == 4


def test_reader_options_reach_the_readers(run: Run, workplace: Path, model: Path) -> None:
    (workplace / "shop.csv").write_bytes("key;name;about\n1;Café;Crème\n2;Tea;\n".encode("cp1252"))
    words = ["--id-field", "key", "--text-field", "name", "--text-fields", "about", "--delimiter", ";"]
    outcome = run("index", "shop.csv", "--out", "library", "--model", model, "--encoding", "cp1252", *words)
    assert outcome.code == 0, outcome.err
    with trivec.open("library") as collection:
        assert [(d.id, d.text) for d in collection.documents()] == [("1", "Café\n\nCrème"), ("2", "Tea")]


def test_a_tab_can_be_typed_as_a_delimiter(run: Run, workplace: Path, model: Path) -> None:
    (workplace / "rows.csv").write_text("id\ttext\n1\tone\n")
    assert run("index", "rows.csv", "--out", "library", "--model", model, "--delimiter", r"\t").code == 0
    assert ids(Path("library")) == ["1"]


def test_standard_input(run: Run, workplace: Path, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = '{"id": "a", "text": "one"}\n{"id": "b", "text": "two"}\n'
    monkeypatch.setattr(sys, "stdin", typed(lines))
    assert run("index", "-", "--out", "library", "--model", model).code == 0
    monkeypatch.setattr(sys, "stdin", typed("three\n"))
    assert run("add", "library", "-", "--json").json["added"] == 1
    assert ids(Path("library")) == ["a", "b", "stdin:1"]


def test_a_library_as_source_moves_to_another_model(run: Run, library: Path, tiny: Callable[[str], Path]) -> None:
    outcome = run("index", library, "--out", "moved", "--model", tiny("bert"), "--json")
    assert outcome.code == 0, outcome.err
    assert outcome.json["added"] == 4
    with trivec.open(library) as before, trivec.open("moved") as after:
        assert list(before.documents()) == list(after.documents())
        assert before.manifest.fingerprint.digest != after.manifest.fingerprint.digest


def test_several_sources_must_not_share_an_id(run: Run, workplace: Path, model: Path) -> None:
    write_jsonl(workplace / "one.jsonl", ROWS[:2])
    write_jsonl(workplace / "two.jsonl", ROWS[1:])
    outcome = run("index", "one.jsonl", "two.jsonl", "--out", "library", "--model", model)
    assert outcome.code == 2
    assert "the id 'berlin' is in one.jsonl and in two.jsonl" in outcome.err
    outcome = run("index", "one.jsonl", "two.jsonl", "--out", "library", "--skip-bad", "--json")
    assert outcome.code == 0
    assert outcome.json["skipped"] == 1
    assert ids(Path("library")) == ["berlin", "paris", "tokyo", "water"]


def test_a_broken_line_names_file_and_line_and_loses_nothing(run: Run, library: Path, workplace: Path) -> None:
    source = write_jsonl(workplace / "more.jsonl", [{"id": "good", "text": "x"}, '{"id": "bad", "te', ROWS[0]])
    outcome = run("add", library, source)
    assert outcome.code == 2
    assert outcome.out == ""
    assert "more.jsonl:2" in outcome.err
    assert "--skip-bad" in outcome.err
    assert "holds 5 documents" in outcome.err
    assert ids(library) == ["berlin", "good", "paris", "tokyo", "water"]
    outcome = run("add", library, source, "--skip-bad")
    assert outcome.code == 0
    assert "more.jsonl:2" in outcome.err
    assert "skipped            1" in outcome.out


def test_truncated_gzip(run: Run, workplace: Path, model: Path) -> None:
    data = gzip.compress("".join(f'{{"id": "{n}", "text": "text {n}"}}\n' for n in range(2000)).encode())
    (workplace / "docs.jsonl.gz").write_bytes(data[: len(data) // 2])
    outcome = run("index", "docs.jsonl.gz", "--out", "library", "--model", model)
    assert outcome.code == 2
    assert "docs.jsonl.gz:" in outcome.err
    assert "gzip data ends too early" in outcome.err
    assert len(ids(Path("library"))) > 100


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["nowhere"], "nowhere: cannot be read"),
        (["docs.xyz"], "unknown kind of file"),
        (["empty.jsonl"], "empty.jsonl: no documents"),
        (["docs.jsonl", "--model", "m3-smal"], "did you mean m3-small"),
        (["docs.jsonl", "--model", "m3-small"], "trivec models fetch m3-small"),
        (["docs.jsonl", "--encoding", "klingon"], "unknown encoding"),
        (["docs.jsonl", "--delimiter", "ab"], "one character"),
        (["docs.jsonl", "--suffix", ".doc"], "unknown suffix"),
    ],
)
def test_nothing_is_made_for_a_command_that_cannot_work(
    words: list[str], message: str, run: Run, source: Path, workplace: Path
) -> None:
    (workplace / "docs.xyz").write_text("x")
    (workplace / "empty.jsonl").write_text("")
    outcome = run("index", *words, "--out", "library")
    assert outcome.code == 2
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    assert message in outcome.err
    assert not Path("library").exists()


def test_places_where_no_library_can_be(run: Run, source: Path, library: Path, model: Path) -> None:
    for place, message in {
        "docs.jsonl/library": "cannot be made",
        "docs.jsonl": "is no library",
        ".": "is no library",
    }.items():
        outcome = run("index", source, "--out", place, "--model", model)
        assert outcome.code == 2
        assert message in outcome.err
    outcome = run("index", library, "--out", library)
    assert outcome.code == 2
    assert "cannot be read into itself" in outcome.err


def test_a_library_of_another_model(run: Run, library: Path, source: Path, tiny: Callable[[str], Path]) -> None:
    outcome = run("index", source, "--out", library, "--model", tiny("bert"))
    assert outcome.code == 2
    assert "was made with" in outcome.err
    assert f"trivec index {library} --model" in outcome.err
    assert len(ids(library)) == 4


def test_add_needs_a_library(run: Run, source: Path) -> None:
    outcome = run("add", "nowhere", source)
    assert outcome.code == 2
    assert "trivec index" in outcome.err
    assert not Path("nowhere").exists()


def test_a_library_of_a_newer_trivec(run: Run, library: Path, source: Path) -> None:
    content = json.loads((library / FILE).read_text("utf-8"))
    (library / FILE).write_text(json.dumps(content | {"format": 99}))
    for words in (["add", library, source], ["info", library], ["search", library, "q"], ["delete", library, "--id=a"]):
        outcome = run(*words)
        assert outcome.code == 2
        assert "newer trivec (format 99" in outcome.err


def test_a_first_stage_is_for_new_libraries(run: Run, source: Path, model: Path) -> None:
    command = ("index", source, "--out", "library", "--first-stage")
    assert run(*command, "fixed-encoding", "--model", model).code == 0
    with trivec.open("library", create=False) as library:
        assert library.store.capabilities.multi_first_stage
        assert library.search("capital of France", mode="multi", k=1)
    assert run(*command, "fixed-encoding").code == 0
    outcome = run(*command, "exact")
    assert outcome.code != 0 and "has the first stage 'fixed-encoding'" in outcome.err
