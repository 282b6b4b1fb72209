"""What ``trivec serve`` refuses before it serves, and the keys that it makes."""

from __future__ import annotations

from pathlib import Path

import pytest

import trivec
from trivec.cli import main
from trivec.serve.keys import ApiKeys
from trivec.serve.libraries import split_name
from trivec.serve.lifetime import open_service
from trivec.serve.options import ServeOptions


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["none"], "is no library"),
        (["none", "--no-page"], "is no library"),
        (["--model", "none-such"], "no model 'none-such'"),
        (["--host", "0.0.0.0"], "--public"),
        (["--port", "99999"], "port"),
        (["--max-texts", "0"], "texts must be above 0"),
        (["--keys", "none"], "--new-key"),
        (["--new-key", "two words"], "name"),
    ],
)
def test_what_is_refused(
    words: list[str], told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    port = [] if "--port" in words else ["--port", "0"]
    assert main(["serve", *words, *port]) == 2
    assert told in capsys.readouterr().err


def test_a_new_key_opens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "--new-key", "laptop"]) == 0
    shown = capsys.readouterr()
    (tmp_path / "keys").write_text(shown.out)
    key = next(word for word in shown.err.split() if word.startswith("tv-"))
    assert ApiKeys.read(tmp_path / "keys", {}).name_of(key) == "laptop"
    assert key not in shown.out


def test_names_of_libraries(tmp_path: Path) -> None:
    assert split_name("german=some/folder") == ("german", Path("some/folder"))
    assert split_name(f"{tmp_path}/a=b") == ("a=b", tmp_path / "a=b")
    assert split_name(str(tmp_path / "library")) == ("library", tmp_path / "library")


def test_libraries_share_their_model(library: trivec.Collection, tmp_path: Path, encoder: trivec.Encoder) -> None:
    library.close()
    trivec.open(tmp_path / "other", model=encoder).close()
    service = open_service([str(tmp_path / "library"), f"second={tmp_path / 'other'}"], [], [], ServeOptions())
    assert list(service.models.encoders) == ["m3"]
    assert [one.name for one in service.libraries] == ["library", "second"]
    with pytest.raises(trivec.TrivecError, match="NAME=FOLDER"):
        open_service([str(tmp_path / "library"), f"library={tmp_path / 'other'}"], [], [], ServeOptions())
    for one in service.libraries:
        one.close()
