"""Model folders of every layout: read, refused, and written again."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import trivec
from trivec.encode.checkpoints import export, native, read_checkpoint
from trivec.encode.checkpoints.export import LAYOUTS, backbone_tensors
from trivec.errors import CorruptModelError, InputError, MissingHeadError, ModelError, UnknownModelError

import tiny_models

Tiny = Callable[[str], Path]
Same = Callable[..., None]

TEXTS = ["the capital of the country", "", "北京的天气", "Die Hauptstadt, not the river!", "a"]
each_runtime = pytest.mark.parametrize("runtime", ["onnx", "torch"])


@pytest.fixture
def copy(tiny: Tiny, tmp_path: Path) -> Tiny:
    """A copy of a tiny checkpoint, to be changed by the test."""
    return lambda name: Path(shutil.copytree(tiny(name), tmp_path / name))


def encode(folder: Path, runtime: str = "auto") -> trivec.Embeddings:
    return trivec.load(folder, runtime, threads=1).encode(TEXTS)


def change_json(path: Path, **changes: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | changes), encoding="utf-8")


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


# -- reading ----------------------------------------------------------------------------------------------------------


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


def test_the_heads_are_what_the_formulas_say(copy: Tiny) -> None:
    """w = relu(W h + b) of the last hidden states, E = norm(W h + b) without CLS."""
    torch = pytest.importorskip("torch")
    folder = copy("m3")
    raw = trivec.load(folder, "torch")
    ids = np.asarray([raw.tokenizer.tokenize(["the capital city"], 512)[0].ids])
    with torch.inference_mode():
        hidden = raw.runtime._model(input_ids=torch.tensor(ids)).last_hidden_state[0].numpy()
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
    assert checkpoint.max_length == tiny_models.MAX_LENGTH


@each_runtime
@pytest.mark.parametrize("pooling", ["cls", "mean", "max", "lasttoken"])
def test_pooling_by_the_states_of_the_tokens(tmp_path: Path, runtime: str, pooling: Any) -> None:
    """Raw states as multi-vectors show what is pooled; long and short texts share a batch."""
    folder = tiny_models.write_tiny_bert(tmp_path / "m", "sentence-transformers", pooling, normalize=False)
    torch = pytest.importorskip("torch")
    encoder = trivec.load(folder, runtime)
    dense = encoder.encode(TEXTS, heads=["dense"]).dense
    model = trivec.load(folder, "torch").runtime._model
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
def test_a_backbone_in_a_folder_of_its_own(copy: Tiny, same_vectors: Same, runtime: str) -> None:
    folder = copy("st-mean")
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
    copy: Tiny, same_vectors: Same, runtime: str, name: str, prefix: str
) -> None:
    folder = copy(name)
    expected = encode(folder, runtime)
    tensors = load_file(folder / "model.safetensors")
    save_file({prefix + key: tensor for key, tensor in tensors.items()}, folder / "model.safetensors", {"format": "pt"})
    same_vectors(encode(folder, runtime), expected, atol=1e-6)


def test_weights_in_several_files(copy: Tiny, same_vectors: Same, tmp_path: Path) -> None:
    folder = copy("m3")
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


def test_pooling_that_leaves_the_prompt_out_is_not_mistaken_for_another(copy: Tiny) -> None:
    """sentence-transformers folders may say so; the mean over all tokens would be silently wrong."""
    folder = copy("st-mean")
    change_json(folder / "1_Pooling" / "config.json", include_prompt=False)
    with pytest.raises(ModelError, match="leaves prompts out of the pooling"):
        read_checkpoint(folder)


# -- missing heads ----------------------------------------------------------------------------------------------------


@each_runtime
@pytest.mark.parametrize(
    ("file", "missing", "heads"),
    [
        ("sparse_linear.pt", "sparse", ("dense", "multi", "terms")),
        ("colbert_linear.pt", "multi", ("dense", "sparse", "terms")),
    ],
)
def test_one_head_missing(copy: Tiny, runtime: str, file: str, missing: str, heads: tuple[str, ...]) -> None:
    folder = copy("m3")
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


# -- damage -----------------------------------------------------------------------------------------------------------


@each_runtime
@pytest.mark.parametrize(
    ("source", "file"),
    [
        ("m3", "model.safetensors"),
        ("m3", "sparse_linear.pt"),
        ("m3", "colbert_linear.pt"),
        ("m3", "config.json"),
        ("m3", "tokenizer.json"),
        ("m3", "modules.json"),
        ("m3", "1_Pooling/config.json"),
        ("st-mean", "2_Dense/model.safetensors"),
        ("st-mean", "2_Dense/config.json"),
        ("st-mean", "sentence_bert_config.json"),
        ("st-mean", "config_sentence_transformers.json"),
    ],
)
def test_a_truncated_file_is_refused(copy: Tiny, runtime: str, source: str, file: str) -> None:
    folder = copy(source)
    truncate(folder / file)
    with pytest.raises(CorruptModelError, match=str(folder)):
        trivec.load(folder, runtime)


@pytest.mark.parametrize("file", ["model.safetensors", "model.onnx", "heads.safetensors", "trivec.json"])
def test_a_truncated_file_of_the_native_layout_is_refused(tiny: Tiny, tmp_path: Path, file: str) -> None:
    trivec.load(tiny("m3")).save(tmp_path / "native")
    truncate(tmp_path / "native" / file)
    with pytest.raises(CorruptModelError, match=str(tmp_path)):
        trivec.load(tmp_path / "native")


def test_a_truncated_pickle_of_weights_is_refused(tmp_path: Path) -> None:
    folder = tiny_models.write_tiny_bert(tmp_path / "bert", weights="bin")
    truncate(folder / "pytorch_model.bin")
    with pytest.raises(CorruptModelError):
        trivec.load(folder)
    with pytest.raises(CorruptModelError):
        backbone_tensors(folder)


@pytest.mark.parametrize("file", ["1_Pooling/config.json", "2_Dense/config.json", "2_Dense/model.safetensors"])
def test_a_missing_file_of_a_module_is_refused(copy: Tiny, file: str) -> None:
    folder = copy("st-mean")
    (folder / file).unlink()
    with pytest.raises(CorruptModelError, match=str(folder)):
        trivec.load(folder)


@pytest.mark.parametrize("source", ["m3", "st-mean"])
@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
def test_a_missing_config_or_tokenizer_is_refused(copy: Tiny, source: str, file: str) -> None:
    folder = copy(source)
    (folder / file).unlink()
    with pytest.raises(CorruptModelError, match=file):
        trivec.load(folder)


@each_runtime
def test_missing_weights_are_refused(copy: Tiny, runtime: str) -> None:
    folder = copy("bert")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=str(folder) if runtime == "torch" else "no model.safetensors"):
        trivec.load(folder, runtime)


@each_runtime
@pytest.mark.parametrize("name", ["encoder.layer.1.output.dense.weight", "embeddings.word_embeddings.weight"])
def test_a_missing_weight_is_refused_by_name(copy: Tiny, runtime: str, name: str) -> None:
    folder = copy("bert")
    tensors = load_file(folder / "model.safetensors")
    del tensors[name]
    save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    with pytest.raises(CorruptModelError, match=name.split(".")[1].replace("_", ".")):
        trivec.load(folder, runtime)


@each_runtime
@pytest.mark.parametrize(
    "change",
    [{"num_hidden_layers": 3}, {"num_attention_heads": 5}, {"hidden_size": 64}, {"max_position_embeddings": 4000}],
    ids=str,
)
def test_a_config_of_another_model_is_refused(copy: Tiny, runtime: str, change: dict[str, int]) -> None:
    folder = copy("bert")
    change_json(folder / "config.json", **change)
    with pytest.raises(ModelError, match=str(folder)):
        trivec.load(folder, runtime)


@pytest.mark.parametrize("content", ["[]", "{", '"text"', "{}"])
def test_a_config_that_is_none_is_refused(copy: Tiny, content: str) -> None:
    folder = copy("bert")
    (folder / "config.json").write_text(content)
    with pytest.raises(CorruptModelError, match=r"config\.json"):
        trivec.load(folder)


def test_an_empty_folder_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(UnknownModelError, match=r"no config\.json, modules\.json or trivec\.json"):
        read_checkpoint(tmp_path)


@pytest.mark.parametrize("heads", ["pt", "safetensors"])
@pytest.mark.parametrize("head", ["sparse", "multi"])
def test_a_head_of_another_width_is_refused(tmp_path: Path, heads: Any, head: str) -> None:
    folder = tiny_models.write_tiny_m3(tmp_path / "m3", heads=heads)
    write_head(folder, heads, head, np.zeros((1 if head == "sparse" else 8, 31), np.float32))
    with pytest.raises(CorruptModelError, match=r"31\), which does not fit a backbone of width 32"):
        trivec.load(folder)


@pytest.mark.parametrize("heads", ["pt", "safetensors"])
@pytest.mark.parametrize("shape", [(2, 32), (32,)])
def test_a_lexical_head_of_another_shape_is_refused(tmp_path: Path, heads: Any, shape: tuple[int, ...]) -> None:
    folder = tiny_models.write_tiny_m3(tmp_path / "m3", heads=heads)
    write_head(folder, heads, "sparse", np.zeros(shape, np.float32))
    with pytest.raises(CorruptModelError, match="the sparse head"):
        trivec.load(folder)


@pytest.mark.parametrize("bias", [np.zeros(7, np.float32), np.zeros((1, 8), np.float32)])
def test_a_bias_that_does_not_fit_its_weight_is_refused(tmp_path: Path, bias: np.ndarray) -> None:
    folder = tiny_models.write_tiny_m3(tmp_path / "m3", heads="safetensors", multi_width=8)
    tensors = load_file(folder / "heads.safetensors")
    save_file(tensors | {"multi.bias": bias}, folder / "heads.safetensors")
    with pytest.raises(CorruptModelError, match="multi"):
        trivec.load(folder)


def write_head(folder: Path, heads: str, head: str, weight: np.ndarray) -> None:
    """Replace the weight of a head and leave its bias."""
    if heads == "safetensors":
        tensors = load_file(folder / "heads.safetensors")
        save_file(tensors | {f"{head}.weight": weight}, folder / "heads.safetensors")
        return
    torch = pytest.importorskip("torch")
    path = folder / {"sparse": "sparse_linear.pt", "multi": "colbert_linear.pt"}[head]
    torch.save(torch.load(path, weights_only=True) | {"weight": torch.tensor(weight)}, path)


@pytest.mark.parametrize(
    "state", [[1, 2], {"weight": "text"}, {"linear.weight": 1}, {}], ids=["list", "text", "other name", "empty"]
)
def test_a_head_file_that_holds_something_else_is_refused(copy: Tiny, state: object) -> None:
    """A file without a weight must not pass for a head that is not there."""
    torch = pytest.importorskip("torch")
    folder = copy("m3")
    torch.save(state, folder / "sparse_linear.pt")
    with pytest.raises(CorruptModelError, match=r"sparse_linear\.pt is no state dict"):
        trivec.load(folder)


class Attack:
    """Pickled, it makes a folder when it is loaded."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize(
    ("source", "file"),
    [
        ("m3", "sparse_linear.pt"),
        ("m3", "colbert_linear.pt"),
        ("m3", "pytorch_model.bin"),
        ("st-mean", "2_Dense/pytorch_model.bin"),
    ],
)
@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.filterwarnings("ignore:Detected pickle protocol:UserWarning:torch")
def test_a_pickle_with_code_in_it_is_refused_and_not_run(
    copy: Tiny, tmp_path: Path, source: str, file: str, zipped: bool
) -> None:
    torch = pytest.importorskip("torch")
    folder, ran = copy(source), tmp_path / "ran"
    (folder / file).with_name("model.safetensors").unlink(missing_ok=True)
    if zipped:
        torch.save({"weight": Attack(ran), "linear.weight": Attack(ran)}, folder / file)
    else:
        (folder / file).write_bytes(pickle.dumps({"weight": Attack(ran)}, protocol=2))
    with pytest.raises(CorruptModelError, match=str(folder)):
        trivec.load(folder, runtime="torch")
    if file == "pytorch_model.bin":
        with pytest.raises(CorruptModelError, match=str(folder)):
            backbone_tensors(folder)
    assert not ran.exists()


