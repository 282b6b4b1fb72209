"""Which folders are language models that rerank, and what they cannot be asked."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trivec
from trivec.errors import CorruptModelError, InputError, ModelError
from trivec.rerank import llm_loading
from trivec.rerank.llm_options import LlmOptions

import tiny_llms


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Llama. Copy it before changing it."""
    return tiny_llms.write_tiny_llm(tmp_path_factory.mktemp("loading") / "tiny-llama")


def test_which_folders_are_language_models(
    folder: Path, tiny: Callable[[str], Path], reranker_folder: Callable[[str], Path], tmp_path: Path
) -> None:
    assert llm_loading.matches(folder)
    assert not llm_loading.matches(tiny("bert"))
    assert not llm_loading.matches(reranker_folder("bert"))
    assert not llm_loading.matches(tmp_path)


def test_a_language_model_is_a_reranker(folder: Path) -> None:
    reranker = trivec.load_reranker(folder)
    assert reranker.name == "tiny-llama"
    ranked = reranker.rank("what is the river", ["water", "science book", "", "night"])
    assert sorted(one.number for one in ranked) == [0, 1, 2, 3]
    assert [one.score for one in ranked] == sorted((one.score for one in ranked), reverse=True)


def test_what_language_models_cannot_be_asked(folder: Path) -> None:
    for options, message in (
        ({"runtime": "onnx"}, "runtime is 'onnx' .* which runs on torch"),
        ({"precision": "int8"}, "precision 'int8'"),
        ({"threads": 0}, "threads must be at least 1, got 0"),
        ({"max_length": 1025}, "max_length must lie between 1 and 1024 for tiny-llama, got 1025"),
        ({"max_length": 20}, "leaves no room for a query and a document"),
        ({"dtype": "int4"}, "unknown dtype 'int4'"),
        ({"device": "moon"}, "cannot use the device 'moon'"),
        ({"cutoff_layers": [3]}, r"cutoff_layers is \[3\], which means nothing to .* without heads: leave it out"),
        ({"compress_layers": [3]}, r"compress_layers is \[3\], which means nothing to"),
    ):
        with pytest.raises(InputError, match=message):
            trivec.load_reranker(folder, **options)


def test_what_cross_encoders_cannot_be_asked(reranker_folder: Callable[[str], Path]) -> None:
    asked: tuple[dict[str, Any], ...] = ({"prompt": "Is it?"}, {"cutoff_layers": [1]}, {"compress_layers": [1]})
    for options in asked:
        (name,) = options
        with pytest.raises(InputError, match=f"{name} is for language models, and .* is none: leave it out"):
            trivec.load_reranker(reranker_folder("bert"), **options)


def test_options_that_were_given() -> None:
    assert LlmOptions().given == []
    assert LlmOptions("Is it?", [1], [2], 2).given == ["prompt", "cutoff_layers", "compress_layers", "compress_ratio"]


def test_folders_that_are_no_such_model(folder: Path, tmp_path: Path, change_json: Callable[..., None]) -> None:
    unknown = Path(shutil.copytree(folder, tmp_path / "unknown"))
    change_json(unknown / "config.json", model_type="house-made", auto_map={"AutoModelForCausalLM": "evil.Model"})
    (unknown / "evil.py").write_text("raise SystemExit('code of the folder was run')", "utf-8")
    with pytest.raises(ModelError, match=r"is a 'house-made', which transformers .* does not know .* code in model"):
        trivec.load_reranker(unknown)
    wordless = Path(shutil.copytree(folder, tmp_path / "wordless"))
    tokenizer = (wordless / "tokenizer.json").read_text("utf-8")
    (wordless / "tokenizer.json").write_text(tokenizer.replace('"▁Yes"', '"▁Yea"').replace('"▁Ye"', '"▁Yx"'), "utf-8")
    with pytest.raises(ModelError, match=r"has no token for 'Yes'|is no tokenizer"):
        trivec.load_reranker(wordless)
    empty = Path(shutil.copytree(folder, tmp_path / "empty"))
    (empty / "model.safetensors").unlink()
    with pytest.raises(CorruptModelError, match="transformers cannot load"):
        trivec.load_reranker(empty)
    bare = Path(shutil.copytree(folder, tmp_path / "bare"))
    (bare / "tokenizer.json").unlink()
    with pytest.raises(CorruptModelError, match="is no tokenizer"):
        trivec.load_reranker(bare)


def test_weights_in_a_pickle(folder: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import load_file

    copy = Path(shutil.copytree(folder, tmp_path / "pickled"))
    torch.save(load_file(copy / "model.safetensors"), copy / "pytorch_model.bin")
    (copy / "model.safetensors").unlink()
    expected = trivec.load_reranker(folder).score("river", ["water", "book"])
    np.testing.assert_allclose(trivec.load_reranker(copy).score("river", ["water", "book"]), expected, atol=1e-6)
