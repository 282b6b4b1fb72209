"""Models are found by folder or name, in both caches, and loaded as asked for."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import trivec
from trivec.cache import cache_folder, model_folder
from trivec.encode import catalogue
from trivec.encode.loading import hub_snapshot, resolve
from trivec.errors import InputError, MissingPackageError, UnknownModelError

Tiny = Callable[[str], Path]

TINY_CARD = catalogue.KnownModel(
    "owner/tiny", "en", 32, pooling="mean", max_length=100, query_prompt="q: ", document_prompt="d: ",
    task_prompts={"qa": ("q: ", "d: "), "chat": ("chat: ", "history: ")}, aliases=("tiny-alias",),
)  # fmt: skip


pytestmark = pytest.mark.usefixtures("caches")


@pytest.fixture
def tiny_card(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for the tiny BERT in the catalogue."""
    monkeypatch.setattr(catalogue, "MODELS", (*catalogue.MODELS, TINY_CARD))


def into_hub(source: Path, home: Path, name: str, commit: str = "abc") -> Path:
    """A snapshot as huggingface_hub keeps it."""
    return Path(shutil.copytree(source, home / f"models--{name.replace('/', '--')}" / "snapshots" / commit))


@pytest.mark.parametrize("kind", [str, Path])
def test_a_folder_is_loaded_as_it_is(tiny: Tiny, kind: type) -> None:
    encoder = trivec.load(kind(tiny("bert")))
    assert encoder.checkpoint.folder == tiny("bert")
    assert encoder.name == "bert"
    assert encoder.checkpoint.pooling == "cls"


def test_a_folder_goes_before_a_name(tiny: Tiny, caches: Path) -> None:
    shutil.copytree(tiny("bert"), caches / "here" / "bge-m3")
    assert resolve("bge-m3") == (Path("bge-m3"), None)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [("m3-smal", "m3-small"), ("BAAI/bge-m4", "BAAI/bge-m3"), ("bge-base-en-v1.6", "BAAI/bge-base-en-v1.5")],
)
def test_an_unknown_name_suggests_a_known_one(wrong: str, right: str) -> None:
    with pytest.raises(UnknownModelError, match=f"there is no model '{wrong}': did you mean .*{right}"):
        trivec.load(wrong)


@pytest.mark.parametrize("name", ["zzzzzz", "./no/such/folder", "/no/such/folder"])
def test_a_name_like_no_other_says_what_to_give(name: str) -> None:
    with pytest.raises(UnknownModelError, match=f"there is no model '{name}': give a folder, or a name"):
        trivec.load(name)


def test_a_file_is_no_model(caches: Path) -> None:
    (caches / "file").write_text("")
    with pytest.raises(UnknownModelError):
        trivec.load(caches / "file")


@pytest.mark.parametrize(
    ("name", "full"),
    [("m3-small", "m3-small"), ("bge-m3", "BAAI/bge-m3"), ("intfloat/multilingual-e5-base",) * 2],
)
def test_a_known_name_that_is_not_here_says_how_to_fetch_it(name: str, full: str) -> None:
    with pytest.raises(UnknownModelError, match=f"^{full} is not on this machine yet: run trivec models fetch {full}$"):
        trivec.load(name)


def test_the_default_is_the_default_model() -> None:
    with pytest.raises(UnknownModelError, match="m3-small is not on this machine yet"):
        trivec.load()