@pytest.mark.parametrize("kind", ["WordEmbeddings", "CNN", "LayerNorm", "my_package.Custom"])
def test_an_unknown_module_is_refused(copy: Tiny, kind: str) -> None:
    folder = copy("st-mean")
    modules = json.loads((folder / "modules.json").read_text())
    modules[2]["type"] = f"sentence_transformers.models.{kind}"
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(ModelError, match=rf"uses the module sentence_transformers\.models\.{kind}"):
        read_checkpoint(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("[]", "modules.json cannot be read"),
        ("{}", "modules.json cannot be read"),
        ("[3]", "modules.json cannot be read"),
        ('[{"idx": 0, "path": "", "type": "sentence_transformers.models.WordEmbeddings"}]', "not with a Transformer"),
        ('[{"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"}]', "no pooling module"),
        ('[{"idx": 0, "type": "sentence_transformers.models.Transformer"}]', "modules.json cannot be read"),
        ('[{"path": "", "type": "sentence_transformers.models.Transformer"}]', "modules.json cannot be read"),
    ],
)
def test_modules_that_make_no_encoder_are_refused(copy: Tiny, content: str, message: str) -> None:
    folder = copy("st-mean")
    (folder / "modules.json").write_text(content)
    with pytest.raises(ModelError, match=message):
        read_checkpoint(folder)


