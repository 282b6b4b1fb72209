"""Batch sizes that fit into memory: whole steps are tried once, and a run keeps to what was found."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from copy_task import every, losses, options, rows, write

from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import InputError
from trivec.train import fitting, training
from trivec.train.activations import activation_bytes, update_bytes
from trivec.train.building import find_model
from trivec.train.dry_run import peak_bytes
from trivec.train.fitting import StepTrial, added_bytes
from trivec.train.option_groups import BatchFields, RunFields
from trivec.train.options import TrainOptions
from trivec.train.runs import RunFolder
from trivec.train.training import make_ready, resume, train


@pytest.fixture
def recipe(tiny: Callable[[str], Path], tmp_path: Path) -> TrainOptions:
    data = write(tmp_path / "pairs.jsonl", rows(120, negatives=2))
    short = options(data, tiny("m3"), tmp_path / "run", epochs=None, steps=4)
    fitted = replace(short.batches, batch_size=None, fit_memory=0.002)
    return every(replace(short, batches=fitted), measure=0, save=2)


def trial(options: TrainOptions, group_size: int = 3, processes: int = 1) -> StepTrial:
    checkpoint = find_model(options)
    tokenizer = TextTokenizer.of(checkpoint)
    return StepTrial(checkpoint, tokenizer, options, group_size, torch.device("cpu"), processes)


def test_added_bytes_are_those_held_at_once() -> None:
    def run() -> None:
        for _ in range(3):
            torch.empty(1000)
        torch.cat([torch.empty(500), torch.empty(500)])

    assert added_bytes(run) == 8000


def test_a_trial_repeats_and_changes_nothing(recipe: TrainOptions) -> None:
    free = replace(recipe, batches=replace(recipe.batches, fit_memory=None))
    steps = trial(free)
    before = {name: value.clone() for name, value in steps._loss.state_dict().items()}
    state = torch.get_rng_state()
    found = [steps(queries, 40) for queries in (4, 8, 4)]
    assert torch.equal(torch.get_rng_state(), state)
    for name, value in steps._loss.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0)
    assert found[0] == found[2] < found[1]
    several = trial(free, processes=2)(4, 40)
    trained = sum(parameter.numel() for parameter in steps._loss.parameters())
    assert several == pytest.approx(found[0] + 4 * trained / 1e9, rel=1e-9)
    accumulated = replace(free, learning=replace(free.learning, accumulate=4))
    assert trial(accumulated)(4, 40) > found[0]
    split = replace(free, batches=replace(free.batches, split="checkpointed", split_tokens=100))
    assert trial(split)(2, 40) < found[0]


@pytest.mark.parametrize(("split", "tried"), [("off", [(2, 40), (4, 40)]), ("cached", [(2, 40), (4, 40), (8, 40)])])
def test_what_is_sure_not_to_fit_is_not_tried(
    split: str, tried: list[tuple[int, int]], recipe: TrainOptions, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = replace(recipe.batches, fit_memory=2.0, split=split, split_tokens=400)  # type: ignore[arg-type]
    steps = trial(replace(recipe, batches=parts))
    asked: list[tuple[int, int]] = []

    def peak(queries: int, tokens: int) -> float:
        asked.append((queries, tokens))
        return 0.5 + 0.3 * queries

    monkeypatch.setattr(steps, "_peak", peak)
    monkeypatch.setattr(steps, "_fixed", 0.5)
    assert steps(4, 40) == pytest.approx(1.7)
    for queries in (8, 16):  # a batch in parts grows more slowly while it has one
        if split == "off" or queries == 16:
            with pytest.raises(MemoryError):
                steps(queries, 40)
        else:
            steps(queries, 40)
    assert asked == tried


def test_the_sizes_found_are_the_largest_that_fit(recipe: TrainOptions) -> None:
    ready = make_ready(recipe)
    buckets = ready.batches.options.buckets
    (size,) = buckets.batch_sizes
    assert buckets.bounds == (0,) and 2 <= size < 96
    free = trial(replace(recipe, batches=replace(recipe.batches, fit_memory=None)), ready.survey.largest_group)
    longest = int(ready.survey.lengths.max())
    assert free(size, longest) <= 0.002 < free(size + 1, longest)
    assert ready.options.batches.batch_size is None
    assert len(ready.batches.plan(0)[0]) <= size


def test_batch_size_is_the_most(recipe: TrainOptions) -> None:
    capped = make_ready(replace(recipe, batches=replace(recipe.batches, batch_size=3)))
    assert capped.batches.options.buckets.batch_sizes == (3,)


def test_each_bucket_of_the_data_has_its_size(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    short, long = rows(20, seed=1), rows(4, seed=2)
    for row in long:
        row["pos"] = [" ".join(row["pos"] * 170)]
    data = write(tmp_path / "pairs.jsonl", [*short, *long])
    recipe = options(data, tiny("m3"), tmp_path / "run", epochs=None, steps=1)
    fitted = replace(recipe.batches, batch_size=8, fit_memory=0.2)
    recipe = replace(recipe, dropout=0.0, batches=fitted, evaluation=replace(recipe.evaluation, dev_share=0.0))
    ready = make_ready(recipe)
    buckets, lengths = ready.batches.options.buckets, ready.survey.lengths
    assert len(buckets.bounds) == 2 and buckets.bounds[1] == int(lengths[lengths < 500].max()) + 1
    assert buckets.batch_sizes[0] == 8 >= buckets.batch_sizes[1] >= 1
    assert buckets.in_words().startswith(f"8 of up to {buckets.bounds[1] - 1} tokens, ")


def test_a_run_tries_once_and_keeps_to_it(recipe: TrainOptions, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[str] = []
    train(recipe, told.append)
    assert recipe.out is not None
    run = RunFolder(recipe.out)
    kept = json.loads((run.path / "batch_sizes.json").read_text())
    assert run.buckets is not None and list(run.buckets.batch_sizes) == kept["batch_sizes"]
    assert f"batches within 0.002 GB: {kept['batch_sizes'][0]} of any length" in told
    assert run.options.batches.fit_memory == 0.002
    expected = losses(run.path)
    (run.checkpoints / "checkpoint-4" / "complete.json").unlink()

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(training, "find_buckets", never)
    resume(run.path)
    assert losses(run.path) == expected


@pytest.mark.slow
def test_one_process_tries_for_all(recipe: TrainOptions, tmp_path: Path) -> None:
    from trivec.train.recipe_files import write_recipe

    write_recipe(replace(recipe, learning=replace(recipe.learning, steps=2)), tmp_path / "recipe.yaml")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, "-m", "trivec.cli", "train", "m3", "--config", str(tmp_path / "recipe.yaml")]
    subprocess.run(command, check=True, timeout=100, capture_output=True)
    found = RunFolder(tmp_path / "run").buckets
    assert found is not None and found.batch_sizes[0] >= 2
    assert len(losses(tmp_path / "run")) == 2


def test_too_little_memory_is_told(recipe: TrainOptions) -> None:
    tight = replace(recipe.batches, fit_memory=1e-6)
    with pytest.raises(InputError, match="more than 1e-06 GB: raise fit_memory"):
        make_ready(replace(recipe, batches=tight))


def test_a_device_that_does_not_tell_is_refused(recipe: TrainOptions) -> None:
    checkpoint = find_model(recipe)
    tokenizer = TextTokenizer.of(checkpoint)
    with pytest.raises(InputError, match="on mps: give batch_tokens"):
        fitting.StepTrial(checkpoint, tokenizer, recipe, 2, torch.device("mps"))


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"dropout": 0.0},
        {"freeze_layers": 1},
        {"run": RunFields(gradient_checkpointing=True)},
        {"batches": BatchFields(split="checkpointed", split_tokens=800)},
    ],
)
def test_the_estimate_is_near_what_is_measured(changes: dict[str, object], recipe: TrainOptions) -> None:
    free = replace(recipe, batches=replace(recipe.batches, fit_memory=None))
    free = replace(free, **changes)  # type: ignore[arg-type]
    steps = trial(free, group_size=8)
    encoder = steps._loss.encoder
    sizes = [(parameter.numel(), parameter.requires_grad) for parameter in encoder.parameters()]
    trained = sum(size for size, is_trained in sizes if is_trained)
    memory = {
        "weights": 4 * sum(size for size, _ in sizes),
        "gradients": 4 * trained,
        "optimiser": 8 * trained,
        "update": update_bytes(encoder),
        "activations": activation_bytes(encoder, steps._batch(4, 100), free),
    }
    assert peak_bytes(memory, accumulates=False) / 1e9 == pytest.approx(steps(4, 100), rel=0.3)
