"""A calibration is found again by the same model, asked in the same way, and by no other."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import trivec
from trivec.errors import CorruptModelError, InputError
from trivec.rerank.calibration import Calibration
from trivec.rerank.reranker import Reranker

import tiny_llms
import tiny_models

STEEP = Calibration("platt", (2.0,), (1.0,))
FLAT = Calibration("platt", (0.5,), (-1.0,))


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder."""
    monkeypatch.setenv("TRIVEC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    yield tiny_models.write_tiny_reranker(tmp_path / "model", "bert")


def test_it_is_kept_in_the_users_own_folder(folder: Path, cache: Path) -> None:
    weights = sorted(folder.glob("*.safetensors"))
    path = trivec.load_reranker(folder).keep_calibration(STEEP, {"queries": 40})
    assert path.parent == folder and path.suffix == ".json"
    assert sorted(folder.glob("*.safetensors")) == weights
    assert not cache.exists()
    assert trivec.load_reranker(folder).calibration == STEEP
    moved = Path(shutil.move(folder, folder.with_name("moved")))
    assert trivec.load_reranker(moved).calibration == STEEP


@pytest.mark.parametrize("options", [{"max_length": 40}, {"precision": "int8"}, {"query_length": 5}])
def test_lengths_and_precision_do_not_matter(folder: Path, options: dict[str, object]) -> None:
    plain = trivec.load_reranker(folder)
    plain.keep_calibration(STEEP)
    other = trivec.load_reranker(folder, **options)  # type: ignore[arg-type]
    assert other.calibration == STEEP
    assert other.identity == plain.identity and other.digest != plain.digest


def test_other_weights_find_none(folder: Path) -> None:
    trivec.load_reranker(folder).keep_calibration(STEEP)
    tiny_models.write_tiny_reranker(folder, "bert", seed=7)
    assert trivec.load_reranker(folder).calibration is None


def test_another_layer_finds_none(tmp_path: Path) -> None:
    folder = tiny_llms.write_tiny_layerwise(tmp_path / "layers")
    trivec.load_reranker(folder).keep_calibration(STEEP)
    trivec.load_reranker(folder, cutoff_layers=[2]).keep_calibration(FLAT)
    assert trivec.load_reranker(folder).calibration == STEEP
    assert trivec.load_reranker(folder, cutoff_layers=(2,)).calibration == FLAT
    assert trivec.load_reranker(folder, prompt="Is it so?").calibration is None


def test_a_folder_that_cannot_be_written_is_left_alone(
    folder: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trivec.load_reranker(folder).keep_calibration(FLAT)
    before = sorted(folder.iterdir())
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != folder)
    assert trivec.load_reranker(folder).calibration == FLAT  # as its maker calibrated it
    path = trivec.load_reranker(folder).keep_calibration(STEEP)
    assert path.parent == cache / "calibrations"
    assert sorted(folder.iterdir()) == before
    assert trivec.load_reranker(folder).calibration == STEEP


def test_a_name_stands_for_a_folder_that_others_use(
    folder: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shared = cache / "models" / "some--model"
    shared.parent.mkdir(parents=True)
    shutil.move(folder, shared)
    monkeypatch.chdir(tmp_path)
    path = trivec.load_reranker("some/model").keep_calibration(STEEP)
    assert path.parent == cache / "calibrations"
    assert trivec.load_reranker("some/model").calibration == STEEP
    assert trivec.load_reranker(shared).calibration == STEEP


def test_maxsim_is_known_by_its_heads(tmp_path: Path, tiny: Callable[[str], Path]) -> None:
    folder = Path(shutil.copytree(tiny("m3"), tmp_path / "m3"))
    reranker = trivec.load_reranker(folder)
    reranker.keep_calibration(STEEP)
    assert trivec.load_reranker(folder, max_length=40).calibration == STEEP
    other = trivec.load_reranker(tiny_models.write_tiny_m3(tmp_path / "other", multi_width=24, seed=3))
    assert other.identity != reranker.identity


def test_an_ensemble_depends_on_the_calibrations_of_its_parts(folder: Path, cache: Path, tmp_path: Path) -> None:
    second = tiny_models.write_tiny_reranker(tmp_path / "second")
    names = f"{folder}+{second}"
    both = trivec.load_reranker(names)
    assert both.keep_calibration(FLAT).parent == cache / "calibrations"
    assert trivec.load_reranker(names).calibration == FLAT
    trivec.load_reranker(second).keep_calibration(STEEP)
    again = trivec.load_reranker(names)
    assert again.calibration is None
    assert (again.digest != both.digest) and (again.identity != both.identity)
    with pytest.raises(AssertionError):
        np.testing.assert_allclose(again.score("river", ["water"]), both.score("river", ["water"]))


def test_what_cannot_be_kept_or_read(folder: Path) -> None:
    loaded = trivec.load_reranker(folder)
    with pytest.raises(InputError, match="was not loaded by load_reranker, so its calibration has no place"):
        Reranker(loaded.scorer).keep_calibration(STEEP)
    loaded.keep_calibration(STEEP).write_text("{}")
    with pytest.raises(CorruptModelError, match="holds no calibration"):
        trivec.load_reranker(folder)
