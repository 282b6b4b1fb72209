"""Model folders that are damaged, dangerous or of no known kind are refused by name."""

from __future__ import annotations

import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import trivec
from trivec.encode.checkpoints import read_checkpoint
from trivec.encode.checkpoints.export import backbone_tensors
from trivec.errors import CorruptModelError, ModelError, UnknownModelError

import tiny_models

Tiny = Callable[[str], Path]
Change = Callable[..., None]
Same = Callable[..., None]

each_runtime = pytest.mark.parametrize("runtime", ["onnx", "torch"])


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


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
def test_a_truncated_file_is_refused(copy_tiny: Tiny, runtime: str, source: str, file: str) -> None:
    folder = copy_tiny(source)
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
def test_a_missing_file_of_a_module_is_refused(copy_tiny: Tiny, file: str) -> None:
    folder = copy_tiny("st-mean")
    (folder / file).unlink()
    with pytest.raises(CorruptModelError, match=str(folder)):
        trivec.load(folder)


@pytest.mark.parametrize("source", ["m3", "st-mean"])
@pytest.mark.parametrize("file", ["config.json", "tokenizer.json"])
def test_a_missing_config_or_tokenizer_is_refused(copy_tiny: Tiny, source: str, file: str) -> None:
    folder = copy_tiny(source)
    (folder / file).unlink()
    with pytest.raises(CorruptModelError, match=file):
        trivec.load(folder)


@each_runtime
def test_missing_weights_are_refused(copy_tiny: Tiny, runtime: str) -> None:
    folder = copy_tiny("bert")
    (folder / "model.safetensors").unlink()
    with pytest.raises(ModelError, match=str(folder) if runtime == "torch" else "no model.safetensors"):
        trivec.load(folder, runtime)


@each_runtime
@pytest.mark.parametrize("name", ["encoder.layer.1.output.dense.weight", "embeddings.word_embeddings.weight"])
def test_a_missing_weight_is_refused_by_name(copy_tiny: Tiny, runtime: str, name: str) -> None:
    folder = copy_tiny("bert")
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
def test_a_config_of_another_model_is_refused(
    change_json: Change, copy_tiny: Tiny, runtime: str, change: dict[str, int]
) -> None:
    folder = copy_tiny("bert")
    change_json(folder / "config.json", **change)
    with pytest.raises(ModelError, match=str(folder)):
        trivec.load(folder, runtime)


@pytest.mark.parametrize("content", ["[]", "{", '"text"', "{}"])
def test_a_config_that_is_none_is_refused(copy_tiny: Tiny, content: str) -> None:
    folder = copy_tiny("bert")
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
def test_a_head_file_that_holds_something_else_is_refused(copy_tiny: Tiny, state: object) -> None:
    """A file without a weight must not pass for a head that is not there."""
    torch = pytest.importorskip("torch")
    folder = copy_tiny("m3")
    torch.save(state, folder / "sparse_linear.pt")
    with pytest.raises(CorruptModelError, match=r"sparse_linear\.pt is no state dict"):
        trivec.load(folder)


@each_runtime
@pytest.mark.parametrize("head", ["sparse", "multi"])
def test_heads_that_the_graph_was_not_made_with_are_refused(
    tiny: Tiny, tmp_path: Path, runtime: str, head: str
) -> None:
    """ONNX would run the heads in the graph and torch those in the file."""
    trivec.load(tiny("m3")).save(tmp_path / "native")
    path = tmp_path / "native" / "heads.safetensors"
    tensors = load_file(path)
    save_file(tensors | {f"{head}.weight": -tensors[f"{head}.weight"]}, path)
    with pytest.raises(CorruptModelError, match=rf"{head}.*export the model again"):
        trivec.load(tmp_path / "native", runtime)


def test_heads_that_come_or_go_after_writing_are_refused(tiny: Tiny, tmp_path: Path) -> None:
    trivec.load(tiny("m3")).save(tmp_path / "with")
    trivec.load(tiny("roberta")).save(tmp_path / "without")
    (tmp_path / "with" / "heads.safetensors").rename(tmp_path / "without" / "heads.safetensors")
    for name in ("with", "without"):
        with pytest.raises(CorruptModelError, match="export the model again"):
            trivec.load(tmp_path / name)


def test_a_dense_layer_that_the_graph_was_not_made_with_is_refused(tiny: Tiny, tmp_path: Path) -> None:
    trivec.load(tiny("st-mean")).save(tmp_path / "native")
    path = tmp_path / "native" / "2_Dense" / "model.safetensors"
    save_file({name: -tensor for name, tensor in load_file(path).items()}, path)
    with pytest.raises(CorruptModelError, match=r"dense 1.*export the model again"):
        trivec.load(tmp_path / "native")


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
    copy_tiny: Tiny, tmp_path: Path, source: str, file: str, zipped: bool
) -> None:
    torch = pytest.importorskip("torch")
    folder, ran = copy_tiny(source), tmp_path / "ran"
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
def test_an_unknown_module_is_refused(copy_tiny: Tiny, kind: str) -> None:
    folder = copy_tiny("st-mean")
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
def test_modules_that_make_no_encoder_are_refused(copy_tiny: Tiny, content: str, message: str) -> None:
    folder = copy_tiny("st-mean")
    (folder / "modules.json").write_text(content)
    with pytest.raises(ModelError, match=message):
        read_checkpoint(folder)


@pytest.mark.parametrize("pooling", ["mean_sqrt_len_tokens", "weightedmean"])
@pytest.mark.parametrize("release", ["classic", "current"])
def test_unknown_pooling_is_refused(tmp_path: Path, pooling: Any, release: Any) -> None:
    folder = tiny_models.write_tiny_bert(tmp_path / "m", "sentence-transformers", pooling, release=release)
    with pytest.raises(ModelError, match="one of cls, mean, max, lasttoken is known"):
        read_checkpoint(folder)


def test_two_poolings_at_once_are_refused(change_json: Change, copy_tiny: Tiny) -> None:
    folder = copy_tiny("st-mean")
    change_json(folder / "1_Pooling" / "config.json", pooling_mode_cls_token=True)
    with pytest.raises(ModelError, match=r"asks for pooling \['cls', 'mean'\]"):
        read_checkpoint(folder)


def test_an_unknown_activation_is_refused(change_json: Change, copy_tiny: Tiny) -> None:
    folder = copy_tiny("st-mean")
    change_json(folder / "2_Dense" / "config.json", activation_function="torch.nn.modules.activation.ReLU")
    with pytest.raises(ModelError, match="activation ReLU"):
        read_checkpoint(folder)


def test_an_architecture_without_a_graph_runs_on_torch(change_json: Change, copy_tiny: Tiny, tmp_path: Path) -> None:
    folder = copy_tiny("bert")
    change_json(folder / "config.json", hidden_act="relu")
    encoder = trivec.load(folder)
    assert encoder.runtime.name == "torch on cpu"
    with pytest.raises(ModelError, match=r"its activation is 'relu'.*runtime='torch'"):
        trivec.load(folder, runtime="onnx")
    with pytest.raises(ModelError, match="its activation is 'relu'"):
        encoder.save(tmp_path / "native", "trivec")
    assert not (tmp_path / "native").exists()