@pytest.mark.parametrize("pooling", ["mean_sqrt_len_tokens", "weightedmean"])
@pytest.mark.parametrize("release", ["classic", "current"])
def test_unknown_pooling_is_refused(tmp_path: Path, pooling: Any, release: Any) -> None:
    folder = tiny_models.write_tiny_bert(tmp_path / "m", "sentence-transformers", pooling, release=release)
    with pytest.raises(ModelError, match="one of cls, mean, max, lasttoken is known"):
        read_checkpoint(folder)


def test_two_poolings_at_once_are_refused(copy: Tiny) -> None:
    folder = copy("st-mean")
    change_json(folder / "1_Pooling" / "config.json", pooling_mode_cls_token=True)
    with pytest.raises(ModelError, match=r"asks for pooling \['cls', 'mean'\]"):
        read_checkpoint(folder)


def test_an_unknown_activation_is_refused(copy: Tiny) -> None:
    folder = copy("st-mean")
    change_json(folder / "2_Dense" / "config.json", activation_function="torch.nn.modules.activation.ReLU")
    with pytest.raises(ModelError, match="activation ReLU"):
        read_checkpoint(folder)


def test_an_architecture_without_a_graph_runs_on_torch(copy: Tiny, tmp_path: Path) -> None:
    folder = copy("bert")
    change_json(folder / "config.json", hidden_act="relu")
    encoder = trivec.load(folder)
    assert encoder.runtime.name == "torch on cpu"
    with pytest.raises(ModelError, match=r"its activation is 'relu'.*runtime='torch'"):
        trivec.load(folder, runtime="onnx")
    with pytest.raises(ModelError, match="its activation is 'relu'"):
        encoder.save(tmp_path / "native", "trivec")
    assert not (tmp_path / "native").exists()


