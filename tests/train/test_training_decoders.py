"""Runs of rerankers that are language models: all kinds learn, and are saved as they were published."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from copy_task import losses, rows
from reranker_cases import PAIRS, recipe

import trivec
from trivec.data.examples import Example
from trivec.errors import InputError, ModelError
from trivec.rerank.prompts import YES_OR_NO
from trivec.rerank.reranker import Pair
from trivec.train.decoder_task import DecoderTask
from trivec.train.dry_run import dry_run
from trivec.train.finding_tasks import task_of
from trivec.train.layered_model import LayeredModel
from trivec.train.live_encoder import LiveRuntime
from trivec.train.option_groups import LoraFields
from trivec.train.pair_batches import PairBatch
from trivec.train.recipe_files import read_recipe, write_recipe
from trivec.train.reranker_options import DecoderFields, RerankerOptions
from trivec.train.reranker_task import RerankerTask
from trivec.train.training import make_ready, resume, train
from trivec.types import FloatArray

import tiny_llms

KINDS = {
    "yes": ("llama", DecoderFields()),
    "yes, capped": ("gemma2", DecoderFields()),
    "new heads": ("llama", DecoderFields(start_layer=3)),
    "new heads, capped": ("gemma2", DecoderFields(start_layer=2)),
    "heads": ("layerwise", DecoderFields()),
    "heads, merging": ("layerwise", DecoderFields(compress_layers=(2,), compress_ratios=(2, 4))),
    "lightweight": ("lightweight", DecoderFields(compress_layers=(2, 4))),
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """What to start from, by name."""
    workplace = tmp_path_factory.mktemp("models")

    def make(name: str) -> Path:
        place = workplace / name
        if place.exists():
            return place
        if name == "layerwise":
            return tiny_llms.write_tiny_layerwise(place)
        if name == "lightweight":
            return tiny_llms.write_tiny_lightweight(place)
        return tiny_llms.write_tiny_llm(place, name)  # type: ignore[arg-type]

    return make


def options_of(kind: str, model: Callable[[str], Path], folder: Path, **learning: object) -> RerankerOptions:
    name, decoder = KINDS[kind]
    return replace(recipe(model(name), folder, **learning), decoder=decoder)


def live(task: RerankerTask, weights: Path | None = None) -> FloatArray:
    """Logits of a model in training, at the start or with the weights of a checkpoint."""
    from safetensors.torch import load_file

    checkpoint = task.find_model()
    loss = task.make_loss(task.make_encoder(checkpoint))
    if weights is not None:
        loss.load_state_dict(load_file(weights / "model.safetensors"), strict=False)
    evaluator_rows = task.rows(checkpoint)
    ids, mask = padded(evaluator_rows.placed([Pair(*pair) for pair in PAIRS])[0])
    found = LiveRuntime(loss, torch.device("cpu")).forward(ids, mask, ("dense",)).dense
    assert found is not None
    return found


def padded(rows: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    from trivec.encode.pipeline import pad

    ids, mask = pad(rows, 0)
    return ids, mask


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("rank", [0, 4])
def test_the_saved_model_gives_the_logits_of_the_end(
    kind: str, rank: int, model: Callable[[str], Path], tmp_path: Path
) -> None:
    options = options_of(kind, model, tmp_path, steps=2)
    options = replace(options, lora=LoraFields(lora_rank=rank))
    options = replace(options, evaluation=replace(options.evaluation, dev_share=0.0))
    result = train(options)
    task = task_of(options)
    assert isinstance(task, DecoderTask)
    expected = live(task, tmp_path / "run" / "checkpoints" / "checkpoint-2")
    layers = (
        list(range(*{"new heads": (3, 7), "lightweight": (2, 7, 2)}.get(kind, (2, 7)))) if "yes" not in kind else None
    )
    found = trivec.load_reranker(result.model, cutoff_layers=layers).score_layers(PAIRS)
    assert found.shape == (len(PAIRS), len(layers or [0]))
    np.testing.assert_allclose(found, expected, rtol=2e-5, atol=2e-5)
    assert np.ptp(found[:, -1]) > 1e-3


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "new" not in kind])
def test_training_begins_where_the_model_is(kind: str, model: Callable[[str], Path], tmp_path: Path) -> None:
    options = options_of(kind, model, tmp_path)
    expected = trivec.load_reranker(model(KINDS[kind][0])).score_pairs(PAIRS)
    np.testing.assert_allclose(live(task_of(options))[:, -1], expected, rtol=0, atol=2e-5)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["new heads", "new heads, capped"])
def test_new_heads_begin_as_the_row_of_yes(kind: str, model: Callable[[str], Path], tmp_path: Path) -> None:
    name, decoder = KINDS[kind]
    task = task_of(options_of(kind, model, tmp_path))
    assert isinstance(task, DecoderTask)
    checkpoint = task.find_model()
    weights = checkpoint.dense_modules[0].linear.weight
    assert decoder.start_layer is not None
    assert weights.shape == (7 - decoder.start_layer, tiny_llms.HIDDEN)
    assert (weights == weights[0]).all()
    with_prompt = {} if name == "llama" else {"prompt": YES_OR_NO}
    of_yes = trivec.load_reranker(model(name), **with_prompt).score_pairs(PAIRS)  # type: ignore[arg-type]
    same_prompt = replace(task.options, decoder=replace(decoder, prompt=YES_OR_NO))
    np.testing.assert_allclose(live(DecoderTask(same_prompt))[:, -1], of_yes, rtol=0, atol=2e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_every_head_and_no_embedding_learns(kind: str, model: Callable[[str], Path], tmp_path: Path) -> None:
    task = task_of(options_of(kind, model, tmp_path))
    assert isinstance(task, DecoderTask)
    checkpoint = task.find_model()
    encoder = task.make_encoder(checkpoint)
    loss, batch = task.make_loss(encoder), batch_of(task)
    total, _ = loss(batch=batch, step=0)  # type: ignore[misc]
    total.backward()
    assert encoder.backbone.get_input_embeddings().weight.grad is None
    heads = encoder.dense_layers[0].weight
    if isinstance(encoder, LayeredModel):
        assert heads.grad is not None and (heads.grad.abs().sum(dim=1) > 0).all()
    else:
        assert heads.grad is None
    assert all(
        parameter.grad is not None and parameter.grad.abs().sum() > 0
        for name, parameter in encoder.backbone.named_parameters()
        if "embed_tokens" not in name
    )


def batch_of(task: DecoderTask, count: int = 4) -> PairBatch:
    examples = [Example(row["query"], tuple(row["pos"]), tuple(row["neg"])) for row in rows(count, negatives=2)]
    batch = task.batching(task.find_model(), 1).collator(examples, range(count), 0)
    assert isinstance(batch, PairBatch)
    return batch


def test_a_width_is_drawn_for_each_step(model: Callable[[str], Path], tmp_path: Path) -> None:
    task = task_of(options_of("lightweight", model, tmp_path))
    assert isinstance(task, DecoderTask)
    encoder = task.make_encoder(task.find_model())
    assert isinstance(encoder, LayeredModel)
    loss, batch = task.make_loss(encoder).eval(), batch_of(task)
    drawn = {}
    with torch.no_grad():
        for step in range(30):
            total = loss(batch=batch, step=step)[0].item()  # type: ignore[index]
            assert drawn.setdefault(encoder.ratio, total) == total
    assert set(drawn) == {1, 2, 4, 8}
    assert len({round(total, 5) for total in drawn.values()}) > 1
    loss(batch.pairs)
    assert encoder.ratio == 1


@pytest.mark.parametrize("ratio", [1, 2, 4])
def test_merging_in_training_is_that_of_the_saved_model(
    ratio: int, model: Callable[[str], Path], tmp_path: Path
) -> None:
    task = task_of(options_of("lightweight", model, tmp_path))
    assert isinstance(task, DecoderTask)
    checkpoint = task.find_model()
    encoder = task.make_encoder(checkpoint).eval()
    assert isinstance(encoder, LayeredModel)
    placed, starts = task.rows(checkpoint).placed([Pair(*pair) for pair in PAIRS])
    ids, mask = (torch.from_numpy(array.astype(np.int64)) for array in padded(placed))
    encoder.ratio = ratio
    with torch.no_grad():
        found = encoder(ids, mask, torch.tensor(starts)).dense
    merging = {"compress_layers": [2, 4], "compress_ratio": ratio} if ratio > 1 else {}
    expected = trivec.load_reranker(model("lightweight"), cutoff_layers=[2, 4, 6], **merging).score_layers(PAIRS)  # type: ignore[arg-type]
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=2e-5)


@pytest.mark.parametrize("kind", ["yes", "heads, merging"])
@pytest.mark.parametrize("split", ["checkpointed", "cached"])
def test_split_batches_give_the_same_losses(
    kind: str, split: str, model: Callable[[str], Path], tmp_path: Path
) -> None:
    plain = options_of(kind, model, tmp_path, steps=3)
    train(plain)
    parts = replace(plain.batches, split=split, split_tokens=300)  # type: ignore[arg-type]
    again = replace(plain.run, gradient_checkpointing=split == "checkpointed")
    train(replace(plain, out=tmp_path / "split", batches=parts, run=again))
    for (_, one), (_, other) in zip(losses(tmp_path / "run"), losses(tmp_path / "split"), strict=True):
        assert one == pytest.approx(other, rel=1e-3)


def test_a_stopped_run_goes_on_bit_for_bit(model: Callable[[str], Path], tmp_path: Path) -> None:
    options = options_of("heads, merging", model, tmp_path)
    whole = train(options)

    def interrupt(line: str) -> None:
        if line.startswith("step 3:"):
            os.kill(os.getpid(), signal.SIGINT)

    stopped = replace(options, out=tmp_path / "stopped")
    with pytest.raises(KeyboardInterrupt, match="trivec train resume"):
        train(stopped, interrupt)
    assert resume(tmp_path / "stopped").table == whole.table
    weights = [(tmp_path / name / "model" / "model.safetensors").read_bytes() for name in ("stopped", "run")]
    assert weights[0] == weights[1]


def test_a_prompt_of_ones_own_is_kept(model: Callable[[str], Path], tmp_path: Path) -> None:
    options = options_of("yes", model, tmp_path, steps=1, learning_rate=0.0)
    asked = "Predict whether passage B is science."
    result = train(replace(options, decoder=DecoderFields(prompt=asked)))
    expected = trivec.load_reranker(model("llama"), prompt=asked).score_pairs(PAIRS)
    np.testing.assert_allclose(trivec.load_reranker(result.model).score_pairs(PAIRS), expected, rtol=0, atol=1e-6)
    without = trivec.load_reranker(result.model, prompt=YES_OR_NO).score_pairs(PAIRS)
    assert np.abs(without - expected).max() > 1e-4
    again = task_of(replace(options, model=str(result.model)))
    np.testing.assert_allclose(live(again)[:, -1], expected, rtol=0, atol=2e-5)  # type: ignore[arg-type]


def test_weights_keep_their_precision(model: Callable[[str], Path], tmp_path: Path) -> None:
    from safetensors.torch import load_file

    options = options_of("heads", model, tmp_path, steps=1)
    source = model("layerwise")
    half = tmp_path / "half"
    half.mkdir()
    for file in source.iterdir():
        (half / file.name).write_bytes(file.read_bytes())
    config = json.loads((half / "config.json").read_text("utf-8"))
    (half / "config.json").write_text(json.dumps(config | {"torch_dtype": "bfloat16"}), "utf-8")
    result = train(replace(options, model=str(half)))
    assert {tensor.dtype for tensor in load_file(result.model / "model.safetensors").values()} == {torch.bfloat16}


def test_a_dry_run(model: Callable[[str], Path], tmp_path: Path) -> None:
    options = options_of("lightweight", model, tmp_path)
    found = dry_run(make_ready(replace(options, batches=replace(options.batches, fit_memory=1.0, batch_size=None))))
    assert 0 < found.trained < found.parameters
    assert found.memory_bytes["activations"] > 0


def test_recipes_keep_what_is_for_language_models(tmp_path: Path) -> None:
    options = RerankerOptions(decoder=DecoderFields("Is it?", 4, "none", (4, 8), (2,)))
    write_recipe(options, tmp_path / "recipe.yaml")
    assert read_recipe(tmp_path / "recipe.yaml") == options


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("llama", {"decoder": DecoderFields(start_layer=7)}, "start_layer is 7, and .* has 6 layers"),
        ("llama", {"decoder": DecoderFields(compress_layers=(2,))}, "give start_layer too"),
        ("llama", {"positions": 900}, "positions is 900"),
        ("layerwise", {"decoder": DecoderFields(start_layer=2)}, "has heads already, from layer 2 on"),
        ("layerwise", {"decoder": DecoderFields(compress_layers=(6,))}, r"compress_layers is \[6\], and .* 6 layers"),
        ("gemma", {"decoder": DecoderFields(start_layer=2)}, "is a 'gemma': heads between layers are for llama"),
    ],
)
def test_what_does_not_fit_the_model(
    name: str, changes: dict[str, object], message: str, model: Callable[[str], Path], tmp_path: Path
) -> None:
    options = replace(recipe(model(name), tmp_path), **changes)  # type: ignore[arg-type]
    with pytest.raises((InputError, ModelError), match=message):
        make_ready(options)


def test_fields_that_contradict_each_other() -> None:
    with pytest.raises(InputError, match="start_layer must be at least 1"):
        DecoderFields(start_layer=0)
    with pytest.raises(InputError, match=r"compress_ratios is \[2\] without compress_layers"):
        DecoderFields(compress_ratios=(2,))
    assert DecoderFields(compress_layers=(4,)).compress_ratios == (2, 4, 8)


def test_a_model_that_scales_its_logits_is_refused(model: Callable[[str], Path], tmp_path: Path) -> None:
    folder = tmp_path / "scaled"
    folder.mkdir()
    for file in model("llama").iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"logit_scale": 0.25}), "utf-8")
    with pytest.raises(ModelError, match=r"logit_scale is 0\.25"):
        make_ready(recipe(folder, tmp_path))
