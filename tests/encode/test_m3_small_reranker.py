"""The default reranker is made of m3-small and a delta: here of a tiny model in its place."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import trivec
from trivec.cache import model_folder
from trivec.encode import m3_small
from trivec.encode import m3_small_reranker as maker
from trivec.encode.delta_reranker import is_made_of
from trivec.errors import CorruptModelError
from trivec.rerank.own_ways import OwnWays, read_own_ways

import tiny_models

PAIRS = [("river", "water"), ("what is the capital", "the capital city"), ("x", "")]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tiny_models.write_tiny_bert(tmp_path / "base")
    (folder / "NOTICE").write_text("of the backbone", "utf-8")
    return folder


def test_the_folder_is_a_cross_encoder_with_the_update_merged(base: Path, tmp_path: Path) -> None:
    delta = tiny_models.write_tiny_reranker_delta(tmp_path / "delta.safetensors", base)
    maker.convert(base, tmp_path / "made", delta)
    tensors, update = load_file(tmp_path / "made" / "model.safetensors"), load_file(delta)
    name = "encoder.layer.0.attention.self.query.weight"
    before = load_file(base / "model.safetensors")[name]
    product = update[f"{name}.lora_b"].astype(np.float32) @ update[f"{name}.lora_a"].astype(np.float32)
    np.testing.assert_allclose(tensors[f"bert.{name}"], before + 0.5 * product, atol=1e-5)
    np.testing.assert_array_equal(tensors["classifier.weight"], update["last.weight"].astype(np.float32))
    reranker = trivec.load_reranker(tmp_path / "made")
    assert read_own_ways(tmp_path / "made") == OwnWays(**maker.WAYS)  # type: ignore[arg-type]
    assert reranker.first_stage == maker.WAYS["first_stage"]
    assert np.ptp(reranker.score_pairs(PAIRS)) > 1e-3
    assert (tmp_path / "made" / "NOTICE").read_text("utf-8").endswith("of the backbone")


def test_a_folder_of_another_delta_or_way_is_made_anew(base: Path, tmp_path: Path) -> None:
    delta, other = (
        tiny_models.write_tiny_reranker_delta(tmp_path / "a.safetensors", base),
        tiny_models.write_tiny_reranker_delta(tmp_path / "b.safetensors", base, seed=1),
    )
    made = tmp_path / "made"
    maker.convert(base, made, delta)
    assert is_made_of(made, delta, maker.WAYS)
    assert not is_made_of(made, other, maker.WAYS)
    assert not is_made_of(made, delta, {"first_stage": 1.0})
    assert not is_made_of(tmp_path, delta, maker.WAYS)
    (made / "reranker.json").write_text("{", "utf-8")
    assert not is_made_of(made, delta, maker.WAYS)


def test_a_delta_of_an_encoder_makes_none(base: Path, tmp_path: Path) -> None:
    path = tmp_path / "delta.safetensors"
    save_file({"sparse.weight": np.zeros((1, 4), np.float32)}, path)
    with pytest.raises(CorruptModelError, match="holds no head of a cross-encoder"):
        maker.convert(base, tmp_path / "made", path)


@pytest.mark.model
def test_the_default_reranker_tells_answers_from_the_rest(m3_small_reranker: trivec.Reranker) -> None:
    assert maker.is_current(model_folder(maker.NAME))
    assert m3_small_reranker.name == maker.NAME
    for query, right, wrong in (
        ("How high is Kilimanjaro?", "Der Kilimandscharo ist 5895 Meter hoch.", "Kilimanjaro lies in Tanzania."),
        ("植物如何制造糖？", "Plants make sugar from light by photosynthesis.", "Sugar is sold in supermarkets."),
    ):
        scores = m3_small_reranker.score(query, [right, wrong])
        assert scores[0] > scores[1]


def test_the_shipped_delta_is_small() -> None:
    assert maker.DELTA_FILE.stat().st_size < 30e6
    assert m3_small.DELTA_FILE != maker.DELTA_FILE
