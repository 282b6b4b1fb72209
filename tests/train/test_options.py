"""Recipes: what is written is read back, what is wrong is named, and the size of the data fills the gaps."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trivec.errors import InputError
from trivec.train.option_groups import EvaluationFields, LearningFields, LoraFields, LossFields, RunFields
from trivec.train.options import TrainOptions
from trivec.train.presets import fill_schedule, fill_share, fill_sizes, total_steps
from trivec.train.recipe_files import from_fields, read_recipe, to_fields, write_recipe
from trivec.train.runs import RunFolder, checkpoint_step, complete_checkpoints, mark_complete, remove_old_checkpoints

FULL = TrainOptions(
    data=("a.jsonl", "b"),
    out=Path("run"),
    heads=("dense", "sparse", "multi"),
    sparse_terms="folded",
    loss=LossFields(temperature=0.01, dimensions=(64, 128), ensemble_weights=(1.0, 0.5, 2.0)),
    learning=LearningFields(learning_rate=1e-5, epochs=2.5),
    lora=LoraFields(lora_rank=8, lora_layers=("query", "value")),
    evaluation=EvaluationFields(metric="multi RR@10"),
    run=RunFields(layouts=("trivec", "bge-m3")),
)


def test_a_recipe_comes_back_as_it_was(tmp_path: Path) -> None:
    write_recipe(FULL, tmp_path / "recipe.yaml")
    assert read_recipe(tmp_path / "recipe.yaml") == FULL
    assert from_fields(to_fields(FULL)) == FULL
    assert set(to_fields(FULL)) >= {"learning_rate", "lora_rank", "metric", "model"}


def test_numbers_without_a_point_and_single_values_are_understood(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("learning_rate: 2e-5\nepochs: 3\ndata: pairs.jsonl\nout: null\n")
    recipe = read_recipe(tmp_path / "recipe.yaml")
    assert (recipe.learning.learning_rate, recipe.learning.epochs, recipe.data) == (2e-5, 3.0, ("pairs.jsonl",))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("learning_rat: 1", "unknown option learning_rat"),
        ("learning_rate: fast", "learning_rate is 'fast'"),
        ("batch_size: 1.5", "batch_size is 1.5"),
        ("batch_size: true", "batch_size is True"),
        ("heads: [dense, smell]", "heads is 'smell': choose one of dense, sparse, multi"),
        ("ensemble_weights: [1, 2]", "give 3 values"),
        ("- a list", "holds a list"),
        ("a: [", "is no YAML"),
        ("epochs: 1\nsteps: 1", "epochs 1.0 and steps 1 contradict"),
    ],
)
def test_what_is_wrong_in_a_recipe_is_named(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(content)
    with pytest.raises(InputError, match=r"recipe\.yaml") as caught:
        read_recipe(tmp_path / "recipe.yaml")
    assert message in str(caught.value)


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no recipe"):
        read_recipe(tmp_path / "recipe.yaml")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"heads": []}, "heads is empty"),
        ({"heads": ["dense"], "freeze": True, "metric": "dense R@100"}, "nothing to train"),
        ({"freeze": True, "lora_rank": 4}, "freeze and lora_rank 4"),
        ({"batch_size": 4, "batch_tokens": 100}, "batch_size 4 and batch_tokens 100"),
        ({"fit_memory": 8, "batch_tokens": 100}, "fit_memory 8 and batch_tokens 100"),
        ({"fit_memory": 0}, "fit_memory must be above 0"),
        ({"dev": "folder", "dev_share": 0.1}, "dev folder and dev_share 0.1"),
        ({"dev_share": 1.0}, "dev_share"),
        ({"metric": "smell nDCG@10"}, "smell nDCG@10"),
        ({"metric": "dense MAP"}, "dense MAP"),
        ({"heads": ["dense"], "metric": "sparse R@100"}, "add sparse to heads"),
        ({"warmup": 2}, "warmup"),
        ({"group_size": 0}, "group_size"),
        ({"temperature": 0}, "temperature"),
        ({"epochs": 0}, "epochs"),
        ({"dropout": 1}, "dropout"),
        ({"layouts": []}, "layouts"),
        ({"loss_weights": [1, -1, 1]}, "loss_weights"),
    ],
)
def test_options_that_make_no_sense(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_fields(values)


def test_the_size_of_the_data_fills_the_gaps() -> None:
    small, large = (fill_sizes(TrainOptions(), count) for count in (100, 10**6))
    assert (small.batches.batch_size, small.learning.epochs, small.learning.learning_rate) == (16, 5, 2e-5)
    assert (large.batches.batch_size, large.learning.epochs, large.learning.learning_rate) == (48, 1, 1e-5)
    lora = fill_sizes(TrainOptions(lora=LoraFields(lora_rank=4)), 100)
    assert lora.learning.learning_rate == pytest.approx(2e-4)
    assert fill_sizes(FULL, 100).learning == FULL.learning
    assert fill_sizes(replace(FULL, learning=LearningFields(steps=3)), 100).learning.epochs is None
    assert fill_share(TrainOptions()).evaluation.dev_share == 0.05
    assert fill_share(TrainOptions(evaluation=EvaluationFields(dev="set"))).evaluation.dev_share == 0


def test_the_schedule_follows_from_the_steps() -> None:
    options = TrainOptions(learning=LearningFields(epochs=2.5, accumulate=2))
    assert total_steps(options, batches=7) == 10
    assert total_steps(replace(options, learning=LearningFields(steps=3)), batches=7) == 3
    filled = fill_schedule(options, 250)
    assert (filled.loss.distill_from_step, filled.evaluation.evaluate_every, filled.run.checkpoint_every) == (25,) * 3
    assert fill_schedule(options, 3).run.checkpoint_every == 1
    assert fill_schedule(filled, 10) == filled


def test_old_checkpoints_go_but_not_the_best(tmp_path: Path) -> None:
    for step in (5, 10, 15, 100, 110):
        folder = tmp_path / f"checkpoint-{step}"
        folder.mkdir()
        (folder / "weights").write_bytes(b"x")
        if step != 110:
            mark_complete(folder)
    assert [checkpoint_step(path) for path in complete_checkpoints(tmp_path)] == [5, 10, 15, 100]
    remove_old_checkpoints(tmp_path, keep=1, best_step=10)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["checkpoint-10", "checkpoint-100"]


def test_metrics_of_later_steps_are_forgotten(tmp_path: Path) -> None:
    run = RunFolder.create(TrainOptions(out=tmp_path / "run"))
    run.append({"kind": "step", "step": step} for step in range(4))
    run.forget_after(1)
    assert [record["step"] for record in run.records()] == [0, 1]


def test_options_need_no_torch() -> None:
    code = (
        "import sys, trivec.train.options, trivec.train.recipe_files, trivec.cli.train; print('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


@pytest.mark.parametrize(
    "path", sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml")), ids=lambda path: path.name
)
def test_the_recipes_can_be_read(path: Path) -> None:
    assert read_recipe(path).model