def test_the_cache_folder_can_be_named(caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cache_folder() == caches / "trivec"
    assert model_folder("BAAI/bge-m3") == caches / "trivec" / "models" / "BAAI--bge-m3"
    monkeypatch.setenv("TRIVEC_CACHE", "~/elsewhere")
    assert cache_folder() == Path.home() / "elsewhere"
    monkeypatch.delenv("TRIVEC_CACHE")
    assert cache_folder().name == "trivec"


@pytest.mark.usefixtures("tiny_card")
@pytest.mark.parametrize("name", ["owner/tiny", "tiny", "tiny-alias"])
def test_a_model_in_our_cache_is_found_by_all_its_names(tiny: Tiny, name: str) -> None:
    shutil.copytree(tiny("bert"), model_folder("owner/tiny"))
    encoder = trivec.load(name)
    assert encoder.name == "owner/tiny"
    assert encoder.checkpoint.folder == model_folder("owner/tiny")
    assert (encoder.checkpoint.pooling, encoder.max_length) == ("mean", 100)


@pytest.mark.usefixtures("tiny_card")
def test_a_snapshot_of_the_hub_cache_is_found(tiny: Tiny, caches: Path) -> None:
    snapshot = into_hub(tiny("bert"), caches / "hub", "owner/tiny")
    assert trivec.load("tiny").checkpoint.folder == snapshot
    assert trivec.load("tiny").checkpoint.query_prompt == "q: "


def test_a_snapshot_of_a_model_that_nobody_knows_is_found(tiny: Tiny, caches: Path) -> None:
    snapshot = into_hub(tiny("m3"), caches / "hub", "some/one")
    encoder = trivec.load("some/one")
    assert encoder.checkpoint.folder == snapshot
    assert encoder.heads == ("dense", "sparse", "multi", "terms")


def test_the_newest_whole_snapshot_counts(tiny: Tiny, caches: Path) -> None:
    old, new, partial = (into_hub(tiny("bert"), caches / "hub", "some/one", name) for name in ("z", "a", "m"))
    (partial / "config.json").unlink()
    for folder, time in ((old, 1000), (new, 2000), (partial, 3000)):
        os.utime(folder, (time, time))
    assert hub_snapshot("some/one") == new
    assert hub_snapshot("some/other") is None


def test_the_hub_cache_may_lie_under_hf_home(tiny: Tiny, caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HF_HUB_CACHE")
    monkeypatch.setenv("HF_HOME", str(caches / "home"))
    snapshot = into_hub(tiny("bert"), caches / "home" / "hub", "some/one")
    assert hub_snapshot("some/one") == snapshot


@pytest.mark.usefixtures("tiny_card")
def test_our_cache_goes_before_the_hub_cache(tiny: Tiny, caches: Path) -> None:
    into_hub(tiny("bert"), caches / "hub", "owner/tiny")
    shutil.copytree(tiny("bert"), model_folder("owner/tiny"))
    assert resolve("tiny")[0] == model_folder("owner/tiny")


@pytest.mark.usefixtures("tiny_card")
def test_a_card_tells_what_a_bare_folder_does_not(tiny: Tiny, same_vectors: Callable[..., None]) -> None:
    bare, carded = trivec.load(tiny("bert")), trivec.load(tiny("bert"), card="tiny")
    checkpoint = carded.checkpoint
    assert (carded.name, checkpoint.pooling, carded.max_length) == ("owner/tiny", "mean", 100)
    assert (checkpoint.query_prompt, checkpoint.document_prompt) == ("q: ", "d: ")
    same_vectors(carded.encode_queries("the city"), carded.encode("the city", prompt="q: "))
    assert carded.fingerprint.digest != bare.fingerprint.digest
    assert not (abs(bare.encode("a").dense - carded.encode("a").dense) < 1e-3).all()


def test_a_card_of_another_width_is_refused(tiny: Tiny) -> None:
    with pytest.raises(InputError, match=r"gives 32 dimensions, the card of BAAI/bge-m3 says 1024: it is another"):
        trivec.load(tiny("bert"), card="bge-m3")


def test_an_unknown_card_is_refused(tiny: Tiny) -> None:
    with pytest.raises(InputError, match="the catalogue has no card 'nonesuch': trivec models lists the names"):
        trivec.load(tiny("bert"), card="nonesuch")


@pytest.mark.usefixtures("tiny_card")
def test_the_length_of_a_card_is_no_longer_than_the_model(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "MODELS", (replace(TINY_CARD, max_length=8192),))
    assert trivec.load(tiny("bert"), card="tiny").max_length == 512


@pytest.mark.usefixtures("tiny_card")
def test_a_task_has_its_own_prompts(tiny: Tiny) -> None:
    checkpoint = trivec.load(tiny("bert"), card="tiny", task="chat").checkpoint
    assert (checkpoint.query_prompt, checkpoint.document_prompt) == ("chat: ", "history: ")
    assert trivec.load(tiny("bert"), card="tiny", task="qa").checkpoint.query_prompt == "q: "


@pytest.mark.usefixtures("tiny_card")
def test_an_unknown_task_is_refused(tiny: Tiny) -> None:
    with pytest.raises(InputError, match="unknown task 'sleep' for owner/tiny: choose one of qa, chat"):
        trivec.load(tiny("bert"), card="tiny", task="sleep")
    with pytest.raises(InputError, match="unknown task 'qa' for bert: this model has no prompts by task"):
        trivec.load(tiny("bert"), task="qa")


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({}, "onnx on cpu"),
        ({"device": "cpu"}, "onnx on cpu"),
        ({"dtype": "float32"}, "onnx on cpu"),
        ({"runtime": "onnx", "threads": 1}, "onnx on cpu"),
        ({"runtime": "torch"}, "torch on cpu"),
        ({"dtype": "bfloat16"}, "torch on cpu"),
        ({"runtime": "torch", "device": "cpu", "dtype": "float16"}, "torch on cpu"),
    ],
    ids=str,
)
def test_the_runtime_follows_from_the_options(tiny: Tiny, options: dict[str, Any], name: str) -> None:
    assert trivec.load(tiny("bert"), **options).runtime.name == name


