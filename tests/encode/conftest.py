"""Where tests of loading and fetching look for models."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches, and a current folder in which nothing lies."""
    monkeypatch.setenv("TRIVEC_CACHE", str(tmp_path / "trivec"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_HOME", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path
