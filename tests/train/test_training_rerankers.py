"""Runs of cross-encoders from end to end: they learn, go on after a stop, and are saved as others read them."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from copy_task import losses, rows, write, write_beir
from reranker_cases import PAIRS, by_transformers, recipe, scored_rows
from safetensors.numpy import load_file

import trivec
from trivec.encode.delta import Delta
from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import InputError, ModelError
from trivec.rerank.cross_encoder import CrossEncoder
from trivec.rerank.pair_tokens import PairTokens
from trivec.rerank.reranker import Pair
from trivec.train.dry_run import dry_run
from trivec.train.live_encoder import LiveRuntime
from trivec.train.option_groups import LoraFields
from trivec.train.recipe_files import write_recipe
from trivec.train.reranker_options import RerankerLossFields, RerankerOptions
from trivec.train.reranker_task import RerankerTask
from trivec.train.runs import RunFolder
from trivec.train.training import TrainResult, make_ready, resume, train
from trivec.types import FloatArray

import tiny_models

MODELS = ("m3", "bert", "roberta", "reranker", "bert-reranker", "mixed")


@pytest.fixture(scope="module")
def model(tiny: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """What to start from, by name; mixed is BERT with types of tokens, and a tokenizer that does not tell them."""
    workplace = tmp_path_factory.mktemp("models")

    def make(name: str) -> Path:
        place = workplace / name
        if name in ("reranker", "bert-reranker") and not place.exists():
            tiny_models.write_tiny_reranker(place, "bert" if name == "bert-reranker" else "xlm-roberta")
        if name == "mixed" and not place.exists():
            shutil.copytree(tiny("bert"), place)
            shutil.copyfile(tiny("m3") / "tokenizer.json", place / "tokenizer.json")
            size = TextTokenizer.from_file(place / "tokenizer.json").vocabulary_size
            assert size <= json.loads((place / "config.json").read_text("utf-8"))["vocab_size"] or _widened(place, size)
        return place if place.exists() else tiny(name)

    return make


def _widened(folder: Path, words: int) -> bool:
    """Word embeddings for a larger vocabulary."""
    from safetensors.numpy import load_file, save_file

    tensors = load_file(folder / "model.safetensors")
    name = "embeddings.word_embeddings.weight"
    more = np.random.RandomState(0).uniform(-1, 1, (words - len(tensors[name]), tensors[name].shape[1]))
    tensors[name] = np.concatenate([tensors[name], more.astype(np.float32)])
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"vocab_size": words}), "utf-8")
    return True


def measured(result: TrainResult, when: str) -> dict[str, float]:
    return {row["measure"]: row[when] for row in result.table if row["set"] == "dev"}


def live_logits(options: RerankerOptions, checkpoint: Path) -> FloatArray:
    """Logits of a model with the weights of a checkpoint."""
    from safetensors.torch import load_file

    task = RerankerTask(options)
    started = task.find_model()
    encoder = task.make_encoder(started)
    loss = task.make_loss(encoder)
    loss.load_state_dict(load_file(checkpoint / "model.safetensors"), strict=False)
    tokens = PairTokens(TextTokenizer.of(started), 64)
    runtime = LiveRuntime(loss, torch.device("cpu"))
    return CrossEncoder(started, runtime, tokens).score([Pair(*pair) for pair in PAIRS])[:, 0]


def test_a_new_head_learns_to_rerank(model: Callable[[str], Path], tmp_path: Path) -> None:
    options = recipe(model("m3"), tmp_path, 256, steps=None, epochs=5)
    options = replace(options, dropout=0.0, batches=replace(options.batches, batch_size=32))
    told: list[str] = []
    result = train(replace(options, evaluation=replace(options.evaluation, evaluate_every=14)), told.append)
    before, after = measured(result, "before"), measured(result, "after")
    for measure in ("nDCG@10", "RR@10"):
        assert after[f"rerank {measure}"] > before[f"rerank {measure}"] + 0.15
        assert after[f"bm25 {measure}"] == before[f"bm25 {measure}"]
    assert any(line.startswith("step 14: nDCG@10 rerank") for line in told)
    assert "rerank nDCG@10" in result.report.read_text()
    assert not (tmp_path / "run" / "delta.safetensors").exists()


@pytest.mark.parametrize("name", MODELS)
def test_the_saved_model_gives_the_logits_of_the_end(name: str, model: Callable[[str], Path], tmp_path: Path) -> None:
    options = recipe(model(name), tmp_path, steps=2)
    options = replace(options, evaluation=replace(options.evaluation, dev_share=0.0))
    result = train(options)
    assert result.model == tmp_path / "run" / "model"
    expected = live_logits(options, tmp_path / "run" / "checkpoints" / "checkpoint-2")
    for runtime in ("onnx", "torch"):
        found = trivec.load_reranker(result.model, runtime, max_length=64).score_pairs(PAIRS)
        np.testing.assert_allclose(found, expected, rtol=0, atol=2e-5)
    np.testing.assert_allclose(by_transformers(result.model, PAIRS), expected, rtol=0, atol=2e-5)
    assert np.ptp(expected) > 1e-3


def test_a_reranker_is_trained_on_from_what_it_is(model: Callable[[str], Path], tmp_path: Path) -> None:
    options = recipe(model("bert-reranker"), tmp_path, steps=1, learning_rate=0.0)
    before = trivec.load_reranker(model("bert-reranker"), max_length=64).score_pairs(PAIRS)
    after = trivec.load_reranker(train(options).model, max_length=64).score_pairs(PAIRS)
    np.testing.assert_allclose(after, before, rtol=0, atol=1e-6)


def test_token_types_are_those_of_the_tokenizer(model: Callable[[str], Path], tmp_path: Path) -> None:
    for name, has_types in (("bert", True), ("mixed", False), ("m3", False)):
        found = RerankerTask(recipe(model(name), tmp_path)).find_model()
        assert (found.separator is not None) == has_types


def test_a_stopped_run_goes_on_bit_for_bit(model: Callable[[str], Path], tmp_path: Path) -> None:
    options = recipe(model("m3"), tmp_path)
    whole = train(options)

    def interrupt(line: str) -> None:
        if line.startswith("step 3:"):
            os.kill(os.getpid(), signal.SIGINT)

    stopped = replace(options, out=tmp_path / "stopped")
    with pytest.raises(KeyboardInterrupt, match="trivec train resume"):
        train(stopped, interrupt)
    run = RunFolder(tmp_path / "stopped")
    assert run.options.task == "reranker"  # type: ignore[union-attr]
    gone_on = resume(run.path)
    assert losses(run.path) == losses(tmp_path / "run")
    assert len(losses(run.path)) == 6
    assert gone_on.table == whole.table
    weights = [(path / "model" / "model.safetensors").read_bytes() for path in (run.path, tmp_path / "run")]
    assert weights[0] == weights[1]


@pytest.mark.parametrize("split", ["checkpointed", "cached"])
def test_split_batches_give_the_same_losses(split: str, model: Callable[[str], Path], tmp_path: Path) -> None:
    plain = replace(recipe(model("m3"), tmp_path, steps=2), dropout=0.0)
    train(plain)
    parts = replace(plain.batches, split=split, split_tokens=60)  # type: ignore[arg-type]
    train(replace(plain, out=tmp_path / "split", batches=parts))
    for (_, one), (_, other) in zip(losses(tmp_path / "run"), losses(tmp_path / "split"), strict=True):
        assert one == pytest.approx(other, rel=1e-4)


def test_layers_that_are_computed_again_change_nothing(model: Callable[[str], Path], tmp_path: Path) -> None:
    plain = replace(recipe(model("bert"), tmp_path, steps=2), freeze_embeddings=True)
    train(plain)
    again = replace(plain.run, gradient_checkpointing=True)
    train(replace(plain, out=tmp_path / "again", run=again))
    for (_, one), (_, other) in zip(losses(tmp_path / "run"), losses(tmp_path / "again"), strict=True):
        assert one == pytest.approx(other, rel=1e-5)


def test_low_rank_updates_train_the_head_in_full(model: Callable[[str], Path], tmp_path: Path) -> None:
    options = recipe(model("m3"), tmp_path, steps=2, head_learning_rate=1e-2)
    options = replace(options, lora=LoraFields(lora_rank=2), freeze_layers=1)
    encoder = RerankerTask(options).make_encoder(RerankerTask(options).find_model())
    trained = {name for name, parameter in encoder.named_parameters() if parameter.requires_grad}
    assert {name for name in trained if "lora" not in name} == {
        f"dense_layers.{layer}.{part}" for layer in (0, 1) for part in ("weight", "bias")
    }
    assert all("layer.1." in name for name in trained if "lora" in name)
    result = train(options)
    delta = Delta(tmp_path / "run" / "delta.safetensors")
    assert [layer.weight.shape[0] for layer in delta.classifier] == [encoder.config.hidden_size, 1]
    merged = dict(delta.merge(load_file(model("m3") / "model.safetensors").items()))
    saved = load_file(result.model / "model.safetensors")
    backbone = {name.removeprefix("roberta."): tensor for name, tensor in saved.items() if "classifier" not in name}
    for name, tensor in backbone.items():
        np.testing.assert_allclose(tensor, merged[name], rtol=0, atol=1e-6)
    np.testing.assert_array_equal(saved["classifier.out_proj.weight"], delta.classifier[1].weight)
    np.testing.assert_allclose(
        by_transformers(result.model, PAIRS),
        trivec.load_reranker(result.model, "torch", max_length=64).score_pairs(PAIRS),
        rtol=0,
        atol=2e-5,
    )


def test_a_teacher_is_learned_from(model: Callable[[str], Path], tmp_path: Path) -> None:
    options = recipe(model("m3"), tmp_path, steps=1)
    taught = replace(options, loss=RerankerLossFields(teacher="kl"))
    with pytest.raises(InputError, match="no teacher scores"):
        train(taught)
    write(tmp_path / "pairs.jsonl", scored_rows(40))
    train(taught)
    ((_, parts),) = losses(tmp_path / "run")
    assert parts["total"] == pytest.approx(parts["labels"] + parts["teacher"])


def test_examples_without_negatives(model: Callable[[str], Path], tmp_path: Path) -> None:
    options = recipe(model("m3"), tmp_path, steps=1)
    lines = [row if number % 2 else row | {"neg": []} for number, row in enumerate(rows(60, negatives=2))]
    write(tmp_path / "pairs.jsonl", lines)
    with pytest.raises(InputError, match=r"pairs\.jsonl:\d+: no negatives.*trivec mine, or give skip_bad"):
        make_ready(options)
    kept = make_ready(replace(options, skip_bad=True))
    assert all(kept.prepared[number].negatives for number in kept.survey.numbers.tolist())
    assert kept.survey.dev is not None
    write(tmp_path / "pairs.jsonl", rows(60))
    with pytest.raises(InputError, match=r"none of .* examples has negatives"):
        make_ready(replace(options, skip_bad=True))


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_sets_of_ones_own_are_reranked(kind: str, model: Callable[[str], Path], tmp_path: Path) -> None:
    options = recipe(model("m3"), tmp_path, steps=1)
    own = write_beir(tmp_path / "beir") if kind == "folder" else write(tmp_path / "dev.jsonl", rows(10, 5, 2))
    evaluation = replace(options.evaluation, dev=str(own), dev_share=None, general=str(own))
    result = train(replace(options, evaluation=evaluation))
    assert {row["set"] for row in result.table} == {"dev", "general"}
    assert set(measured(result, "after")) == {f"{way} {m}" for way in ("rerank", "bm25") for m in ("nDCG@10", "RR@10")}


def test_negatives_of_held_out_examples_are_candidates(model: Callable[[str], Path], tmp_path: Path) -> None:
    from trivec.train.live_encoder import LiveModel
    from trivec.train.reranking_evaluator import _candidates

    options = recipe(model("m3"), tmp_path)
    judged = make_ready(options).survey.dev
    assert judged is not None
    task = RerankerTask(options)
    encoder = task.make_encoder(task.find_model())
    live = LiveModel.of(encoder, task.make_loss(encoder), torch.device("cpu"))
    found = _candidates(judged, live.encoder)
    for query, grades in judged.relevance.items():
        assert set(grades.values()) == {0, 1}
        assert grades.keys() <= found[query].keys()
        assert len(found[query]) <= 20 + len(grades)
        others = [score for name, score in found[query].items() if name not in grades]
        assert all(score > 0 for score in others)


def test_lengths_that_do_not_fit(model: Callable[[str], Path], tmp_path: Path) -> None:
    options = recipe(model("m3"), tmp_path)
    for lengths, message in (
        ({"passage_length": 500}, "query_length 64 and passage_length 500 .* positions 564"),
        ({"query_length": 512}, "leaves no room for a passage"),
    ):
        with pytest.raises(InputError, match=message):
            make_ready(replace(options, batches=replace(options.batches, **lengths)))
    longer = replace(options, positions=600, batches=replace(options.batches, passage_length=500))
    result = train(replace(longer, learning=replace(options.learning, steps=1)))
    assert trivec.load_reranker(result.model, max_length=600).score("river", ["water " * 700]).shape == (1,)


def test_a_model_of_another_kind_is_refused(model: Callable[[str], Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(model("bert"), tmp_path / "other"))
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps(config | {"model_type": "distilbert"}), "utf-8")
    with pytest.raises(ModelError, match="'distilbert', and a cross-encoder may be xlm-roberta, roberta, bert"):
        make_ready(recipe(folder, tmp_path))


def test_a_dry_run_and_memory_that_is_tried(model: Callable[[str], Path], tmp_path: Path) -> None:
    options = recipe(model("m3"), tmp_path)
    ready = make_ready(replace(options, batches=replace(options.batches, fit_memory=0.004, batch_size=None)))
    assert ready.batches.options.buckets.batch_sizes[0] >= 1
    found = dry_run(ready)
    assert found.examples + found.held_out == 60
    assert found.memory_bytes["activations"] > 0
    assert found.trained == found.parameters
    assert 0 <= found.padded_share < 1
    by_tokens = make_ready(replace(options, batches=replace(options.batches, batch_size=None, batch_tokens=120)))
    longest = int(by_tokens.survey.lengths.max())
    assert by_tokens.batches.options.buckets.batch_sizes == (120 // 3 // longest,)


@pytest.mark.slow
@pytest.mark.parametrize("split", ["off", "cached"])
def test_two_ranks_equal_one_with_the_double_batch(split: str, model: Callable[[str], Path], tmp_path: Path) -> None:
    options = recipe(model("m3"), tmp_path, 64, steps=4, learning_rate=1e-4)  # fills batches with nothing left
    evaluation = replace(options.evaluation, dev_share=0.0, dev=str(write_beir(tmp_path / "beir")))
    options = replace(options, dropout=0.0, evaluation=evaluation)
    whole = train(options)
    parts = replace(options.batches, batch_size=4, split=split, split_tokens=40)  # type: ignore[arg-type]
    write_recipe(replace(options, out=tmp_path / "two", batches=parts), tmp_path / "recipe.yaml")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, "-m", "trivec.cli", "train", "reranker", "--config", str(tmp_path / "recipe.yaml"), "--json"]
    printed = subprocess.run(command, check=True, timeout=100, capture_output=True, text=True).stdout
    for (_, one), (_, other) in zip(losses(tmp_path / "run"), losses(tmp_path / "two"), strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-6)
    for row, expected in zip(json.loads(printed)["table"], whole.table, strict=True):
        assert row["after"] == pytest.approx(expected["after"], abs=0.02)
