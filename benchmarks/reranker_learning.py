"""Do rerankers learn what they are for? Tiny models from random weights, on made-up tasks, over several seeds.

    python benchmarks/reranker_learning.py --out benchmarks/results/reranker_learning.json

*Order*: a query names two words, and the right passage has them in that order among others, the wrong one has the same
words with these two exchanged. A cross-encoder is compared with a bi-encoder of the same size, on the same groups.

*Layers*: a language model with a head behind every layer learns the same task, with the last layer as teacher of the
others and without. Told is how often each layer is right.
"""

from __future__ import annotations

import argparse
import json
import logging
import random
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import trivec
from trivec.train.option_groups import BatchFields, EvaluationFields, LearningFields, LossFields, RunFields
from trivec.train.options import TrainOptions
from trivec.train.reranker_options import (
    DecoderFields,
    RerankerEvaluationFields,
    RerankerOptions,
    RerankerRunFields,
)
from trivec.train.training import train

from common import environment, write_result

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

import tiny_vocabularies

import tiny_llms
import tiny_models

_LENGTH = 4
"""Words of a passage."""


def groups(words: Sequence[str], count: int, seed: int) -> list[dict[str, Any]]:
    """Examples of the task."""
    drawn, made = random.Random(seed), []
    for _ in range(count):
        right = drawn.sample(words, _LENGTH)
        first, second = sorted(drawn.sample(range(_LENGTH), 2))
        wrong = list(right)
        wrong[first], wrong[second] = wrong[second], wrong[first]
        made.append({"query": f"{right[first]} {right[second]}", "pos": [" ".join(right)], "neg": [" ".join(wrong)]})
    return made


def written(path: Path, rows: Sequence[dict[str, Any]]) -> str:
    """A file of examples."""
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def share_right(right: Any, wrong: Any) -> float:
    """How often the right passage scores higher; equal scores count half."""
    return round(float(np.mean((right > wrong) + 0.5 * (right == wrong))), 4)


def common_options(steps: int) -> tuple[LearningFields, BatchFields]:
    """What all are trained with."""
    return LearningFields(learning_rate=3e-3, steps=steps), BatchFields(batch_size=64, group_size=2)


def trained_reranker(model: Path, data: str, seed: int, steps: int, decoder: DecoderFields | None = None) -> Path:
    """The folder of a model after training as a reranker."""
    learning, batches = common_options(steps)
    options = RerankerOptions(
        data=(data,),
        model=str(model),
        out=model.with_name(f"{model.name}-run"),
        dropout=0.0,
        learning=learning,
        batches=batches,
        decoder=decoder or DecoderFields(),
        evaluation=RerankerEvaluationFields(dev_share=0.0),
        run=RerankerRunFields(seed=seed, checkpoint_every=10**6),
    )
    return train(options).model


def cross_encoder(folder: Path, data: str, test: Sequence[dict[str, Any]], seed: int, steps: int) -> float:
    """Share of right answers of a cross-encoder."""
    model = tiny_models.write_tiny_m3(folder / "cross", seed=seed)
    reranker = trivec.load_reranker(trained_reranker(model, data, seed, steps))
    return share_right(
        *(reranker.score_pairs([(row["query"], row[side][0]) for row in test]) for side in ("pos", "neg"))
    )


def bi_encoder(folder: Path, data: str, test: Sequence[dict[str, Any]], seed: int, steps: int) -> float:
    """Share of right answers of a bi-encoder."""
    learning, batches = common_options(steps)
    model = tiny_models.write_tiny_m3(folder / "start-bi", seed=seed)
    options = TrainOptions(
        data=(data,),
        model=str(model),
        heads=("dense",),
        out=folder / "bi",
        dropout=0.0,
        loss=LossFields(temperature=0.05),
        learning=learning,
        batches=batches,
        evaluation=EvaluationFields(dev_share=0.0),
        run=RunFields(seed=seed, checkpoint_every=10**6),
    )
    encoder = trivec.load(train(options).model)
    queries = encoder.encode_queries([row["query"] for row in test], ["dense"]).dense
    sides = (encoder.encode_documents([row[side][0] for row in test], ["dense"]).dense for side in ("pos", "neg"))
    return share_right(*((queries * side).sum(axis=1) for side in sides))


def layers(
    folder: Path, data: str, test: Sequence[dict[str, Any]], seed: int, steps: int, distillation: Any
) -> list[float]:
    """Share of right answers behind each layer."""
    model = tiny_llms.write_tiny_llm(folder / f"layers-{distillation}", seed=seed)
    decoder = DecoderFields(prompt="?", start_layer=1, distillation=distillation)
    trained = trained_reranker(model, data, seed, steps, decoder)
    reranker = trivec.load_reranker(trained, cutoff_layers=range(1, tiny_llms.LAYERS + 1))
    sides = [reranker.score_layers([(row["query"], row[side][0]) for row in test]) for side in ("pos", "neg")]
    return [share_right(sides[0][:, place], sides[1][:, place]) for place in range(sides[0].shape[1])]


def main() -> None:
    """Train them all."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--parts", nargs="*", default=["order", "layers"])
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    logging.disable(logging.WARNING)
    result: dict[str, Any] = {"environment": environment("torch"), "steps": given.steps}
    words = [word for word in tiny_llms.WORDS if word in tiny_vocabularies.WORDS and len(word) > 2][:12]
    for seed in range(given.seeds):
        test = groups(words, 500, 1000 + seed)
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            data = written(folder / "groups.jsonl", groups(words, 20_000, seed))
            if "order" in given.parts:
                row = {
                    "cross-encoder": cross_encoder(folder, data, test, seed, given.steps),
                    "bi-encoder": bi_encoder(folder, data, test, seed, given.steps),
                }
                result.setdefault("order", []).append(row)
                print(seed, row, flush=True)
            if "layers" in given.parts:
                row = {
                    way: layers(folder, data, test, seed, given.steps, teacher)
                    for way, teacher in {"taught by the last": "self", "labels alone": "none"}.items()
                }
                result.setdefault("layers", []).append(row)
                print(seed, row, flush=True)
    result["mean"] = {
        part: {way: np.mean([row[way] for row in result[part]], axis=0).round(4).tolist() for way in result[part][0]}
        for part in ("order", "layers")
        if part in result
    }
    print(json.dumps(result["mean"]))
    write_result(given.out, result)


if __name__ == "__main__":
    main()
