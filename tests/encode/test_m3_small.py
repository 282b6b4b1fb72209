"""The default model, from a tiny file in the format of the real one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file
from tiny_packed_e5 import HEADS, HIDDEN, INNER, LAYERS, POSITIONS, SPECIAL, write_packed

import tiny_vocabularies
import trivec
from trivec.encode import m3_small
from trivec.encode.delta import Delta
from trivec.encode.packed_e5 import PackedModel
from trivec.encode.training_free import orthonormal_rows
from trivec.errors import CorruptModelError
from trivec.tensorfile import write_tensors

Same = Callable[..., None]

TEXTS = ["the capital of the country", "", "北京的天气", "Die Hauptstadt, not the river!", "a"]


@pytest.fixture(scope="module")
def packed() -> bytes:
    return write_packed()[0]


def test_four_bits_are_unpacked_as_documented() -> None:
    data, tensors = write_packed()
    model = PackedModel.parse(data)
    assert model.directory.keys() == tensors.keys()
    for name, expected in tensors.items():
        np.testing.assert_array_equal(model.tensor(name, *expected.shape), expected)


def test_sizes_and_vocabulary_are_read(packed: bytes) -> None:
    model = PackedModel.parse(packed)
    assert (model.hidden, model.layers, model.heads, model.inner, model.positions, model.types) == (
        HIDDEN, LAYERS, HEADS, INNER, POSITIONS, 1,
    )  # fmt: skip
    assert model.epsilon == 1e-12
    assert model.special == SPECIAL
    assert [text for text, _ in model.pieces] == [text for text, _ in tiny_vocabularies.unigram_vocabulary()]
    assert model.pieces[9][1] == pytest.approx(tiny_vocabularies.unigram_vocabulary()[9][1], abs=1e-6)


def test_the_converted_folder_runs_on_onnx_and_torch(packed: bytes, tmp_path: Path, same_vectors: Same) -> None:
    m3_small.convert(packed, tmp_path / "model")
    onnx, torch = trivec.load(tmp_path / "model"), trivec.load(tmp_path / "model", runtime="torch")
    assert onnx.runtime.name == "onnx on cpu"
    assert onnx.heads == ("dense", "multi", "terms")
    same_vectors(onnx.encode_queries(TEXTS), torch.encode_queries(TEXTS))
    same_vectors(onnx.encode_documents(TEXTS), torch.encode_documents(TEXTS))
    assert np.isfinite(onnx.encode(TEXTS).dense).all()


def test_the_converted_folder_is_what_the_catalogue_says(packed: bytes, tmp_path: Path) -> None:
    m3_small.convert(packed, tmp_path / "model")
    encoder = trivec.load(tmp_path / "model")
    checkpoint = encoder.checkpoint
    assert (encoder.name, checkpoint.layout, checkpoint.pooling) == ("m3-small-base", "trivec", "mean")
    assert (checkpoint.query_prompt, checkpoint.document_prompt) == ("query: ", "passage: ")
    assert (checkpoint.normalize, encoder.max_length) == (True, 512)
    assert checkpoint.settings == m3_small.SEARCH_SETTINGS["m3-small-base"]
    assert encoder.fingerprint.heads["multi"].startswith("128, training-free, orthogonal projection, seed 0")
    np.testing.assert_array_equal(checkpoint.multi.linear.weight, orthonormal_rows(128, HIDDEN, 0))
    assert "MIT License" in (tmp_path / "model" / "NOTICE").read_text("utf-8")


def test_the_weights_are_those_of_the_file(tmp_path: Path) -> None:
    data, tensors = write_packed()
    m3_small.convert(data, tmp_path / "model")
    weights = load_file(tmp_path / "model" / "model.safetensors")
    names = {
        "emb.word": "embeddings.word_embeddings.weight",
        "emb.ln.b": "embeddings.LayerNorm.bias",
        "l0.q.w": "encoder.layer.0.attention.self.query.weight",
        "l0.ao.b": "encoder.layer.0.attention.output.dense.bias",
        "l0.aln.w": "encoder.layer.0.attention.output.LayerNorm.weight",
        "l0.fi.w": "encoder.layer.0.intermediate.dense.weight",
        "l0.fo.w": "encoder.layer.0.output.dense.weight",
        "l0.oln.b": "encoder.layer.0.output.LayerNorm.bias",
    }
    for packed_name, name in names.items():
        np.testing.assert_array_equal(weights[name], tensors[packed_name])
    types = weights["embeddings.token_type_embeddings.weight"]
    np.testing.assert_array_equal(types, tensors["emb.type"][:1])


def test_the_converted_folder_loads_in_sentence_transformers(packed: bytes, tmp_path: Path) -> None:
    package = pytest.importorskip("sentence_transformers")
    m3_small.convert(packed, tmp_path / "model")
    model = package.SentenceTransformer(str(tmp_path / "model"), device="cpu", local_files_only=True)
    texts = [text for text in TEXTS if text]
    ours = trivec.load(tmp_path / "model").encode_queries(texts, ["dense"])
    np.testing.assert_allclose(model.encode(texts, prompt_name="query"), ours.dense, atol=1e-5)


def test_a_delta_is_applied(tmp_path: Path, same_vectors: Same) -> None:
    data, tensors = write_packed()
    random = np.random.RandomState(1)
    name = "encoder.layer.0.attention.self.query.weight"
    delta = {
        f"{name}.lora_a": random.standard_normal((2, HIDDEN)).astype(np.float32),
        f"{name}.lora_b": random.standard_normal((HIDDEN, 2)).astype(np.float32),
        "sparse.weight": 0.05 * random.standard_normal((1, HIDDEN)).astype(np.float32),
        "sparse.bias": np.ones(1, np.float32),
        "multi.weight": random.standard_normal((24, HIDDEN)).astype(np.float32),
        "multi.bias": np.zeros(24, np.float32),
    }
    write_tensors(tmp_path / "delta", delta, {"scale": "0.25"})
    m3_small.convert(data, tmp_path / "model", tmp_path / "delta")
    onnx, torch = trivec.load(tmp_path / "model"), trivec.load(tmp_path / "model", runtime="torch")
    assert onnx.heads == ("dense", "sparse", "multi", "terms")
    assert onnx.fingerprint.heads["multi"].startswith("24, trained")
    same_vectors(onnx.encode(TEXTS), torch.encode(TEXTS))
    expected = tensors["l0.q.w"] + 0.25 * delta[f"{name}.lora_b"] @ delta[f"{name}.lora_a"]
    np.testing.assert_allclose(load_file(tmp_path / "model" / "model.safetensors")[name], expected, atol=1e-6)


def test_a_delta_without_multi_head_leaves_the_training_free_one(packed: bytes, tmp_path: Path) -> None:
    write_tensors(tmp_path / "delta", {"sparse.weight": np.ones((1, HIDDEN), np.float32)}, {})
    m3_small.convert(packed, tmp_path / "model", tmp_path / "delta")
    encoder = trivec.load(tmp_path / "model")
    assert encoder.heads == ("dense", "sparse", "multi", "terms")
    assert "training-free" in encoder.fingerprint.heads["multi"]


def test_the_shipped_delta_is_small_and_whole() -> None:
    delta = Delta(m3_small.DELTA_FILE)
    assert m3_small.DELTA_FILE.stat().st_size <= 12_000_000
    assert {"sparse.weight", "sparse.bias", "multi.weight"} <= delta.heads.keys()
    assert delta.heads["multi.weight"].shape == (128, 384)


def test_truncated_data_is_refused_at_every_length(packed: bytes) -> None:
    steps = np.unique(np.geomspace(1, len(packed) - 1, 120).astype(int))
    for length in [0, *steps.tolist(), len(packed) - 1]:
        with pytest.raises(CorruptModelError, match="the packed model cannot be read"):
            PackedModel.parse(packed[:length])


@pytest.mark.parametrize("options", [{"version": 2}, {"block": 64}])
def test_another_version_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(CorruptModelError, match="the packed model cannot be read"):
        PackedModel.parse(write_packed(**options)[0])


def test_another_file_is_refused() -> None:
    with pytest.raises(CorruptModelError, match="it does not begin with E5S1"):
        PackedModel.parse(b"GGUF" + bytes(1000))


@pytest.mark.parametrize("lost", ["emb.word", "emb.type", "l0.q.w", "l0.oln.b"])
def test_a_missing_tensor_is_refused_by_name(tmp_path: Path, lost: str) -> None:
    with pytest.raises(CorruptModelError, match=lost):
        m3_small.convert(write_packed(lost)[0], tmp_path / "model")


def test_a_tensor_of_another_size_is_refused(packed: bytes) -> None:
    with pytest.raises(CorruptModelError, match=r"emb\.word has .* values, expected shape \(3, 160\)"):
        PackedModel.parse(packed).tensor("emb.word", 3, HIDDEN)
