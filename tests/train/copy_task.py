"""A task that a tiny model learns in seconds: three words, and the same words in another order."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import tiny_vocabularies
from trivec.train.option_groups import BatchFields, EvaluationFields, LearningFields, LossFields, RunFields
from trivec.train.options import TrainOptions

WORDS = [word for word in tiny_vocabularies.WORDS if len(word) > 2][:24]


def rows(count: int, seed: int = 0, negatives: int = 0) -> list[dict[str, Any]]:
    """Examples as lines of a file."""
    drawn = random.Random(seed)
    made = []
    for _ in range(count):
        words = drawn.sample(WORDS, 3)
        others = [" ".join(drawn.sample(WORDS, 3)) for _ in range(negatives)]
        made.append({"query": " ".join(drawn.sample(words, 3)), "pos": [" ".join(words)], "neg": others})
    return made


def write(path: Path, lines: Sequence[dict[str, Any]]) -> Path:
    """A file of examples."""
    path.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    return path


def write_beir(folder: Path, seed: int = 1) -> Path:
    """A folder in BEIR layout with twenty queries of the task."""
    (folder / "qrels").mkdir(parents=True)
    made = rows(20, seed)
    documents = [{"_id": f"d{n}", "title": "", "text": row["pos"][0]} for n, row in enumerate(made)]
    write(folder / "corpus.jsonl", documents)
    write(folder / "queries.jsonl", [{"_id": f"q{n}", "text": row["query"]} for n, row in enumerate(made)])
    lines = "".join(f"q{n}\td{n}\t1\n" for n in range(len(made)))
    (folder / "qrels" / "test.tsv").write_text(f"query-id\tcorpus-id\tscore\n{lines}", encoding="utf-8")
    return folder


def options(data: Path, model: Path, out: Path, **learning: Any) -> TrainOptions:
    """A recipe for the task. Dropout stays on, so that random states matter."""
    return TrainOptions(
        data=(str(data),),
        model=str(model),
        out=out,
        loss=LossFields(temperature=0.05),
        learning=LearningFields(**{"learning_rate": 5e-3, **learning}),
        batches=BatchFields(batch_size=32, group_size=2),
        evaluation=EvaluationFields(dev_share=0.2, dev_passages=60),
    )


def every(recipe: TrainOptions, measure: int, save: int) -> TrainOptions:
    """The recipe with its measurements and checkpoints so many steps apart."""
    return replace(
        recipe,
        evaluation=replace(recipe.evaluation, evaluate_every=measure),
        run=RunFields(checkpoint_every=save),
    )


def losses(run: Path) -> list[tuple[int, dict[str, float]]]:
    """The loss of every step and its parts."""
    records = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [(record["step"], record["loss"]) for record in records if record["kind"] == "step"]
