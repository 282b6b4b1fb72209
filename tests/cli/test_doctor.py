"""``doctor``, and how it reads what an installation wants."""

from __future__ import annotations

import re

import pytest
from cli_runs import Run

from trivec.cache import model_folder
from trivec.cli import checks, packages
from trivec.cli.packages import Package, fits, remedy, wanted_packages


def test_all_is_fine_here(run: Run) -> None:
    result = run("doctor", "--json")
    assert result.code == 0, result.out
    report = result.json
    assert set(report) == {"fine", "machine", "packages", "checks", "models"}
    assert report["fine"] is True
    assert {check["name"]: check["fine"] for check in report["checks"]} == {"store": True, "onnxruntime": True}
    assert report["models"] == {"default": "m3-small", "default_is_here": False, "cached": []}
    assert "numpy" in {package["name"] for package in report["packages"] if not package["extra"]}
    assert "torch" in {package["name"] for package in report["packages"] if package["extra"] == "torch"}


def test_lines_for_people(run: Run) -> None:
    (model_folder("m3-small")).mkdir(parents=True)
    (model_folder("m3-small") / "weights").write_bytes(b"x" * 2000)
    out = run("doctor").out
    assert "m3-small (2.0 kB)" in out
    assert out.endswith("all fine\n")
    model_folder("m3-small").rename(model_folder("other"))
    assert "m3-small is not here: trivec models fetch m3-small" in run("doctor").out


def test_something_essential_is_missing(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    here = packages.installed_version
    monkeypatch.setattr(packages, "installed_version", lambda name: None if name == "scipy" else here(name))
    outcome = run("doctor")
    assert outcome.code == 2
    assert "pip install --upgrade 'scipy>=" in outcome.out


def test_an_extra_that_is_missing_is_no_fault(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    here = packages.installed_version
    monkeypatch.setattr(packages, "installed_version", lambda name: None if name == "pypdf" else here(name))
    outcome = run("doctor")
    assert outcome.code == 0
    assert re.search(r"pip install 'trivec\[[a-z,]*docs[a-z,]*\]'", outcome.out)


def test_a_check_that_fails_is_told(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str:
        raise RuntimeError("no disk")

    monkeypatch.setattr(checks, "try_store", broken)
    outcome = run("doctor")
    assert outcome.code == 2
    assert "FAILED: RuntimeError: no disk" in outcome.out


@pytest.mark.parametrize(
    ("version", "wanted", "expected"),
    [
        ("2.0", "", True),
        ("2.0.0", ">=2.0", True),
        ("1.9.9", ">=2.0", False),
        ("2.13.0+cpu", ">=2.6", True),
        ("0.9.1", "<0.10,>=0.9", True),
        ("0.10.0", "<0.10,>=0.9", False),
        ("1.0", "==1.0.0", True),
        ("3.0rc1", ">3", False),
    ],
)
def test_versions(version: str, wanted: str, expected: bool) -> None:
    assert fits(version, wanted) is expected


def test_remedies() -> None:
    core, extra = Package("numpy", ">=2", "", None), Package("torch", ">=2.6", "torch", "1.0")
    assert not core.fine and not extra.fine
    assert remedy([core]) == "pip install --upgrade 'numpy>=2'"
    assert remedy([extra, Package("pypdf", "", "docs", None)]) == "pip install 'trivec[docs,torch]'"


def test_every_package_of_the_project_is_named() -> None:
    found = wanted_packages()
    assert {"", "torch", "docs"} <= {package.extra for package in found}
    assert not {"dev", "all"} & {package.extra for package in found}
