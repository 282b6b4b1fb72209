"""The trainable encoder gives what `Encoder` gives, trains what it should, and becomes what is saved."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from torch import Tensor

import trivec
from trivec.encode.checkpoints import Checkpoint, MultiHead, read_checkpoint
from trivec.encode.delta import Delta
from trivec.encode.pipeline import pad
from trivec.encode.training_free import training_free_head
from trivec.errors import InputError
from trivec.train.lora import LoraLinear, LoraOptions
from trivec.train.model import TrainableEncoder
from trivec.train.trained import backbone_tensors, delta_tensors, head_tensors, trained_checkpoint
from trivec.train.vectors import TextVectors

import tiny_models

TEXTS = [
    "the capital of the country is the city by the river",
    "",
    "Die Hauptstadt!",
    "北京的天气, 🎉",
    "the the the the the the the the the the the the the the the the the the the the",
    "a",
    "</s> <s> [CLS] [SEP] <mask>",
    "the capital of the country is the city by the water",
]
PROMPTS = {"query": "query: ", "document": "passage: "}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("training")
    tiny_models.write_tiny_m3(root / "m3", multi_width=16)
    tiny_models.write_tiny_roberta(root / "roberta")
    tiny_models.write_tiny_bert(root / "bert")
    for pooling in ("cls", "mean", "max", "lasttoken"):
        tiny_models.write_tiny_bert(
            root / pooling, "sentence-transformers", pooling, dense_module=True, prompts=PROMPTS
        )
    tiny_models.write_tiny_bert(root / "long", "sentence-transformers", "mean", normalize=False)
    return root


@pytest.fixture(scope="module")
def m3(folders: Path) -> Checkpoint:
    return read_checkpoint(folders / "m3")


def token_batch(encoder: trivec.Encoder, texts: Sequence[str], prompt: str = "") -> tuple[Tensor, Tensor, Tensor]:
    tokenized = encoder.tokenizer.tokenize(texts, encoder.max_length, prompt)
    ids, mask = pad([np.asarray(text.ids, np.int64) for text in tokenized], encoder.pad_id)
    prompts = torch.tensor([text.prompt_tokens for text in tokenized])
    return torch.from_numpy(ids), torch.from_numpy(mask).long(), prompts


def terms_of(vectors: TextVectors, width: int) -> np.ndarray[Any, Any]:
    assert vectors.weights is not None and vectors.tokens is not None
    rows = torch.zeros(len(vectors), width, dtype=vectors.weights.dtype)
    return rows.scatter_reduce(1, vectors.tokens, vectors.weights.detach(), "amax").numpy()


def check_equal(encoder: trivec.Encoder, model: TrainableEncoder, prompt: str, tolerance: float = 2e-6) -> None:
    vectors = model(*token_batch(encoder, TEXTS, prompt))
    expected = encoder.encode(TEXTS, prompt=prompt)
    assert expected.dense is not None and expected.multi is not None
    np.testing.assert_allclose(vectors.dense.detach().numpy(), expected.dense, atol=tolerance)
    for row, multi in enumerate(expected.multi):
        own = vectors.multi[row][vectors.multi_mask[row]].detach().numpy()
        assert len(own) == len(multi)
        np.testing.assert_allclose(own, multi, atol=tolerance)
    assert (vectors.multi[~vectors.multi_mask] == 0).all()
    if expected.sparse is not None:
        np.testing.assert_allclose(
            terms_of(vectors, expected.sparse.shape[1]), expected.sparse.toarray(), atol=tolerance
        )


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("name", ["m3", "roberta", "bert", "cls", "mean", "max", "lasttoken", "long"])
def test_gives_what_the_encoder_gives(folders: Path, name: str, packed: bool) -> None:
    encoder = trivec.load(folders / name, runtime="torch", training_free_width=16)
    heads = encoder.heads[:-1]
    model = TrainableEncoder.from_checkpoint(encoder.checkpoint, heads).eval()
    assert model.packs
    if not packed:
        model = TrainableEncoder.from_checkpoint(encoder.checkpoint, heads).eval()
        model._is_packed = False
    check_equal(encoder, model, "")
    check_equal(encoder, model, "the query: ")


def test_padding_changes_nothing(m3: Checkpoint) -> None:
    encoder = trivec.load(m3.folder, runtime="torch")
    for packed in (True, False):
        model = TrainableEncoder.from_checkpoint(m3).double().eval()
        model._is_packed = None if packed else False
        together = model(*token_batch(encoder, TEXTS, "query: "))
        for row, text in enumerate(TEXTS):
            alone = model(*token_batch(encoder, [text], "query: "))
            for own, padded in zip(alone.tensors(), together.tensors(), strict=True):
                torch.testing.assert_close(own[0], padded[row][tuple(map(slice, own[0].shape))], atol=1e-12, rtol=0)


def test_packed_and_padded_gradients_agree(m3: Checkpoint) -> None:
    encoder = trivec.load(m3.folder, runtime="torch")
    gradients = []
    for packed in (True, False):
        model = TrainableEncoder.from_checkpoint(m3, dropout=0.0).double()
        model._is_packed = None if packed else False
        vectors = model(*token_batch(encoder, TEXTS))
        sum(tensor.square().mean() + (tensor.sum(1) ** 3).mean() for tensor in vectors.tensors()).backward()
        gradients.append([weight.grad for weight in model.parameters()])
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=1e-9)


def test_words_looked_up_before_give_the_same(m3: Checkpoint) -> None:
    encoder = trivec.load(m3.folder, runtime="torch")
    batch = token_batch(encoder, TEXTS)
    for packed in (True, False):
        model = TrainableEncoder.from_checkpoint(m3, dropout=0.0)
        model._is_packed = None if packed else False
        plain = model(*batch)
        shared = model(*batch, words=model.look_up(batch[0], batch[0]))
        for one, other in zip(plain.tensors(), shared.tensors(), strict=True):
            assert torch.equal(one, other)


def test_dropout_is_the_models_or_what_was_asked_for(m3: Checkpoint) -> None:
    encoder = trivec.load(m3.folder, runtime="torch")
    batch = token_batch(encoder, TEXTS)

    def differs(model: TrainableEncoder) -> bool:
        torch.manual_seed(1)
        first = model(*batch).dense
        return not torch.equal(first, model(*batch).dense)

    assert differs(TrainableEncoder.from_checkpoint(m3))
    assert not differs(TrainableEncoder.from_checkpoint(m3).eval())
    quiet = TrainableEncoder.from_checkpoint(m3, dropout=0.0)
    assert not differs(quiet)
    assert quiet.config.hidden_dropout_prob == 0.1
    attention_only = TrainableEncoder.from_checkpoint(m3, dropout=0.0)
    for layer in attention_only.backbone.encoder.layer:
        layer.attention.self.dropout.p = 0.5
    assert differs(attention_only)


@pytest.mark.parametrize("frozen", [{"freeze_embeddings": True}, {"freeze_layers": 1}])
def test_what_is_frozen_has_no_gradient_under_checkpointing(m3: Checkpoint, frozen: dict[str, Any]) -> None:
    model = TrainableEncoder.from_checkpoint(m3, **frozen)
    model.gradient_checkpointing_enable()
    wants_gradient: list[bool] = []
    words = model.backbone.get_input_embeddings()
    words.register_forward_hook(lambda module, given, looked_up: wants_gradient.append(looked_up.requires_grad))
    ids = torch.arange(5, 11)[None]
    vectors = model(ids, torch.ones_like(ids))
    assert vectors.dense is not None and vectors.dense.requires_grad
    vectors.dense.sum().backward()
    assert wants_gradient and not any(wants_gradient)
    model.gradient_checkpointing_disable()


def test_gradient_checkpointing_keeps_the_gradient(m3: Checkpoint) -> None:
    encoder = trivec.load(m3.folder, runtime="torch")
    batch = token_batch(encoder, TEXTS)
    gradients = []
    for enabled in (False, True):
        model = TrainableEncoder.from_checkpoint(m3)
        if enabled:
            model.gradient_checkpointing_enable()
        assert model.is_gradient_checkpointing is enabled
        torch.manual_seed(3)
        sum(tensor.square().sum() for tensor in model(*batch).tensors()[1:]).backward()
        gradients.append(model.backbone.embeddings.word_embeddings.weight.grad)
        model.gradient_checkpointing_disable()
        assert not model.is_gradient_checkpointing
    torch.testing.assert_close(gradients[0], gradients[1])


def test_missing_heads_are_made_and_said_so(folders: Path, caplog: pytest.LogCaptureFixture) -> None:
    checkpoint = read_checkpoint(folders / "bert")
    with caplog.at_level(logging.INFO, "trivec"):
        model = TrainableEncoder.from_checkpoint(checkpoint, multi_width=8, seed=5)
    assert "no sparse head" in caplog.text and "no multi-vector head" in caplog.text
    np.testing.assert_array_equal(model.multi.weight.detach(), training_free_head(32, 8, 5).linear.weight)
    again = TrainableEncoder.from_checkpoint(checkpoint, multi_width=8, seed=5)
    other = TrainableEncoder.from_checkpoint(checkpoint, multi_width=8, seed=6)
    assert torch.equal(model.sparse.weight, again.sparse.weight)
    assert not torch.equal(model.sparse.weight, other.sparse.weight)
    encoder = trivec.load(folders / "bert", runtime="torch")
    weights = model.eval()(*token_batch(encoder, ["the capital city of the country"])).weights[0, 1:-1]
    assert (weights > 0).all() and 0.05 < weights.mean() < 0.2
    assert TrainableEncoder.from_checkpoint(checkpoint).multi.out_features == 32


def test_only_heads_are_trained_on_a_frozen_encoder(m3: Checkpoint, folders: Path) -> None:
    encoder = trivec.load(m3.folder, runtime="torch")
    batch = token_batch(encoder, TEXTS)
    model = TrainableEncoder.from_checkpoint(m3, freeze_encoder=True).train()
    trained = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert trained == ["sparse.weight", "sparse.bias", "multi.weight", "multi.bias"]
    vectors = model(*batch)
    assert not vectors.dense.requires_grad and vectors.multi.requires_grad and vectors.weights.requires_grad
    assert torch.equal(model(*batch).dense, vectors.dense)
    layered = TrainableEncoder.from_checkpoint(read_checkpoint(folders / "mean"), freeze_encoder=True)
    assert not any(weight.requires_grad for weight in layered.dense_layers.parameters())


def test_word_embeddings_can_be_left_as_they_are(m3: Checkpoint) -> None:
    model = TrainableEncoder.from_checkpoint(m3, freeze_embeddings=True)
    frozen = [name for name, weight in model.named_parameters() if not weight.requires_grad]
    assert frozen == ["backbone.embeddings.word_embeddings.weight"]


def test_low_rank_updates_begin_at_zero_and_merge(m3: Checkpoint) -> None:
    encoder = trivec.load(m3.folder, runtime="torch")
    batch = token_batch(encoder, TEXTS)
    plain = TrainableEncoder.from_checkpoint(m3).eval()
    model = TrainableEncoder.from_checkpoint(m3, lora=LoraOptions(rank=3, alpha=6.0, layers=("query", "output.dense")))
    layers = {name: layer for name, layer in model.backbone.named_modules() if isinstance(layer, LoraLinear)}
    assert len(layers) == 2 * 3 and "encoder.layer.0.attention.self.query" in layers
    trained = {name.rpartition(".")[2] for name, weight in model.backbone.named_parameters() if weight.requires_grad}
    assert trained == {"lora_a", "lora_b"} and model.sparse.weight.requires_grad
    model.eval()
    assert torch.equal(model(*batch).dense, plain(*batch).dense)
    _disturb(layers.values())
    before = model(*batch)
    assert not torch.allclose(before.dense, plain(*batch).dense)
    merged = {name: torch.from_numpy(tensor) for name, tensor in backbone_tensors(model).items()}
    assert merged.keys() == plain.backbone.state_dict().keys()
    plain.backbone.load_state_dict(merged)
    torch.testing.assert_close(plain(*batch).dense, before.dense, atol=2e-6, rtol=0)


def test_a_delta_carries_heads_and_low_rank_updates(m3: Checkpoint, tmp_path: Path) -> None:
    model = TrainableEncoder.from_checkpoint(m3, lora=LoraOptions(rank=2, alpha=3.0))
    _disturb(layer for layer in model.backbone.modules() if isinstance(layer, LoraLinear))
    save_file(*delta_tensors(model)[:1], tmp_path / "delta.safetensors", delta_tensors(model)[1])
    delta = Delta(tmp_path / "delta.safetensors")
    merged = dict(delta.merge(backbone_tensors(TrainableEncoder.from_checkpoint(m3)).items()))
    for name, tensor in backbone_tensors(model).items():
        np.testing.assert_allclose(merged[name], tensor, atol=1e-6)
    assert delta.heads.keys() == {"sparse.weight", "sparse.bias", "multi.weight", "multi.bias"}
    assert head_tensors(model)["multi.weight"].shape == (16, 32)


def test_a_delta_carries_heads_alone(m3: Checkpoint) -> None:
    tensors, metadata = delta_tensors(TrainableEncoder.from_checkpoint(m3, freeze_encoder=True))
    assert set(tensors) == {"sparse.weight", "sparse.bias", "multi.weight", "multi.bias"}
    assert metadata["scale"] == "1.0"


def test_a_delta_refuses_what_it_cannot_carry(m3: Checkpoint) -> None:
    with pytest.raises(InputError, match="train with lora or freeze_encoder"):
        delta_tensors(TrainableEncoder.from_checkpoint(m3))
    with pytest.raises(InputError, match="positions for 600 tokens"):
        delta_tensors(TrainableEncoder.from_checkpoint(m3, lora=LoraOptions(), max_length=600))


@pytest.mark.parametrize("name", ["m3", "mean"])
def test_the_checkpoint_as_trained_gives_the_same_vectors(folders: Path, tmp_path: Path, name: str) -> None:
    source = trivec.load(folders / name, runtime="torch", training_free_width=16)
    heads = ["dense", "multi"] if name == "mean" else ["dense", "sparse", "multi"]
    model = TrainableEncoder.from_checkpoint(source.checkpoint, heads, max_length=700)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.01 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(1))
    folder = tmp_path / "trained"
    folder.mkdir()
    checkpoint = trained_checkpoint(model.eval(), folder)
    (folder / "config.json").write_text(json.dumps(dict(checkpoint.config)))
    (folder / "tokenizer.json").write_bytes(source.checkpoint.tokenizer_file.read_bytes())
    save_file(backbone_tensors(model), folder / "model.safetensors", {"format": "pt"})
    from trivec.encode.torch_runtime import TorchRuntime

    assert checkpoint.max_length == 700
    encoder = trivec.Encoder(checkpoint, TorchRuntime(checkpoint), source.tokenizer, source.fingerprint)
    if name == "m3":
        assert checkpoint.multi is not None and checkpoint.multi.origin == "trained"
    check_equal(encoder, model, "query: ")


def test_raw_states_as_multi_vectors_start_as_they_are(m3: Checkpoint) -> None:
    model = TrainableEncoder.from_checkpoint(replace(m3, multi=MultiHead(None, 0)))
    assert torch.equal(model.multi.weight, torch.eye(32)) and (model.multi.bias == 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"heads": ("dense", "terms")}, "cannot train heads"),
        ({"heads": ()}, "cannot train heads"),
        ({"freeze_encoder": True, "lora": LoraOptions()}, "exclude each other"),
        ({"freeze_encoder": True, "heads": ("dense",)}, "nothing to train"),
        ({"dropout": 1.5}, "dropout is 1.5"),
        ({"lora": LoraOptions(layers=("querry",))}, "no linear layer is called querry"),
    ],
)
def test_contradictions_are_refused(m3: Checkpoint, options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        TrainableEncoder.from_checkpoint(m3, **options)


def test_quantised_models_and_bad_lora_options_are_refused(m3: Checkpoint) -> None:
    with pytest.raises(InputError, match="int8 weights"):
        TrainableEncoder.from_checkpoint(replace(m3, precision="int8"))
    for options in ({"rank": 0}, {"alpha": float("nan")}, {"dropout": 1.0}):
        with pytest.raises(InputError, match="LoRA"):
            LoraOptions(**options)


def test_values_under_autocast_are_in_full_precision(m3: Checkpoint) -> None:
    encoder = trivec.load(m3.folder, runtime="torch")
    model = TrainableEncoder.from_checkpoint(m3).eval()
    with torch.autocast("cpu", torch.bfloat16):
        vectors = model(*token_batch(encoder, TEXTS))
    assert {tensor.dtype for tensor in vectors.tensors()} == {torch.float32}
    assert torch.allclose(vectors.dense.norm(dim=1), torch.ones(len(TEXTS)), atol=1e-6)


def _disturb(layers: Any) -> None:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for layer in layers:
            layer.lora_b += 0.3 * torch.randn(layer.lora_b.shape, generator=generator)