@pytest.mark.parametrize("options", [{"device": "cuda"}, {"dtype": "float16"}, {"device": "mps", "dtype": "bfloat16"}])
def test_onnx_elsewhere_than_on_cpu_is_refused(tiny: Tiny, options: dict[str, str]) -> None:
    with pytest.raises(InputError, match=r"the onnx runtime is for float32 on cpu, not for .*use runtime='torch'"):
        trivec.load(tiny("bert"), runtime="onnx", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"runtime": "tensorflow"}, "unknown runtime 'tensorflow': choose auto, onnx or torch"),
        ({"dtype": "int3"}, "unknown dtype 'int3': use one of float32, float16, bfloat16"),
        ({"runtime": "torch", "device": "toaster"}, "toaster"),
        ({"threads": -1}, "threads"),
    ],
    ids=str,
)
def test_options_that_cannot_be_followed_are_refused(tiny: Tiny, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        trivec.load(tiny("bert"), **options)


def test_half_precision_is_close(tiny: Tiny) -> None:
    full = trivec.load(tiny("m3"), runtime="torch").encode("the capital city", ["dense"]).dense
    half = trivec.load(tiny("m3"), dtype="bfloat16").encode("the capital city", ["dense"]).dense
    assert half.dtype == full.dtype
    assert (full @ half.T).item() == pytest.approx(1, abs=0.01)


def test_without_torch_the_error_names_the_extra(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingPackageError, match=r"running bert \(as asked\) needs .*pip install 'trivec\[torch\]'"):
        trivec.load(tiny("bert"), runtime="torch")
    assert trivec.load(tiny("bert")).runtime.name == "onnx on cpu"


def test_without_torch_pickled_heads_say_so(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tiny("m3")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(MissingPackageError, match=r"reading .*sparse_linear\.pt needs the package 'torch'"):
        trivec.load(folder)


@pytest.mark.parametrize("width", [1, 16, 32])
def test_a_training_free_head_of_the_width_asked_for(tiny: Tiny, width: int) -> None:
    encoder = trivec.load(tiny("bert"), training_free_width=width)
    assert encoder.heads == ("dense", "multi", "terms")
    assert encoder.encode("the city").multi.width == width
    assert "training-free" in encoder.fingerprint.heads["multi"]


@pytest.mark.parametrize("width", [0, -1, 33])
def test_a_width_that_the_model_has_not_is_refused(tiny: Tiny, width: int) -> None:
    with pytest.raises(InputError, match=f"width {width} is not between 1 and the model's 32"):
        trivec.load(tiny("bert"), training_free_width=width)


def test_a_trained_head_stays(tiny: Tiny) -> None:
    assert trivec.load(tiny("m3"), training_free_width=8).encode("a").multi.width == 24
