"""The English reranker is made of the files of a wheel and a delta: here of a tiny model's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import trivec
from trivec.encode import minilm_reranker as maker
from trivec.encode.delta_reranker import is_made_of
from trivec.encode.loading import fetch

import tiny_models


def test_the_folder_is_a_cross_encoder_of_the_files_of_the_wheel(tmp_path: Path) -> None:
    base = tiny_models.write_tiny_bert(tmp_path / "base")
    delta = tiny_models.write_tiny_reranker_delta(tmp_path / "delta.safetensors", base)
    files = {f"{maker.SOURCE.folder}/model/{path.name}": path.read_bytes() for path in base.iterdir()}
    maker.convert(files, tmp_path / "made", delta)
    reranker = trivec.load_reranker(tmp_path / "made")
    assert np.ptp(reranker.score("river", ["water", "the capital city", ""])) > 1e-3
    assert is_made_of(tmp_path / "made", delta, maker.WAYS)
    assert "Apache License 2.0" in (tmp_path / "made" / "NOTICE").read_text("utf-8")
    assert {path.name for path in tmp_path.iterdir()} == {"base", "delta.safetensors", "made"}


def test_the_shipped_delta_is_small() -> None:
    assert maker.DELTA_FILE.stat().st_size < 10e6


@pytest.mark.network
def test_it_is_fetched_and_tells_answers_from_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIVEC_CACHE", str(tmp_path))
    folder = fetch(maker.NAME)
    assert maker.is_current(folder)
    reranker = trivec.load_reranker(maker.NAME)
    right, wrong = reranker.score(
        "How do plants make sugar?",
        ["Leaves turn light, water and air into sugar by photosynthesis.", "Sugar is sold in supermarkets."],
    )
    assert right > wrong
