"""Encoding in parts: the gradient of the whole batch, less memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from trivec.data.examples import Example
from trivec.encode.checkpoints import Checkpoint, read_checkpoint
from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import InputError
from trivec.train.collate import CollateOptions, Collator, TokenBatch, TrainBatch
from trivec.train.fitting import added_bytes
from trivec.train.lora import LoraOptions
from trivec.train.model import TrainableEncoder
from trivec.train.split_batch import SplitOptions, encode_groups, encode_split
from trivec.train.vectors import TextVectors

import tiny_models

TEXTS = [
    "the capital",
    "water of the river",
    "a",
    "the book of science in the library of the city by the night",
    "",
    "b c",
]
MODES = ("checkpointed", "cached")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Checkpoint:
    return read_checkpoint(tiny_models.write_tiny_m3(tmp_path_factory.mktemp("split") / "m3", multi_width=8))


@pytest.fixture(scope="module")
def collator(checkpoint: Checkpoint) -> Collator:
    tokenizer = TextTokenizer.from_file(checkpoint.tokenizer_file)
    return Collator(tokenizer, 1, CollateOptions(group_size=3, query_prompt="what: "))


@pytest.fixture(scope="module")
def batch(collator: Collator) -> TrainBatch:
    examples = [
        Example(TEXTS[i], (TEXTS[(i + 1) % 4] + " city",), ("river", "the " * (3 * i + 1), "x y z")) for i in range(4)
    ]
    return collator(examples, range(4))


def model_of(checkpoint: Checkpoint, packed: bool = True, dropout: float = 0.0, **options: Any) -> TrainableEncoder:
    model = TrainableEncoder.from_checkpoint(checkpoint, dropout=dropout, **options).double()
    model._is_packed = None if packed else False
    return model


def loss_of(queries: TextVectors, passages: TextVectors) -> Tensor:
    """All heads of all texts in one number, by scores with three masks and a softmax over the batch."""
    dense = queries.dense @ passages.dense.T
    same = queries.tokens[:, None, :, None] == passages.tokens[None, :, None, :]
    sparse = (queries.weights[:, None, :, None] * passages.weights[None, :, None, :] * same).sum((2, 3))
    products = torch.einsum("qic,pjc->qpij", queries.multi, passages.multi)
    best = products.masked_fill(~passages.multi_mask[None, :, None], -9.0).amax(3) * queries.multi_mask[:, None]
    multi = best.sum(2) / queries.multi_mask.sum(1)[:, None]
    scores = torch.stack([dense, 0.3 * sparse, multi, dense + 0.3 * sparse + multi]) / 0.1
    targets = torch.arange(len(queries)) * (len(passages) // len(queries))
    return sum(torch.nn.functional.cross_entropy(part, targets) for part in scores)


def gradient_of(model: TrainableEncoder, batch: TrainBatch, options: SplitOptions | None) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    model.zero_grad()
    loss = loss_of(*encode_groups(model, batch, options))
    loss.backward()
    gradients = [weight.grad.flatten() for weight in model.parameters() if weight.requires_grad]
    return loss.detach(), torch.cat(gradients).clone()


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("mode", MODES)
def test_the_gradient_is_that_of_the_whole_batch(
    checkpoint: Checkpoint, batch: TrainBatch, mode: Any, packed: bool
) -> None:
    model = model_of(checkpoint, packed)
    plain_loss, plain = _direct(model, batch)
    assert plain.abs().max() > 0.1
    for texts in (1, 3, len(batch.passages)):
        loss, gradient = gradient_of(model, batch, SplitOptions(mode, 10_000, texts))
        assert abs(loss - plain_loss) < 1e-10
        assert (gradient - plain).abs().max() < 1e-8
    for options in (None, SplitOptions(mode, 8)):
        assert (gradient_of(model, batch, options)[1] - plain).abs().max() < 1e-8


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "options",
    [{"freeze_embeddings": True}, {"lora": LoraOptions(4)}, {"freeze_encoder": True}, {"heads": ("dense",)}],
    ids=str,
)
def test_with_parts_of_the_model_trained(
    checkpoint: Checkpoint, batch: TrainBatch, mode: Any, options: dict[str, Any]
) -> None:
    model = model_of(checkpoint, **options)
    vectors = encode_split(model, batch.passages)
    encoded = encode_split(model, batch.passages, SplitOptions(mode, 20))
    for one, other in zip(vectors.tensors(), encoded.tensors(), strict=True):
        torch.testing.assert_close(one, other, atol=1e-12, rtol=0)
    gradients = []
    for given in (vectors, encoded):
        model.zero_grad()
        sum((tensor**2).sum() + (tensor.sum(1) ** 3).sum() for tensor in given.tensors()).backward()
        gradients.append(torch.cat([w.grad.flatten() for w in model.parameters() if w.grad is not None]).clone())
    assert gradients[0].abs().max() > 1e-6
    assert (gradients[0] - gradients[1]).abs().max() < 1e-8


@pytest.mark.parametrize("mode", MODES)
def test_dropout_repeats_in_the_second_pass(checkpoint: Checkpoint, batch: TrainBatch, mode: Any) -> None:
    model = model_of(checkpoint, dropout=0.3)
    passages = batch.passages
    options = SplitOptions(mode, max_texts=2)

    def loss(vectors: TextVectors) -> Tensor:
        return sum((tensor**3).sum() + tensor.sum(1).square().sum() for tensor in vectors.tensors())

    def at(step: float) -> Tensor:
        weight.data += step * direction
        torch.manual_seed(7)
        value = loss(encode_split(model, passages, options))
        weight.data -= step * direction
        return value

    weight = model.backbone.encoder.layer[0].intermediate.dense.weight
    direction = torch.randn(weight.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    value = at(0.0)
    torch.rand(100)  # the state of the generator moves on before the backward pass
    before = torch.get_rng_state()
    value.backward()
    assert torch.equal(torch.get_rng_state(), before)
    numeric = (at(1e-5) - at(-1e-5)).item() / 2e-5
    assert (weight.grad * direction).sum().item() == pytest.approx(numeric, rel=1e-5)


def test_texts_keep_their_order_and_need_no_gradient(checkpoint: Checkpoint, collator: Collator) -> None:
    model = model_of(checkpoint).eval()
    texts = collator.texts(TEXTS, "", 64)
    whole = model(texts.ids, texts.mask, texts.prompt_lengths)
    with torch.no_grad():
        for mode in ("whole", *MODES):
            vectors = encode_split(model, texts, SplitOptions(mode, max_texts=2))
            for one, other in zip(whole.tensors(), vectors.tensors(), strict=True):
                torch.testing.assert_close(one.detach(), other, atol=1e-12, rtol=0)
            assert torch.equal(vectors.multi_mask, whole.multi_mask)


@pytest.mark.parametrize("mode", MODES)
def test_autocast_is_the_same_in_both_passes(checkpoint: Checkpoint, batch: TrainBatch, mode: Any) -> None:
    model = TrainableEncoder.from_checkpoint(checkpoint, dropout=0.0)
    gradients = []
    for options in (None, SplitOptions(mode, max_texts=len(batch.passages))):
        model.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            vectors = encode_split(model, batch.passages, options)
        sum(tensor.square().sum() for tensor in vectors.tensors()[1:]).backward()
        gradients.append(model.backbone.encoder.layer[1].output.dense.weight.grad)
    torch.testing.assert_close(gradients[0], gradients[1], rtol=0.02, atol=0.02)


@pytest.mark.parametrize("packed", [True, False])
def test_memory_falls(checkpoint: Checkpoint, packed: bool) -> None:
    model = TrainableEncoder.from_checkpoint(checkpoint, dropout=0.0)
    model._is_packed = None if packed else False
    ids = torch.randint(5, 600, (16, 128), generator=torch.Generator().manual_seed(0))
    texts = TokenBatch(ids, torch.ones_like(ids), torch.zeros(16, dtype=torch.int64))

    def step(options: SplitOptions | None) -> None:
        model.zero_grad(set_to_none=True)
        vectors = encode_split(model, texts, options)
        sum(tensor.square().sum() for tensor in vectors.tensors()).backward()

    step(None)
    whole = added_bytes(lambda: step(None))
    for mode in MODES:
        assert added_bytes(lambda mode=mode: step(SplitOptions(mode, max_texts=2))) < 0.35 * whole


def test_bad_options_are_refused() -> None:
    with pytest.raises(InputError, match="unknown mode 'half'"):
        SplitOptions("half")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="parts of 0 tokens"):
        SplitOptions("cached", 0)


def _direct(model: TrainableEncoder, batch: TrainBatch) -> tuple[Tensor, Tensor]:
    """Queries and passages in one call each, every word looked up by the backbone itself."""
    model.zero_grad()
    queries = model(batch.queries.ids, batch.queries.mask, batch.queries.prompt_lengths).rows(batch.query_rows)
    passages = model(batch.passages.ids, batch.passages.mask, batch.passages.prompt_lengths).rows(batch.passage_rows)
    loss = loss_of(queries, passages)
    loss.backward()
    return loss.detach(), torch.cat([weight.grad.flatten() for weight in model.parameters()]).clone()
