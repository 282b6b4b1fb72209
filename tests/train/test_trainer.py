"""Runs from end to end on a tiny model: it learns, and a run that was stopped goes on as if it had not been."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest
from copy_task import every, losses, options, rows, write, write_beir

from trivec.errors import InputError
from trivec.train.option_groups import LoraFields
from trivec.train.options import TrainOptions
from trivec.train.runs import RunFolder, complete_checkpoints, mark_complete
from trivec.train.trainer import refuse_stage_3
from trivec.train.training import TrainResult, resume, train


@pytest.fixture
def recipe(tiny: Callable[[str], Path], tmp_path: Path) -> TrainOptions:
    data = write(tmp_path / "pairs.jsonl", rows(120, negatives=2))
    short = options(data, tiny("m3"), tmp_path / "run", epochs=None, steps=8)
    return every(replace(short, batches=replace(short.batches, batch_size=16)), measure=3, save=4)


def after(result: TrainResult) -> dict[str, float]:
    return {row["measure"]: row["after"] for row in result.table if row["set"] == "dev"}


def before(result: TrainResult) -> dict[str, float]:
    return {row["measure"]: row["before"] for row in result.table if row["set"] == "dev"}


def test_training_raises_every_head(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    data = write(tmp_path / "pairs.jsonl", rows(256))
    recipe = options(data, tiny("m3"), tmp_path / "run", epochs=8)
    told: list[str] = []
    result = train(every(replace(recipe, dropout=0.0), measure=28, save=28), told.append)
    was, now = before(result), after(result)
    for system in ("dense", "sparse", "multi", "hybrid"):
        assert now[f"{system} nDCG@10"] > min(0.95, was[f"{system} nDCG@10"] + 0.1)
    assert now["bm25 nDCG@10"] == was["bm25 nDCG@10"]
    assert result.steps == 56
    assert any(line.startswith("step 28: nDCG@10 dense") for line in told)
    assert "<svg" in result.report.read_text()
    assert RunFolder(tmp_path / "run").options.learning.epochs == 8


def test_a_stopped_run_goes_on_bit_for_bit(recipe: TrainOptions, tmp_path: Path) -> None:
    whole = train(recipe)

    def interrupt(line: str) -> None:
        if line.startswith("step 3:"):
            os.kill(os.getpid(), signal.SIGINT)

    stopped = replace(recipe, out=tmp_path / "stopped")
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match=f"step 4: go on by trivec train resume {stopped.out}"):
        train(stopped, interrupt)
    assert signal.getsignal(signal.SIGINT) is handler
    run = RunFolder(tmp_path / "stopped")
    assert [path.name for path in complete_checkpoints(run.checkpoints)] == ["checkpoint-3", "checkpoint-4"]
    gone_on = resume(run.path)
    assert losses(run.path) == losses(tmp_path / "run")
    assert len(losses(run.path)) == 8
    assert gone_on.table == whole.table
    weights = [path.joinpath("model", "model.safetensors").read_bytes() for path in (run.path, tmp_path / "run")]
    assert weights[0] == weights[1]
    finished_again = resume(run.path)
    assert (finished_again.steps, finished_again.table) == (8, whole.table)


def test_deepspeed_at_stage_3_is_refused() -> None:
    refuse_stage_3(None)
    refuse_stage_3(SimpleNamespace(zero_stage=2))
    with pytest.raises(InputError, match="stage 3 does not work here: take its stage 1 or 2, or FSDP"):
        refuse_stage_3(SimpleNamespace(zero_stage=3))


def test_a_half_written_checkpoint_is_ignored(recipe: TrainOptions, tmp_path: Path) -> None:
    train(recipe)
    run = RunFolder(tmp_path / "run")
    expected = losses(run.path)
    (run.checkpoints / "checkpoint-8" / "complete.json").unlink()
    (run.checkpoints / "checkpoint-8" / "model.safetensors").write_bytes(b"cut off")
    with run.metrics.open("a") as file:
        file.write('{"kind": "step", "st')
    resume(run.path)
    assert losses(run.path) == expected


def test_a_folder_that_is_taken_is_refused(recipe: TrainOptions, tmp_path: Path) -> None:
    run = RunFolder.create(recipe)
    RunFolder.create(recipe)  # the first left no checkpoint
    (run.checkpoints / "checkpoint-1").mkdir(parents=True)
    mark_complete(run.checkpoints / "checkpoint-1")
    with pytest.raises(InputError, match="trivec train resume"):
        train(recipe)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "something").touch()
    with pytest.raises(InputError, match="exists"):
        train(replace(recipe, out=tmp_path / "full"))


def test_another_data_set_is_no_continuation(recipe: TrainOptions, tmp_path: Path) -> None:
    train(replace(recipe, learning=replace(recipe.learning, steps=1)))
    write(tmp_path / "pairs.jsonl", rows(119, negatives=2))
    with pytest.raises(InputError, match="begun with something else"):
        resume(tmp_path / "run")


def test_it_stops_early_and_keeps_the_best(recipe: TrainOptions) -> None:
    patient = replace(recipe.evaluation, evaluate_every=1, patience=2, metric="dense nDCG@10")
    still = replace(recipe.learning, learning_rate=0.0, steps=8)
    result = train(replace(recipe, evaluation=patient, learning=still))
    assert (result.steps, result.best_step) == (3, 1)


@pytest.mark.parametrize("split", ["checkpointed", "cached"])
def test_split_batches_give_the_same_losses(split: str, recipe: TrainOptions, tmp_path: Path) -> None:
    plain = replace(recipe, dropout=0.0, learning=replace(recipe.learning, steps=3))
    train(plain)
    parts = replace(plain.batches, split=split, split_tokens=40)  # type: ignore[arg-type]
    train(replace(plain, out=tmp_path / "split", batches=parts))
    for (_, one), (_, other) in zip(losses(tmp_path / "run"), losses(tmp_path / "split"), strict=True):
        assert one == pytest.approx(other, rel=1e-4)


def test_accumulated_batches_count_as_one_step(recipe: TrainOptions, tmp_path: Path) -> None:
    two = replace(recipe.learning, steps=3, accumulate=2)
    assert train(replace(recipe, learning=two)).steps == 3
    assert [step for step, _ in losses(tmp_path / "run")] == [1, 2, 3]


def test_distillation_begins_at_its_step(recipe: TrainOptions, tmp_path: Path) -> None:
    late = replace(recipe, loss=replace(recipe.loss, distill_from_step=2), learning=replace(recipe.learning, steps=4))
    train(late)
    distilled = ["distilled_dense" in parts for _, parts in losses(tmp_path / "run")]
    assert distilled == [False, False, True, True]


def test_heads_and_low_rank_updates_alone(recipe: TrainOptions, tmp_path: Path) -> None:
    frozen = replace(recipe, freeze=True, learning=replace(recipe.learning, steps=2, head_learning_rate=1e-2))
    train(frozen)
    assert (tmp_path / "run" / "delta.safetensors").is_file()
    train(replace(recipe, out=tmp_path / "lora", lora=LoraFields(lora_rank=2), learning=frozen.learning))
    assert (tmp_path / "lora" / "delta.safetensors").is_file()


def program(*words: object) -> list[str]:
    return [sys.executable, "-m", "trivec.cli", "train", *map(str, words)]


def test_a_killed_run_goes_on_bit_for_bit(recipe: TrainOptions, tmp_path: Path) -> None:
    from trivec.train.recipe_files import write_recipe

    long = every(replace(recipe, learning=replace(recipe.learning, steps=40)), measure=0, save=3)
    train(long)
    killed = replace(long, out=tmp_path / "killed")
    write_recipe(killed, tmp_path / "recipe.yaml")
    process = subprocess.Popen(program("m3", "--config", tmp_path / "recipe.yaml", "--quiet"))
    while process.poll() is None and not complete_checkpoints(tmp_path / "killed" / "checkpoints"):
        time.sleep(0.01)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    resume(tmp_path / "killed")
    assert losses(tmp_path / "killed") == losses(tmp_path / "run")
    same = [tmp_path / name / "model" / "model.safetensors" for name in ("killed", "run")]
    assert same[0].read_bytes() == same[1].read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("split", ["off", "cached"])
def test_two_ranks_equal_one_with_the_double_batch(split: str, recipe: TrainOptions, tmp_path: Path) -> None:
    from trivec.train.recipe_files import write_recipe

    write(tmp_path / "pairs.jsonl", rows(64, negatives=2))  # fills batches of 16 with nothing left
    plain = replace(
        recipe,
        dropout=0.0,
        learning=replace(recipe.learning, steps=4, learning_rate=1e-4),
        evaluation=replace(recipe.evaluation, dev_share=0.0, general=str(write_beir(tmp_path / "beir"))),
    )
    parts = replace(plain.batches, batch_size=8, split=split, split_tokens=40)  # type: ignore[arg-type]
    whole = train(plain)
    write_recipe(replace(plain, out=tmp_path / "two", batches=parts), tmp_path / "recipe.yaml")
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = [*launcher, *program("m3", "--config", tmp_path / "recipe.yaml", "--json")[1:]]
    printed = subprocess.run(command, check=True, timeout=100, capture_output=True, text=True).stdout
    for (_, one), (_, other) in zip(losses(tmp_path / "run"), losses(tmp_path / "two"), strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-6)
    for row, expected in zip(json.loads(printed)["table"], whole.table, strict=True):
        assert row["after"] == pytest.approx(expected["after"], abs=0.02)