# -- writing ----------------------------------------------------------------------------------------------------------

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


@pytest.fixture
def source(request: pytest.FixtureRequest, copy: Tiny) -> trivec.Encoder:
    """An encoder by the names in `HELD`."""
    name = request.param
    if name in ("free", "raw"):
        return trivec.load(copy("bert"), training_free_width={"free": 16, "raw": 32}[name])
    folder = copy("m3" if name == "no-multi" else name)
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


def test_the_native_layout_keeps_name_prompts_length_and_settings(copy: Tiny, tmp_path: Path) -> None:
    folder = copy("st-mean")
    change_json(folder / "sentence_bert_config.json", max_seq_length=100)
    encoder = trivec.load(folder)
    encoder.save(tmp_path / "a")
    change_json(tmp_path / "a" / "trivec.json", search={"fusion": "rrf"})
    trivec.load(tmp_path / "a").save(tmp_path / "b")
    again = read_checkpoint(tmp_path / "b")
    assert (again.name, again.max_length, again.settings) == ("st-mean", 100, {"fusion": "rrf"})
    assert (again.query_prompt, again.document_prompt) == ("query: ", "passage: ")


def test_training_free_heads_stay_marked(copy: Tiny, tmp_path: Path) -> None:
    """Also where the bge-m3 layout, which has no such mark, could hold their numbers."""
    folder = copy("m3")
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


