"""Weights sharded over two processes (FSDP): what one process does with all of them, in training and going on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from copy_task import losses, options, rows, write, write_beir
from safetensors.numpy import load_file

from trivec.errors import InputError
from trivec.train.option_groups import LoraFields
from trivec.train.options import TrainOptions
from trivec.train.recipe_files import write_recipe
from trivec.train.runs import RunFolder
from trivec.train.split_batch import SplitOptions
from trivec.train.training import train

PROGRAM = Path(__file__).with_name("sharded_process.py")
SHARDING = {
    "ACCELERATE_USE_FSDP": "true",
    "FSDP_VERSION": "2",
    "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_TRANSFORMER_CLS_TO_WRAP": "XLMRobertaLayer",
    "FSDP_RESHARD_AFTER_FORWARD": "true",
    "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT",
    "OMP_NUM_THREADS": "1",
}
"""As ``accelerate launch --use_fsdp`` sets them."""


def uneven_rows() -> list[dict[str, Any]]:
    """Some texts many times as long as others, so that processes have different numbers of parts."""
    made = rows(64, negatives=2)
    for number, row in enumerate(made):
        row["pos"] = [" ".join(row["pos"] * (1 + number % 5 * (number % 3)))]
    return made


@pytest.fixture
def recipe(tiny: Callable[[str], Path], tmp_path: Path) -> TrainOptions:
    data = write(tmp_path / "pairs.jsonl", uneven_rows())  # fills batches of 16 with nothing left
    plain = options(data, tiny("m3"), tmp_path / "one", epochs=None, steps=4, learning_rate=1e-4)
    return replace(
        plain,
        dropout=0.0,
        batches=replace(plain.batches, batch_size=16),
        evaluation=replace(plain.evaluation, dev_share=0.0, dev=str(write_beir(tmp_path / "beir")), evaluate_every=2),
        run=replace(plain.run, checkpoint_every=2),
    )


def run_sharded(*arguments: object) -> None:
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command: Sequence[str] = [*launcher, str(PROGRAM), "train", *map(str, arguments)]
    subprocess.run(command, check=True, timeout=100, capture_output=True, env=os.environ | SHARDING)


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"lora": LoraFields(lora_rank=4), "freeze_layers": 1}], ids=["all", "lora"])
def test_sharded_ranks_equal_one_process(changes: dict[str, Any], recipe: TrainOptions, tmp_path: Path) -> None:
    recipe = replace(recipe, **changes)
    train(recipe)
    parts = replace(recipe.batches, batch_size=8, split="checkpointed", split_tokens=40)
    write_recipe(replace(recipe, out=tmp_path / "two", batches=parts), tmp_path / "recipe.yaml")
    run_sharded("m3", "--config", tmp_path / "recipe.yaml")
    for (_, one), (_, other) in zip(losses(tmp_path / "one"), losses(tmp_path / "two"), strict=True):
        assert one == pytest.approx(other, rel=1e-4, abs=1e-6)
    expected, found = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("one", "two"))
    assert expected.keys() == found.keys()
    assert all(np.abs(expected[name] - found[name]).max() < 2e-4 for name in expected)


@pytest.mark.slow
def test_a_sharded_run_goes_on(recipe: TrainOptions, tmp_path: Path) -> None:
    parts = replace(recipe.batches, batch_size=8)
    write_recipe(replace(recipe, out=tmp_path / "two", batches=parts), tmp_path / "recipe.yaml")
    run_sharded("m3", "--config", tmp_path / "recipe.yaml")
    run = RunFolder(tmp_path / "two")
    model, expected = run.model / "model.safetensors", losses(run.path)
    weights = model.read_bytes()
    (run.checkpoints / "checkpoint-4" / "complete.json").unlink()
    model.unlink()
    run_sharded("resume", run.path)
    assert losses(run.path) == expected
    assert model.read_bytes() == weights


def test_cached_parts_are_refused_with_shards() -> None:
    with pytest.raises(InputError, match="choose checkpointed"):
        SplitOptions("cached", equal_parts=True)
