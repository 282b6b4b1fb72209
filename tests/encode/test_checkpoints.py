"""Model folders of every layout are read."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import tiny_vocabularies
import trivec
from trivec.encode.checkpoints import read_checkpoint
from trivec.encode.checkpoints.export import backbone_tensors
from trivec.errors import CorruptModelError, MissingHeadError, ModelError

import tiny_models

Tiny = Callable[[str], Path]
Change = Callable[..., None]
Same = Callable[..., None]

TEXTS = ["the capital of the country", "", "北京的天气", "Die Hauptstadt, not the river!", "a"]
each_runtime = pytest.mark.parametrize("runtime", ["onnx", "torch"])


def encode(folder: Path, runtime: str = "auto") -> trivec.Embeddings:
    return trivec.load(folder, runtime, threads=1).encode(TEXTS)


def backbone(folder: Path) -> Any:
    """The encoder alone, as transformers has it."""
    transformers = pytest.importorskip("transformers")
    return transformers.AutoModel.from_pretrained(folder).eval()


@each_runtime
@pytest.mark.parametrize("width", [8, 48])
def test_heads_of_any_width_from_either_file(tmp_path: Path, same_vectors: Same, runtime: str, width: int) -> None:
    pickled = tiny_models.write_tiny_m3(tmp_path / "pt", multi_width=width)
    tensors = tiny_models.write_tiny_m3(tmp_path / "safetensors", heads="safetensors", multi_width=width)
    assert read_checkpoint(pickled).layout == read_checkpoint(tensors).layout == "bge-m3"
    assert read_checkpoint(pickled).multi_width == width
    vectors = encode(pickled, runtime)
    assert vectors.heads == ("dense", "sparse", "multi", "terms")
    assert vectors.multi.width == width
    same_vectors(vectors, encode(tensors, runtime), atol=0)


def test_the_heads_are_what_the_formulas_say(copy_tiny: Tiny) -> None:
    """w = relu(W h + b) of the last hidden states, E = norm(W h + b) without CLS."""
    torch = pytest.importorskip("torch")
    folder = copy_tiny("m3")
    raw = trivec.load(folder, "torch")
    ids = np.asarray([raw.tokenizer.tokenize(["the capital city"], 512)[0].ids])
    with torch.inference_mode():
        hidden = backbone(folder)(input_ids=torch.tensor(ids)).last_hidden_state[0].numpy()
    sparse, multi = (torch.load(folder / f"{name}_linear.pt", weights_only=True) for name in ("sparse", "colbert"))
    weights = np.maximum(0, hidden @ sparse["weight"].numpy().T + sparse["bias"].numpy())[:, 0]
    vectors = hidden @ multi["weight"].numpy().T + multi["bias"].numpy()
    given = raw.encode(["the capital city"])
    for position in range(1, ids.shape[1] - 1):
        assert given.sparse[[0], ids[:, position]] == pytest.approx(weights[position], abs=1e-5)
    expected = vectors[1:] / np.linalg.norm(vectors[1:], axis=1, keepdims=True)
    np.testing.assert_allclose(given.multi[0], expected, atol=1e-5)
    np.testing.assert_allclose(given.dense[0], hidden[0] / np.linalg.norm(hidden[0]), atol=1e-5)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
@pytest.mark.parametrize("heads", ["pt", "safetensors"])
def test_half_precision_weights(tmp_path: Path, same_vectors: Same, dtype: Any, heads: Any) -> None:
    half = tiny_models.write_tiny_m3(tmp_path / "half", heads=heads, dtype=dtype)
    same_vectors(encode(half, "onnx"), encode(half, "torch"))
    tolerance = 0.02 if dtype == "float16" else 0.2
    full = tiny_models.write_tiny_m3(tmp_path / "full")
    np.testing.assert_allclose(encode(half, "onnx").dense, encode(full, "onnx").dense, atol=tolerance)


@pytest.mark.parametrize("dtype", ["float32", "float16", "bfloat16"])
def test_pytorch_model_bin_alone(tmp_path: Path, same_vectors: Same, dtype: Any) -> None:
    pickled = tiny_models.write_tiny_m3(tmp_path / "bin", weights="bin", dtype=dtype)
    tensors = tiny_models.write_tiny_m3(tmp_path / "safetensors", dtype=dtype)
    encoder = trivec.load(pickled)
    assert encoder.runtime.name == "torch on cpu"
    same_vectors(encoder.encode(TEXTS), encode(tensors, "torch"))
    with pytest.raises(ModelError, match=r"it has no model\.safetensors.*runtime='torch'"):
        trivec.load(pickled, runtime="onnx")


@pytest.mark.parametrize("pooling", ["cls", "mean", "max", "lasttoken"])
@pytest.mark.parametrize("release", ["classic", "current"])
@pytest.mark.parametrize(("dense_module", "normalize"), [(False, True), (True, True), (True, False), (False, False)])
def test_sentence_transformers_folders_of_both_releases(
    tmp_path: Path, pooling: Any, release: Any, dense_module: bool, normalize: bool
) -> None:
    folder = tiny_models.write_tiny_bert(
        tmp_path / "model", "sentence-transformers", pooling, dense_module, normalize, {"query": "q: "}, release
    )
    checkpoint = read_checkpoint(folder)
    assert checkpoint.layout == "sentence-transformers"
    assert checkpoint.pooling == pooling.replace("lasttoken", "last")
    assert checkpoint.normalize == normalize
    assert checkpoint.dense_width == (16 if dense_module else 32)
    assert (checkpoint.query_prompt, checkpoint.document_prompt) == ("q: ", "")
    assert checkpoint.max_length == tiny_vocabularies.MAX_LENGTH


@each_runtime
@pytest.mark.parametrize("pooling", ["cls", "mean", "max", "lasttoken"])
def test_pooling_by_the_states_of_the_tokens(tmp_path: Path, runtime: str, pooling: Any) -> None:
    """Raw states as multi-vectors show what is pooled; long and short texts share a batch."""
    folder = tiny_models.write_tiny_bert(tmp_path / "m", "sentence-transformers", pooling, normalize=False)
    torch = pytest.importorskip("torch")
    encoder = trivec.load(folder, runtime)
    dense = encoder.encode(TEXTS, heads=["dense"]).dense
    model = backbone(folder)
    for row, text in zip(dense, encoder.tokenizer.tokenize(TEXTS, 512), strict=True):
        with torch.inference_mode():
            states = model(input_ids=torch.tensor([text.ids])).last_hidden_state[0].numpy()
        expected = {"cls": states[0], "mean": states.mean(0), "max": states.max(0), "lasttoken": states[-1]}
        np.testing.assert_allclose(row, expected[pooling], atol=1e-5)


@pytest.mark.parametrize("names", [("query", "document"), ("query", "passage"), ("query", "corpus")])
def test_prompts_under_their_usual_names(tmp_path: Path, names: tuple[str, str]) -> None:
    prompts = dict(zip(names, ("query: ", "passage:  "), strict=True))
    folder = tiny_models.write_tiny_bert(tmp_path / "model", "sentence-transformers", prompts=prompts)
    checkpoint = read_checkpoint(folder)
    assert (checkpoint.query_prompt, checkpoint.document_prompt) == ("query: ", "passage:  ")


def test_a_plain_folder(tiny: Tiny) -> None:
    checkpoint = read_checkpoint(tiny("roberta"))
    assert checkpoint.layout == "plain"
    assert (checkpoint.pooling, checkpoint.normalize) == ("cls", True)
    assert checkpoint.max_length == 512
    assert read_checkpoint(tiny("bert")).max_length == 512
    assert trivec.load(tiny("roberta")).heads == ("dense", "terms")


@each_runtime
def test_a_backbone_in_a_folder_of_its_own(copy_tiny: Tiny, same_vectors: Same, runtime: str) -> None:
    folder = copy_tiny("st-mean")
    expected = encode(folder, runtime)
    (folder / "0_Transformer").mkdir()
    names = ("config.json", "model.safetensors", "tokenizer.json", "sentence_bert_config.json")
    for name in names:
        (folder / name).rename(folder / "0_Transformer" / name)
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    (folder / "modules.json").write_text(json.dumps(modules))
    same_vectors(encode(folder, runtime), expected, atol=0)


@each_runtime
@pytest.mark.parametrize(("name", "prefix"), [("bert", "bert."), ("roberta", "roberta."), ("m3", "roberta.")])
def test_weights_saved_by_a_model_with_a_task_head(
    copy_tiny: Tiny, same_vectors: Same, runtime: str, name: str, prefix: str
) -> None:
    folder = copy_tiny(name)
    expected = encode(folder, runtime)
    tensors = load_file(folder / "model.safetensors")
    save_file({prefix + key: tensor for key, tensor in tensors.items()}, folder / "model.safetensors", {"format": "pt"})
    same_vectors(encode(folder, runtime), expected, atol=1e-6)


def test_weights_in_several_files(copy_tiny: Tiny, same_vectors: Same, tmp_path: Path) -> None:
    folder = copy_tiny("m3")
    expected = encode(folder, "torch")
    split_weights(folder)
    same_vectors(encode(folder), expected)
    trivec.load(folder).save(tmp_path / "whole")
    same_vectors(encode(tmp_path / "whole", "onnx"), expected)
    (folder / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(CorruptModelError, match="model-00002-of-00002"):
        backbone_tensors(folder)
    with pytest.raises(CorruptModelError):
        trivec.load(folder)


def split_weights(folder: Path) -> None:
    """Put the weights into two files and an index, as large models have them."""
    tensors = load_file(folder / "model.safetensors")
    (folder / "model.safetensors").unlink()
    weight_map = {name: f"model-0000{1 + number % 2}-of-00002.safetensors" for number, name in enumerate(tensors)}
    for part in set(weight_map.values()):
        save_file(
            {name: tensors[name] for name in tensors if weight_map[name] == part}, folder / part, {"format": "pt"}
        )
    index = {"metadata": {}, "weight_map": weight_map}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def test_pooling_that_leaves_the_prompt_out_is_not_mistaken_for_another(change_json: Change, copy_tiny: Tiny) -> None:
    """sentence-transformers folders may say so; the mean over all tokens would be silently wrong."""
    folder = copy_tiny("st-mean")
    change_json(folder / "1_Pooling" / "config.json", include_prompt=False)
    with pytest.raises(ModelError, match="leaves prompts out of the pooling"):
        read_checkpoint(folder)


@each_runtime
@pytest.mark.parametrize(
    ("file", "missing", "heads"),
    [
        ("sparse_linear.pt", "sparse", ("dense", "multi", "terms")),
        ("colbert_linear.pt", "multi", ("dense", "sparse", "terms")),
    ],
)
def test_one_head_missing(copy_tiny: Tiny, runtime: str, file: str, missing: str, heads: tuple[str, ...]) -> None:
    folder = copy_tiny("m3")
    (folder / file).unlink()
    encoder = trivec.load(folder, runtime)
    assert encoder.encode(TEXTS).heads == heads
    with pytest.raises(MissingHeadError, match=f"has no '{missing}' head"):
        encoder.encode(TEXTS, heads=["dense", missing])


def test_one_head_missing_in_the_safetensors_file(tmp_path: Path) -> None:
    folder = tiny_models.write_tiny_m3(tmp_path / "m3", heads="safetensors")
    tensors = load_file(folder / "heads.safetensors")
    save_file({name: tensors[name] for name in tensors if name.startswith("sparse")}, folder / "heads.safetensors")
    with pytest.raises(MissingHeadError, match="has no 'multi' head"):
        trivec.load(folder).encode(TEXTS, heads=["multi"])
