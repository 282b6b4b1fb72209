"""Recipes of rerankers: told from those of encoders, written and read back, and what is wrong in them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trivec.errors import InputError
from trivec.train.option_groups import BatchFields, LearningFields, LoraFields
from trivec.train.options import TrainOptions
from trivec.train.presets import fill_schedule, fill_share, fill_sizes
from trivec.train.recipe_files import from_fields, read_recipe, to_fields, write_recipe
from trivec.train.reranker_options import RerankerLossFields, RerankerOptions, RerankerRunFields
from trivec.train.runs import RunFolder

FULL = RerankerOptions(
    data=("a.jsonl", "b"),
    out=Path("run"),
    freeze_layers=2,
    loss=RerankerLossFields(teacher="kl", teacher_temperature=2.0),
    learning=LearningFields(learning_rate=1e-5, epochs=2.5),
    batches=BatchFields(group_size=4, query_length=32),
    lora=LoraFields(lora_rank=8, lora_layers=("query", "value")),
    run=RerankerRunFields(seed=7),
)


def test_a_recipe_comes_back_as_it_was(tmp_path: Path) -> None:
    write_recipe(FULL, tmp_path / "recipe.yaml")
    assert read_recipe(tmp_path / "recipe.yaml") == FULL
    assert from_fields(to_fields(FULL)) == FULL
    assert next(iter(to_fields(FULL).items())) == ("task", "reranker")
    others = {"task", *to_fields(FULL.decoder)}
    assert set(to_fields(FULL)) - others < set(to_fields(TrainOptions()))


def test_a_run_knows_its_kind(tmp_path: Path) -> None:
    for options in (RerankerOptions(out=tmp_path / "one"), TrainOptions(out=tmp_path / "other")):
        assert RunFolder.create(options).options == options


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"group_size": 1}, "group_size is 1: give at least 2"),
        ({"metric": "hybrid nDCG@10"}, "metric 'hybrid nDCG@10' is not known: give rerank"),
        ({"metric": "rerank R@100"}, "one of nDCG@10, RR@10"),
        ({"teacher": "ranks"}, "teacher is 'ranks': choose one of none, kl"),
        ({"heads": ["dense"]}, "unknown option heads: see trivec train reranker --help"),
        ({"remember": "states", "pooling": "cls"}, "unknown option remember, pooling"),
        ({"distillation": "early"}, "distillation is 'early': choose one of self, none"),
        ({"layouts": ["trivec"]}, "unknown option layouts"),
        ({"dropout": 1}, "dropout"),
        ({"freeze_layers": -1}, "freeze_layers"),
        ({"teacher_temperature": 0}, "teacher_temperature"),
        ({"epochs": 1, "steps": 1}, "contradict"),
        ({"task": "smell"}, "task is 'smell': choose one of reranker"),
    ],
)
def test_options_that_make_no_sense(values: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        from_fields({"task": "reranker"} | values)


def test_the_size_of_the_data_fills_the_gaps() -> None:
    small, large = (fill_sizes(RerankerOptions(), count) for count in (100, 10**6))
    assert (small.batches.batch_size, small.learning.epochs) == (8, 4)
    assert (large.batches.batch_size, large.learning.epochs) == (32, 1)
    assert large.learning.learning_rate is not None
    adapted = fill_sizes(replace(RerankerOptions(), lora=LoraFields(lora_rank=4)), 10**6)
    assert adapted.learning.learning_rate == pytest.approx(10 * large.learning.learning_rate)
    filled = fill_schedule(fill_share(RerankerOptions()), 250)
    assert (filled.evaluation.dev_share, filled.evaluation.evaluate_every, filled.run.checkpoint_every) == (
        0.05,
        25,
        25,
    )