@pytest.mark.parametrize("layout", ["trivec", "bge-m3", "sentence-transformers"])
@pytest.mark.parametrize("name", ["m3", "st-mean"])
def test_written_folders_load_in_sentence_transformers(tiny: Tiny, tmp_path: Path, layout: Any, name: str) -> None:
    package = pytest.importorskip("sentence_transformers")
    if HELD[name, layout] is None:
        pytest.skip("this layout cannot hold it")
    encoder = trivec.load(tiny(name))
    encoder.save(tmp_path / "new", layout)
    model = package.SentenceTransformer(str(tmp_path / "new"), device="cpu", local_files_only=True)
    assert model.max_seq_length == encoder.max_length
    texts = [text for text in TEXTS if text]
    np.testing.assert_allclose(model.encode(texts), encoder.encode(texts, ["dense"]).dense, atol=1e-5)
    queries = model.encode(texts, prompt_name="query" if encoder.checkpoint.query_prompt else None)
    np.testing.assert_allclose(queries, encoder.encode_queries(texts, ["dense"]).dense, atol=1e-5)


@pytest.mark.parametrize("layout", ["trivec", "bge-m3", "sentence-transformers"])
def test_lower_casing_by_sentence_transformers_is_followed(copy: Tiny, tmp_path: Path, layout: Any) -> None:
    """``do_lower_case`` of ``sentence_bert_config.json`` counts for tokenizers that keep case."""
    package = pytest.importorskip("sentence_transformers")
    folder, texts = copy("m3"), ["The Capital CITY", "İstanbul, the city"]
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


# -- the native layout ------------------------------------------------------------------------------------------------


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


def test_a_native_folder_of_a_newer_trivec_is_refused(tiny: Tiny, tmp_path: Path) -> None:
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
def test_a_damaged_manifest_is_refused(tiny: Tiny, tmp_path: Path, change: dict[str, object]) -> None:
    trivec.load(tiny("bert")).save(tmp_path / "native")
    change_json(tmp_path / "native" / "trivec.json", **change)
    with pytest.raises(CorruptModelError, match=r"trivec\.json"):
        read_checkpoint(tmp_path / "native")


def test_a_native_folder_can_be_moved(tiny: Tiny, tmp_path: Path, same_vectors: Same) -> None:
    trivec.load(tiny("m3")).save(tmp_path / "native")
    expected = encode(tmp_path / "native")
    (tmp_path / "native").rename(tmp_path / "moved")
    same_vectors(encode(tmp_path / "moved"), expected, atol=0)
