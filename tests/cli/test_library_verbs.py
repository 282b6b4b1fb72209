"""``delete`` and ``info``."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_runs import Run

import trivec

INFO = {
    "path", "model", "fingerprint", "store", "signals", "documents", "passages", "bytes", "languages", "search",
    "rerankers",
}  # fmt: skip


def test_delete_by_id_and_by_filter(run: Run, library: Path) -> None:
    outcome = run("delete", library, "--id", "paris", "--id", "nobody", "--json")
    assert outcome.json == {"library": "library", "deleted": 1}
    assert run("delete", library, "--where", 'lang = "de" or year < 2000').out == "documents deleted  2\n"
    with trivec.open(library) as collection:
        assert [document.id for document in collection.documents()] == ["water"]
    assert run("delete", library, "--id", "paris", "--quiet").out == ""


@pytest.mark.parametrize(
    ("words", "message"),
    [([], "nothing to delete"), (["--where", " "], "nothing to delete"), (["--where", "lang = = 3"], "filter")],
)
def test_what_cannot_be_deleted(words: list[str], message: str, run: Run, library: Path) -> None:
    outcome = run("delete", library, *words)
    assert outcome.code == 2
    assert message in outcome.err
    assert run("info", library, "--json").json["documents"] == 4


def test_info(run: Run, library: Path) -> None:
    info = run("info", library, "--json").json
    assert set(info) == INFO
    assert (info["documents"], info["passages"]) == (4, 4)
    assert info["languages"] == {"en": 2, "de": 1, "ja": 1}
    assert info["signals"] == ["dense", "sparse", "bm25", "multi"]
    lines = run("info", library).out.splitlines()
    assert "documents    4" in lines
    assert "languages    en 2, de 1, ja 1" in lines


@pytest.mark.parametrize("verb", ["info", "delete"])
def test_what_is_no_library(verb: str, run: Run, workplace: Path) -> None:
    outcome = run(verb, workplace, *(["--id", "x"] if verb == "delete" else []))
    assert outcome.code == 2
    assert "is no library" in outcome.err
