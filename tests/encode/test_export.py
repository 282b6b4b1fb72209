"""Model folders are written in every layout, whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import trivec
from trivec.encode.checkpoints import export, native, read_checkpoint
from trivec.encode.checkpoints.export import LAYOUTS
from trivec.errors import CorruptModelError, InputError, ModelError

import tiny_models

Tiny = Callable[[str], Path]
Change = Callable[..., None]
Same = Callable[..., None]

TEXTS = ["the capital of the country", "", "北京的天气", "Die Hauptstadt, not the river!", "a"]

DENSE, ALL = ("dense", "terms"), ("dense", "sparse", "multi", "terms")
HELD: dict[tuple[str, str], tuple[str, ...] | None] = {
    ("m3", "trivec"): ALL,
    ("m3", "bge-m3"): ALL,
    ("m3", "sentence-transformers"): DENSE,
    ("m3", "plain"): DENSE,
    ("roberta", "trivec"): DENSE,
    ("roberta", "bge-m3"): None,
    ("roberta", "sentence-transformers"): DENSE,
    ("roberta", "plain"): DENSE,
    ("st-mean", "trivec"): DENSE,
    ("st-mean", "bge-m3"): None,
    ("st-mean", "sentence-transformers"): DENSE,
    ("st-mean", "plain"): None,
    ("no-multi", "trivec"): ("dense", "sparse", "terms"),
    ("no-multi", "bge-m3"): ("dense", "sparse", "terms"),
    ("free", "trivec"): ("dense", "multi", "terms"),
    ("free", "bge-m3"): None,
    ("free", "sentence-transformers"): DENSE,
    ("raw", "trivec"): ("dense", "multi", "terms"),
}
"""Heads that come back from each layout; None: the layout cannot hold the model, and says so."""


def encode(folder: Path, runtime: str = "auto") -> trivec.Embeddings:
    return trivec.load(folder, runtime, threads=1).encode(TEXTS)


@pytest.fixture
def source(request: pytest.FixtureRequest, copy_tiny: Tiny) -> trivec.Encoder:
    """An encoder by the names in `HELD`."""
    name = request.param
    if name in ("free", "raw"):
        return trivec.load(copy_tiny("bert"), training_free_width={"free": 16, "raw": 32}[name])
    folder = copy_tiny("m3" if name == "no-multi" else name)
    if name == "no-multi":
        (folder / "colbert_linear.pt").unlink()
    return trivec.load(folder)


@pytest.mark.parametrize(("source", "layout"), HELD, indirect=["source"])
def test_a_written_folder_gives_the_same_vectors_or_is_refused(
    request: pytest.FixtureRequest, source: trivec.Encoder, layout: Any, tmp_path: Path, same_vectors: Same
) -> None:
    target, heads = tmp_path / "new" / "target", HELD[request.node.callspec.params["source"], layout]
    if heads is None:
        with pytest.raises(ModelError, match=layout):
            source.save(target, layout)
        assert not target.exists()
        return
    source.save(target, layout)
    assert [path.name for path in target.parent.iterdir()] == ["target"]
    for runtime in ("onnx", "torch"):
        again = trivec.load(target, runtime)
        assert again.checkpoint.layout == layout
        assert again.heads == heads
        same_vectors(again.encode(TEXTS), source.encode(TEXTS).with_heads(*heads))
        same_vectors(again.encode_queries(TEXTS), source.encode_queries(TEXTS).with_heads(*heads))
        assert again.checkpoint.describe_heads().items() <= source.checkpoint.describe_heads().items()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_folder_written_from_a_written_folder_is_the_same(tiny: Tiny, tmp_path: Path, layout: Any) -> None:
    trivec.load(tiny("m3")).save(tmp_path / "first", layout)
    trivec.load(tmp_path / "first").save(tmp_path / "second", layout)
    first, second = (
        {path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        for root in (tmp_path / "first", tmp_path / "second")
    )
    assert first.keys() == second.keys()
    assert [name for name in first if first[name] != second[name] and name.name != "trivec.json"] == []


def test_the_native_layout_keeps_name_prompts_length_and_settings(
    change_json: Change, copy_tiny: Tiny, tmp_path: Path
) -> None:
    folder = copy_tiny("st-mean")
    change_json(folder / "sentence_bert_config.json", max_seq_length=100)
    encoder = trivec.load(folder)
    encoder.save(tmp_path / "a")
    change_json(tmp_path / "a" / "trivec.json", search={"fusion": "rrf"})
    trivec.load(tmp_path / "a").save(tmp_path / "b")
    again = read_checkpoint(tmp_path / "b")
    assert (again.name, again.max_length, again.settings) == ("st-mean", 100, {"fusion": "rrf"})
    assert (again.query_prompt, again.document_prompt) == ("query: ", "passage: ")


def test_training_free_heads_stay_marked(copy_tiny: Tiny, tmp_path: Path) -> None:
    """Also where the bge-m3 layout, which has no such mark, could hold their numbers."""
    folder = copy_tiny("m3")
    (folder / "colbert_linear.pt").unlink()
    encoder = trivec.load(folder, training_free_width=16)
    assert encoder.fingerprint.heads["multi"].startswith("16, training-free, orthogonal projection, seed 0")
    encoder.save(tmp_path / "native")
    assert trivec.load(tmp_path / "native").fingerprint.heads == encoder.fingerprint.heads
    encoder.save(tmp_path / "m3-again", "bge-m3")
    assert "multi" not in trivec.load(tmp_path / "m3-again").heads


def test_a_training_free_head_for_a_native_folder_without_one(tiny: Tiny, tmp_path: Path, same_vectors: Same) -> None:
    """Its ``model.onnx`` has no such output."""
    trivec.load(tiny("bert")).save(tmp_path / "native")
    expected = trivec.load(tiny("bert"), training_free_width=16)
    again = trivec.load(tmp_path / "native", training_free_width=16)
    same_vectors(again.encode(TEXTS), expected.encode(TEXTS))


def test_pickled_heads_are_those_that_flagembedding_reads(tiny: Tiny, tmp_path: Path, same_vectors: Same) -> None:
    torch = pytest.importorskip("torch")
    encoder = trivec.load(tiny("m3"))
    encoder.save(tmp_path / "m3", "bge-m3", pickled=True)
    for name, width in (("sparse_linear.pt", 1), ("colbert_linear.pt", 24)):
        state = torch.load(tmp_path / "m3" / name, weights_only=True)
        shapes = {part: tuple(tensor.shape) for part, tensor in state.items()}
        assert shapes == {"weight": (width, 32), "bias": (width,)}
    (tmp_path / "m3" / "heads.safetensors").unlink()
    same_vectors(encode(tmp_path / "m3"), encoder.encode(TEXTS), atol=0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("layout", ["trivec", "bge-m3"])
def test_half_precision_weights_are_written_without_loss(
    tmp_path: Path, same_vectors: Same, dtype: Any, layout: Any
) -> None:
    folder = tiny_models.write_tiny_m3(tmp_path / "half", weights="bin", dtype=dtype)
    expected = encode(folder)
    trivec.load(folder).save(tmp_path / "new", layout)
    same_vectors(encode(tmp_path / "new", "onnx"), expected)
    same_vectors(encode(tmp_path / "new", "torch"), expected)


@pytest.mark.parametrize(
    ("name", "layout"),
    [(name, layout) for name, layout in HELD if name in ("m3", "st-mean") and layout != "plain" and HELD[name, layout]],
)
def test_written_folders_load_in_sentence_transformers(tiny: Tiny, tmp_path: Path, layout: Any, name: str) -> None:
    package = pytest.importorskip("sentence_transformers")
    encoder = trivec.load(tiny(name))
    encoder.save(tmp_path / "new", layout)
    model = package.SentenceTransformer(str(tmp_path / "new"), device="cpu", local_files_only=True)
    assert model.max_seq_length == encoder.max_length
    texts = [text for text in TEXTS if text]
    np.testing.assert_allclose(model.encode(texts), encoder.encode(texts, ["dense"]).dense, atol=1e-5)
    queries = model.encode(texts, prompt_name="query" if encoder.checkpoint.query_prompt else None)
    np.testing.assert_allclose(queries, encoder.encode_queries(texts, ["dense"]).dense, atol=1e-5)


@pytest.mark.parametrize("layout", ["trivec", "bge-m3", "sentence-transformers"])
def test_lower_casing_by_sentence_transformers_is_followed(
    change_json: Change, copy_tiny: Tiny, tmp_path: Path, layout: Any
) -> None:
    """``do_lower_case`` of ``sentence_bert_config.json`` counts for tokenizers that keep case."""
    package = pytest.importorskip("sentence_transformers")
    folder, texts = copy_tiny("m3"), ["The Capital CITY", "İstanbul, the city"]
    before = trivec.load(folder)
    change_json(folder / "sentence_bert_config.json", do_lower_case=True)
    model = package.SentenceTransformer(str(folder), device="cpu", local_files_only=True)
    encoder = trivec.load(folder)
    assert encoder.fingerprint.digest != before.fingerprint.digest
    np.testing.assert_allclose(model.encode(texts), encoder.encode(texts, ["dense"]).dense, atol=1e-5)
    assert encoder.tokenizer.vector_spans(texts[1], 512)[-4:] == [(8, 9), (10, 13), (14, 18), None]
    encoder.save(tmp_path / "new", layout)
    again = trivec.load(tmp_path / "new")
    np.testing.assert_allclose(again.encode(texts, ["dense"]).dense, encoder.encode(texts, ["dense"]).dense, atol=1e-5)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_target_that_exists_is_refused_and_left_alone(tiny: Tiny, tmp_path: Path, layout: Any) -> None:
    (tmp_path / "file").write_text("mine")
    for target in (tmp_path, tmp_path / "file"):
        with pytest.raises(InputError, match=f"{target} exists: choose a new folder"):
            trivec.load(tiny("m3")).save(target, layout)
    assert (tmp_path / "file").read_text() == "mine"
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_an_unknown_layout_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no layout 'onnx': choose one of trivec, bge-m3"):
        trivec.load(tiny("m3")).save(tmp_path / "new", "onnx")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_nothing(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fail(folder: Path) -> None:
        assert (folder / "model.safetensors").is_file()
        raise error

    monkeypatch.setattr(export.native, "write_graph", fail)
    with pytest.raises(type(error)):
        trivec.load(tiny("m3")).save(tmp_path / "new")
    assert list(tmp_path.iterdir()) == []


def test_a_native_folder_runs_without_torch(tiny: Tiny, tmp_path: Path) -> None:
    trivec.load(tiny("m3")).save(tmp_path / "native")
    script = (
        "import sys, trivec\n"
        "vectors = trivec.load(sys.argv[1]).encode(['the city'])\n"
        "print(*vectors.heads, 'torch' in sys.modules, 'transformers' in sys.modules, 'onnx' in sys.modules)"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "native")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.split() == [*ALL, "False", "False", "False"]


def test_a_native_folder_of_a_newer_trivec_is_refused(change_json: Change, tiny: Tiny, tmp_path: Path) -> None:
    trivec.load(tiny("m3")).save(tmp_path / "native")
    change_json(tmp_path / "native" / "trivec.json", format=native.FORMAT_VERSION + 1)
    with pytest.raises(CorruptModelError, match=f"format {native.FORMAT_VERSION + 1}.*upgrade trivec"):
        trivec.load(tmp_path / "native")


@pytest.mark.parametrize(
    "change",
    [{"format": "x"}, {"format": None}, {"training_free": {}}, {"training_free": {"width": 99, "seed": 0}},
     {"training_free": 3}, {"training_free": {"width": "x", "seed": 0}}, {"search": 3}],
    ids=str,
)  # fmt: skip
def test_a_damaged_manifest_is_refused(
    change_json: Change, tiny: Tiny, tmp_path: Path, change: dict[str, object]
) -> None:
    trivec.load(tiny("bert")).save(tmp_path / "native")
    change_json(tmp_path / "native" / "trivec.json", **change)
    with pytest.raises(CorruptModelError, match=r"trivec\.json"):
        read_checkpoint(tmp_path / "native")


def test_a_native_folder_can_be_moved(tiny: Tiny, tmp_path: Path, same_vectors: Same) -> None:
    trivec.load(tiny("m3")).save(tmp_path / "native")
    expected = encode(tmp_path / "native")
    (tmp_path / "native").rename(tmp_path / "moved")
    same_vectors(encode(tmp_path / "moved"), expected, atol=0)
