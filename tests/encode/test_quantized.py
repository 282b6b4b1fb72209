"""Quantised models give nearly the same vectors, are made once, and are never mixed with others unawares."""

from __future__ import annotations

import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

import trivec
from trivec.cli import main
from trivec.encode import pipeline, quantization, quantized_files
from trivec.encode.calibration import Inputs
from trivec.encode.checkpoints import read_checkpoint
from trivec.encode.loading import find_checkpoint
from trivec.encode.long_text import LongText
from trivec.encode.onnx_runtime import OnnxRuntime
from trivec.encode.quantization import AFTER_GELU, SIGNED, Levels, choose_factors, quantized_graph
from trivec.errors import CorruptModelError, InputError, LibraryMismatchError, ModelError

import tiny_models

Tiny = Callable[[str], Path]
Same = Callable[..., None]
Change = Callable[..., None]

TEXTS = ["the capital of the country", "北京的天气", "Die Hauptstadt, not the river!", "a", "город и река " * 40]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("TRIVEC_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "quantized"


def load(folder: Path, **options: Any) -> trivec.Encoder:
    return trivec.load(folder, precision="int8", threads=1, **options)


def close(a: Any, b: Any) -> bool:
    """Whether rows point nearly the same way. Random weights of a tiny model enlarge errors more than trained ones."""
    cosines = (a * b).sum(axis=1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1)
    return bool(cosines.min() > 0.9 and np.median(cosines) > 0.995)


# -- the numbers --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["m3", "bert", "roberta", "st-mean"])
def test_every_head_stays_close_to_float32(tiny: Tiny, name: str) -> None:
    exact, quantised = trivec.load(tiny(name), threads=1), load(tiny(name))
    assert quantised.heads == exact.heads
    before, after = exact.encode_documents(TEXTS), quantised.encode_documents(TEXTS)
    assert before.dense is not None
    assert close(before.dense, after.dense)
    assert not np.allclose(before.dense, after.dense, atol=1e-5)
    if before.multi is not None:
        assert after.multi is not None and before.sparse is not None and after.sparse is not None
        assert close(before.multi.values, after.multi.values)
        np.testing.assert_allclose(after.sparse.toarray(), before.sparse.toarray(), atol=0.2 * before.sparse.max())
    assert before.terms is not None and after.terms is not None
    assert (before.terms != after.terms).nnz == 0


def test_vectors_do_not_depend_on_what_is_encoded_with_them(tiny: Tiny, same_vectors: Same) -> None:
    encoder = load(tiny("m3"))
    together = encoder.encode(TEXTS)
    for number, text in enumerate(TEXTS):
        same_vectors(encoder.encode([text]), together[[number]])


@pytest.mark.parametrize("long_text", ["cut", "mcls"])
def test_lanes_give_what_one_pass_after_the_other_gives(
    tiny: Tiny, same_vectors: Same, monkeypatch: pytest.MonkeyPatch, long_text: LongText
) -> None:
    encoder = load(tiny("m3"))
    runtime = OnnxRuntime(encoder.checkpoint, threads=3)
    assert len(runtime.lanes()) == 3
    laned = trivec.Encoder(encoder.checkpoint, runtime, encoder.tokenizer, encoder.fingerprint)
    options = {"max_length": 300, "batch_tokens": 8, "long_text": long_text}
    one_by_one = encoder.encode(TEXTS * 3, **options)
    monkeypatch.setattr(pipeline, "BULK_TOKENS", 1)
    same_vectors(laned.encode(TEXTS * 3, **options), one_by_one, atol=0)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_weights_are_quantised_too(tmp_path: Path, dtype: Any) -> None:
    folder = tiny_models.write_tiny_m3(tmp_path / "half", dtype=dtype)
    before, after = trivec.load(folder, threads=1).encode(TEXTS), load(folder).encode(TEXTS)
    assert before.dense is not None
    assert close(before.dense, after.dense)
    graph = quantized_graph(find_checkpoint(folder, precision="int8")).graph
    half = {TensorProto.FLOAT16, TensorProto.BFLOAT16}
    layers = [t.name for t in graph.initializer if t.data_type in half and "dense.weight" in t.name]
    assert layers == []


def test_token_states_are_there_when_asked_for(tiny: Tiny) -> None:
    ids, mask = np.array([[0, 5, 6, 7, 2]]), np.ones((1, 5), np.int32)
    states = [trivec.load(tiny("m3"), threads=1, precision=p).runtime.forward(ids, mask, ["dense"], states=True)
              .token_states for p in ("float32", "int8")]  # fmt: skip
    assert states[0] is not None and states[1] is not None
    assert states[0].shape == states[1].shape == (1, 5, 32)
    assert close(states[0][0], states[1][0])


def integer_products(graph: onnx.GraphProto) -> list[tuple[onnx.NodeProto, NDArray[np.int64]]]:
    """Nodes, and the levels (K, N) that they multiply by."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    nodes = [node for node in graph.node if node.op_type == "MatMulIntegerToFloat"]
    return [(node, numpy_helper.to_array(constants[node.input[1]]).astype(np.int64)) for node in nodes]


def test_every_linear_layer_of_the_encoder_is_an_integer_product_that_cannot_overflow(tiny: Tiny) -> None:
    graph = quantized_graph(find_checkpoint(tiny("m3"), precision="int8")).graph
    products = integer_products(graph)
    assert len(products) == (4 + 2 * quantization.GROUPS) * tiny_models.LAYERS
    for _, levels in products:
        assert 64 < np.abs(levels).max() <= 127
        pairs = np.pad(levels, ((0, len(levels) % 2), (0, 0))).reshape(-1, 2, levels.shape[1])
        assert 255 * np.maximum(pairs, 0).sum(axis=1).max() <= np.iinfo(np.int16).max
        assert 255 * np.minimum(pairs, 0).sum(axis=1).min() >= np.iinfo(np.int16).min
    named = {name for node in graph.node for name in node.input}
    assert [tensor.name for tensor in graph.initializer if not tensor.external_data and tensor.name not in named] == []
    assert [node.op_type for node in graph.node if node.op_type == "Gemm"] == ["Gemm"] * 2  # the heads


def run_graph(model: onnx.ModelProto, folder: Path, names: list[str]) -> dict[str, NDArray[np.float64]]:
    """What tensors hold for a few tokens."""
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    feeds = {"input_ids": np.array([[0, 5, 6, 7, 2]]), "attention_mask": np.ones((1, 5), np.int32)}
    return {name: found.astype(np.float64) for name, found in zip(names, session.run(names, feeds), strict=True)}


def test_integer_layers_are_the_formula(tiny: Tiny) -> None:
    """All layers of both kinds, run by ONNX Runtime, against the sums in float64."""
    checkpoint = find_checkpoint(tiny("m3"), precision="int8")
    model = quantized_graph(checkpoint)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    makers = {node.output[0]: node for node in model.graph.node}
    users = {node.input[0]: node for node in model.graph.node if node.op_type == "Mul"}
    layers = []
    for node, levels in integer_products(model.graph):
        source, sizes = makers[makers[node.input[0]].input[0]].input
        kind = {"signed.zero": SIGNED, "after_gelu.zero": AFTER_GELU}[node.input[4]]
        steps = numpy_helper.to_array(constants[node.input[3]]).astype(np.float64)
        layers.append((kind, levels, steps, source, sizes, users[node.output[0]].output[0]))
    names = list(dict.fromkeys(name for layer in layers for name in layer[3:]))
    values = run_graph(model, checkpoint.folder, names)
    assert {layer[0] for layer in layers} == {SIGNED, AFTER_GELU}
    for kind, levels, steps, source, sizes, product in layers:
        x, m = values[source], values[sizes]
        greatest = (np.abs(x) if kind is SIGNED else x).max(axis=1, keepdims=True)
        np.testing.assert_allclose(m, np.maximum(greatest, kind.least_size), rtol=1e-6)
        q = np.clip(np.rint(x / m * kind.top) + kind.zero, 0, 255)
        exact = m / kind.top * steps * ((q - kind.zero) @ levels)
        np.testing.assert_allclose(values[product], exact, atol=1e-2 * np.abs(exact).max())


def test_every_run_makes_the_same_graph(tiny: Tiny) -> None:
    checkpoint = find_checkpoint(tiny("m3"), precision="int8")
    assert quantized_graph(checkpoint).SerializeToString() == quantized_graph(checkpoint).SerializeToString()


def test_factors_rescue_a_layer_with_an_outlying_channel() -> None:
    random = np.random.default_rng(1)
    rows = random.normal(size=(400, 64)).astype(np.float32)
    rows[:, 7] *= 100
    weight = random.normal(size=(48, 64)).astype(np.float32)
    factors = choose_factors(Inputs.of(rows, [np.arange(64)]), weight)
    assert factors.argmax() == 7
    plain, chosen = (np.square(SIGNED.rounded(rows / each) * each - rows)[:, :7].mean() for each in (1, factors))
    assert chosen < plain / 10


@given(st.integers(1, 40), st.integers(1, 6), st.floats(1e-3, 1e3), st.integers(0, 2**32 - 1))
def test_rounding_errs_by_half_a_step_at_most(width: int, rows: int, size: float, seed: int) -> None:
    random = np.random.default_rng(seed)
    signed = (random.normal(size=(rows, width)) * size).astype(np.float32)
    for levels, values in ((SIGNED, signed), (AFTER_GELU, np.maximum(signed, -0.17))):
        steps = np.maximum(np.abs(values).max(axis=1, keepdims=True), levels.least_size) / levels.top
        assert np.all(np.abs(levels.rounded(values) - values) <= 0.501 * steps)


@pytest.mark.parametrize("levels", [SIGNED, AFTER_GELU], ids=lambda levels: levels.name)
def test_inputs_of_zeros_stay_zero(levels: Levels) -> None:
    assert not levels.rounded(np.zeros((5, 4), np.float32)).any()


def test_calibration_sees_the_same_in_parts_and_at_once() -> None:
    values = np.random.default_rng(2).normal(size=(9, 6)).astype(np.float32)
    groups = [np.array([0, 2, 5]), np.array([1, 3, 4])]
    whole, parts = Inputs.of(values, groups), Inputs.of(values[:4], groups).joined(Inputs.of(values[4:], groups))
    np.testing.assert_array_equal(parts.reach, np.abs(values).max(axis=0))
    np.testing.assert_array_equal(parts.rows, whole.rows)
    for group, moments, found in zip(groups, whole.moments, parts.moments, strict=True):
        np.testing.assert_allclose(moments, values[:, group].T @ values[:, group], rtol=1e-5)
        np.testing.assert_allclose(found, moments, rtol=1e-4, atol=1e-5)


# -- made once ----------------------------------------------------------------------------------------------


def refuse(*_: object) -> None:
    raise AssertionError("it is quantised again")


def test_a_model_is_quantised_once(
    tiny: Tiny, cache: Path, monkeypatch: pytest.MonkeyPatch, same_vectors: Same
) -> None:
    first = load(tiny("m3")).encode(TEXTS)
    assert [path.suffix for path in cache.iterdir()] == [".graph"]
    monkeypatch.setattr(quantization, "quantized_graph", refuse)
    same_vectors(load(tiny("m3")).encode(TEXTS), first, atol=0)
    with pytest.raises(AssertionError, match="quantised again"):
        load(tiny("bert"))


@pytest.mark.parametrize("damage", [lambda b: b[:100], lambda b: b"", lambda b: b[:-1] + bytes([b[-1] ^ 1])])
def test_a_damaged_cache_file_is_made_again(
    tiny: Tiny, cache: Path, caplog: pytest.LogCaptureFixture, same_vectors: Same, damage: Callable[[bytes], bytes]
) -> None:
    first = load(tiny("m3")).encode(TEXTS)
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    path.write_bytes(damage(whole))
    same_vectors(load(tiny("m3")).encode(TEXTS), first, atol=0)
    assert f"{path} is damaged: it is made again" in caplog.text
    assert path.read_bytes() == whole


def test_without_a_place_to_keep_it_a_model_is_quantised_all_the_same(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TRIVEC_CACHE", str(tmp_path / "file"))
    assert load(tiny("bert")).encode(TEXTS).dense is not None
    assert "cannot be kept" in caplog.text


def test_a_head_added_when_loading_has_a_file_of_its_own(tiny: Tiny, cache: Path) -> None:
    load(tiny("bert"))
    encoder = load(tiny("bert"), training_free_width=16)
    assert len(list(cache.iterdir())) == 2
    assert encoder.encode(TEXTS).multi is not None


def test_nothing_is_left_of_a_write_that_fails(tiny: Tiny, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, content: bytes) -> int:
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", full)
    load(tiny("bert"))
    assert list(cache.iterdir()) == []


# -- in folders and libraries -------------------------------------------------------------------------------


def test_an_exported_folder_loads_as_it_was_written(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same_vectors: Same
) -> None:
    encoder = load(tiny("m3"))
    encoder.save(tmp_path / "out")
    monkeypatch.setenv("TRIVEC_CACHE", str(tmp_path / "elsewhere"))
    monkeypatch.setattr(quantization, "quantized_graph", refuse)
    (tmp_path / "out").rename(tmp_path / "moved")
    again = trivec.load(tmp_path / "moved", threads=1)
    assert again.checkpoint.precision == "int8"
    same_vectors(again.encode(TEXTS), encoder.encode(TEXTS), atol=0)
    assert not (tmp_path / "elsewhere").exists()
    exact = trivec.load(tmp_path / "moved", precision="float32", threads=1)
    same_vectors(exact.encode(TEXTS), trivec.load(tiny("m3"), threads=1).encode(TEXTS))


def test_an_exported_folder_needs_neither_torch_nor_onnx(tiny: Tiny, tmp_path: Path) -> None:
    load(tiny("m3")).save(tmp_path / "out")
    script = (
        "import sys, trivec\n"
        "print(trivec.load(sys.argv[1]).runtime.name, 'torch' in sys.modules, 'onnx' in sys.modules, sep=', ')"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "out")]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "onnx in int8 on cpu, False, False"


@pytest.mark.parametrize("layout", ["bge-m3", "sentence-transformers", "plain"])
def test_layouts_of_others_cannot_hold_a_quantised_model(tiny: Tiny, tmp_path: Path, layout: Any) -> None:
    with pytest.raises(ModelError, match="int8 weights"):
        load(tiny("m3")).save(tmp_path / "out", layout)


@pytest.mark.parametrize("value", ["int3", 8, None, ["int8"]])
def test_a_folder_with_an_unknown_precision_is_refused(
    tiny: Tiny, tmp_path: Path, change_json: Change, value: object
) -> None:
    trivec.load(tiny("bert")).save(tmp_path / "out")
    change_json(tmp_path / "out" / "trivec.json", precision=value)
    with pytest.raises(CorruptModelError, match=r"trivec\.json.*precision"):
        read_checkpoint(tmp_path / "out")


def test_fingerprints_tell_precisions_apart(tiny: Tiny) -> None:
    exact, quantised = trivec.load(tiny("bert"), threads=1), load(tiny("bert"))
    weights = exact.fingerprint.weights
    assert trivec.load(tiny("bert"), precision="float32").fingerprint == exact.fingerprint
    assert exact.fingerprint.differences(quantised.fingerprint) == [f"weights: {weights} / {weights} int8, edition 2"]
    assert exact.fingerprint.digest != quantised.fingerprint.digest


def test_a_library_keeps_its_precision_and_refuses_the_other(tiny: Tiny, tmp_path: Path) -> None:
    documents = [trivec.Document(str(number), text) for number, text in enumerate(TEXTS)]
    with trivec.open(tmp_path / "library", model=load(tiny("m3"))) as library:
        library.add(documents)
    with trivec.open(tmp_path / "library") as library:
        assert library.encoder.checkpoint.precision == "int8"
        assert library.search("the capital")[0].id == "0"
    with pytest.raises(LibraryMismatchError, match="int8, edition 2"):
        trivec.open(tmp_path / "library", model=trivec.load(tiny("m3"), threads=1))


def test_the_command_line_passes_precision_on(
    tiny: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "docs.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    model = ["--model", str(tiny("bert")), "--precision", "int8", "--quiet"]
    assert main(["index", "docs.txt", "--out", "library", *model]) == 0
    with trivec.open("library") as library:
        assert library.manifest.model["precision"] == "int8"
        assert library.encoder.checkpoint.precision == "int8"
    assert main(["encode", "docs.txt", "--out", "vectors", *model]) == 0
    assert "int8" in (tmp_path / "vectors" / "vectors.json").read_text(encoding="utf-8")
    assert main(["models", "export", str(tiny("bert")), "--out", "exported", "--precision", "int8"]) == 0
    assert trivec.load("exported", threads=1).checkpoint.precision == "int8"
    assert main(["encode", "docs.txt", "--out", "more", "--precision", "int3"]) == 2
    assert "int3" in capsys.readouterr().err


# -- refused ------------------------------------------------------------------------------------------------


def test_an_unknown_precision_is_refused(tiny: Tiny) -> None:
    with pytest.raises(InputError, match="unknown precision 'int3': choose one of float32, int8"):
        trivec.load(tiny("bert"), precision="int3")


@pytest.mark.parametrize(
    ("options", "words"),
    [({"runtime": "torch"}, "torch was asked for"), ({"device": "cuda"}, "another device"),
     ({"dtype": "bfloat16"}, "another device or dtype"), ({"runtime": "onnx", "device": "cuda"}, "another device")],
    ids=str,
)  # fmt: skip
def test_other_runtimes_refuse_it(tiny: Tiny, options: dict[str, str], words: str) -> None:
    with pytest.raises(InputError, match=f"precision int8 of bert runs on ONNX Runtime on CPU alone, and .*{words}"):
        trivec.load(tiny("bert"), precision="int8", **options)


def test_an_architecture_without_a_graph_is_refused(copy_tiny: Tiny, change_json: Change) -> None:
    folder = copy_tiny("bert")
    change_json(folder / "config.json", hidden_act="relu")
    with pytest.raises(InputError, match="and its activation is 'relu'"):
        load(folder)


def test_a_damaged_weights_file_is_named(copy_tiny: Tiny) -> None:
    folder = copy_tiny("bert")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(CorruptModelError, match=r"model\.safetensors"):
        load(folder)


def test_file_names_say_the_precision(tiny: Tiny) -> None:
    checkpoint = find_checkpoint(tiny("bert"), precision="int8")
    names = {quantized_files.file_name(checkpoint), quantized_files.file_name(checkpoint, states=True)}
    assert len(names) == 2
    assert all(name.startswith("int8-") and name.endswith(".graph") for name in names)


def test_quantising_is_told_to_the_log(tiny: Tiny, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "trivec"):
        load(tiny("bert"))
    assert "quantising bert to int8" in caplog.text
