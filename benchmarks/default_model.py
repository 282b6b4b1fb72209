"""The default model against the backbone that it was trained from: every head and mix, several seeds, significance.

    python benchmarks/default_model.py --data EVAL_FOLDER --trained m3-small RUN/delta.safetensors ... \
        --states STATES --cache CACHE --out benchmarks/results/default_model.json

``--base`` is the untrained model. Each of ``--trained`` is a seed's training of it (`recipes/m3-small.sh`): a model, or
the delta of a run. For deltas, what the frozen layers give is kept under ``--states``, so that all seeds after the
first cost a third. Every passage is scored by every
system: no result depends on what another proposes. Documents are cut as a library cuts them, and count by their best
passage. P values are of a paired randomisation test over queries (two-sided, 10,000 sign flips).
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import trivec
from trivec import Encoder
from trivec.encode.checkpoints import Checkpoint
from trivec.encode.delta import Delta
from trivec.evaluate.measures import measure
from trivec.evaluate.significance import randomisation_p
from trivec.tensorfile import memory_map
from trivec.train.live_encoder import LiveRuntime, live_encoder
from trivec.train.lora import LoraOptions, lora_layers
from trivec.train.model import TrainableEncoder
from trivec.train.objectives import M3, M3Options
from trivec.train.split_batch import SplitOptions
from trivec.train.step_loss import StepLoss
from trivec.types import FloatArray, Head, Signal

from common import EvaluationSet, environment, read_set, write_result
from encoded_sets import best_documents, encode_set, signal_scores

SYSTEMS: dict[str, dict[Signal, float]] = {
    "dense": {"dense": 1.0},
    "sparse": {"sparse": 1.0},
    "bm25": {"bm25": 1.0},
    "multi": {"multi": 1.0},
    "dense + bm25": {"dense": 1.0, "bm25": 0.1},
    "dense + sparse + multi": {"dense": 1.0, "sparse": 0.3, "multi": 1.0},
    "dense + bm25 + multi": {"dense": 1.0, "bm25": 0.15, "multi": 1.0},
    "hybrid": {"dense": 1.0, "sparse": 0.5, "bm25": 0.2, "multi": 1.0},
}
"""The three heads by M3's own weights; mixes with BM25 by the best weights on training pairs (`fusion_weights.py`);
"hybrid" is what m3-small brings, "dense + bm25 + multi" what m3-small-base brings."""


def trained_encoder(base: Checkpoint, delta: Path, states: Path) -> Encoder:
    """The base with a delta, over remembered states of the layers that no delta of this recipe changes."""
    told = Delta(delta)
    tensors, scale = {name: np.array(value) for name, value in memory_map(delta).items()}, told.scale
    names = [name.removesuffix(".weight.lora_a") for name in tensors if name.endswith(".lora_a")]
    frozen = min(int(name.split(".layer.")[1].split(".")[0]) for name in names)
    rank = len(tensors[f"{names[0]}.weight.lora_a"])
    heads: list[Head] = ["dense", *(head for head in ("sparse", "multi") if f"{head}.weight" in tensors)]
    model = TrainableEncoder.from_checkpoint(
        replace(base, sparse_terms=told.sparse_terms, multi=None),
        heads,
        lora=LoraOptions(rank, alpha=scale * rank),
        freeze_layers=frozen,
        remember=states / f"layers-{frozen}",
    )
    with torch.no_grad():
        for name, layer in lora_layers(model.backbone):
            layer.lora_a.copy_(torch.from_numpy(tensors[f"{name}.weight.lora_a"]))
            layer.lora_b.copy_(torch.from_numpy(tensors[f"{name}.weight.lora_b"]))
        for head, layer in (("sparse", model.sparse), ("multi", model.multi)):
            if layer is not None:
                layer.weight.copy_(torch.from_numpy(tensors[f"{head}.weight"]))
                layer.bias.copy_(torch.from_numpy(tensors[f"{head}.bias"]))
    loss = StepLoss(model.eval(), M3(M3Options()), SplitOptions())
    return live_encoder(model, LiveRuntime(loss, torch.device("cpu")))


def per_query(signals: Mapping[Signal, FloatArray], names: Sequence[str], data: EvaluationSet) -> dict[str, Any]:
    """nDCG@10 of each query and the mean Recall@100, by system; those whose signals are there."""
    found = {}
    for system, weights in SYSTEMS.items():
        if not weights.keys() <= signals.keys():
            continue
        total = sum(np.float32(weight) * signals[signal] for signal, weight in weights.items())
        run = {query: best_documents(row, names) for query, row in zip(data.queries, total, strict=True)}
        measured = measure(run, data.qrels, ["nDCG@10", "R@100"])
        found[system] = {"nDCG@10": measured.values["nDCG@10"], "R@100": measured.means()["R@100"]}
    return found


def evaluate(encoder: Encoder, data: EvaluationSet, cache: Path) -> dict[str, Any]:
    """All systems of one model on one set."""
    cache.mkdir(parents=True, exist_ok=True)
    encoded = encode_set(encoder, data, cache)
    return per_query(signal_scores(encoded), [passage.document_id for passage in encoded.passages], data)


def summary(before: dict[str, Any], after: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Of one set: means over queries, and over seeds where there are several; p values of seeds' means by query."""
    base = {system: round(float(values["nDCG@10"].mean()), 4) for system, values in before.items()}
    by_seed = {
        system: [round(float(seed[system]["nDCG@10"].mean()), 4) for seed in after] for system in (after or [{}])[0]
    }
    result: dict[str, Any] = {"untrained": base, "trained, by seed": by_seed}
    if after:
        mean = {system: np.mean([seed[system]["nDCG@10"] for seed in after], axis=0) for system in after[0]}
        result["trained"] = {system: round(float(values.mean()), 4) for system, values in mean.items()}
        result["R@100"] = {system: round(float(np.mean([s[system]["R@100"] for s in after])), 4) for system in after[0]}
        ours = mean["dense + sparse + multi"]
        rivals = {
            "untrained dense": before["dense"]["nDCG@10"],
            "untrained dense + bm25": before["dense + bm25"]["nDCG@10"],
            "untrained dense + bm25 + multi": before["dense + bm25 + multi"]["nDCG@10"],
            "trained dense + bm25": mean["dense + bm25"],
            "trained dense": mean["dense"],
        }
        result["dense + sparse + multi against"] = {
            name: {"difference": round(float((ours - values).mean()), 4), "p": round(randomisation_p(ours - values), 4)}
            for name, values in rivals.items()
        }
    return result


def main() -> None:
    """Evaluate, compare and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of sets in BEIR layout")
    parser.add_argument("--base", default="m3-small-base")
    parser.add_argument("--trained", nargs="*", default=["m3-small"], help="models, or files of deltas")
    parser.add_argument("--states", type=Path, help="folder, where there are deltas")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--sets", nargs="*", help="names of the sets to run; default all")
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    untrained = trivec.load(arguments.base)
    encoders = {
        name: trained_encoder(untrained.checkpoint, Path(name), arguments.states)
        if name.endswith(".safetensors")
        else trivec.load(name)
        for name in arguments.trained
    }
    table = {}
    for folder in sorted(path.parent for path in arguments.data.glob("*/qrels.tsv")):
        if arguments.sets and folder.name not in arguments.sets:
            continue
        data = read_set(folder)
        before = evaluate(untrained, data, arguments.cache / "untrained")
        after = [
            evaluate(encoder, data, arguments.cache / hashlib.sha256(name.encode()).hexdigest()[:16])
            for name, encoder in encoders.items()
        ]
        table[data.name] = summary(before, after)
        line = table[data.name].get("trained", table[data.name]["untrained"])
        print(f"{data.name:18}", f"untrained dense {table[data.name]['untrained']['dense']:.3f} |",
              " ".join(f"{system} {value:.3f}" for system, value in line.items()), flush=True)  # fmt: skip
    means = {
        kind: {
            s: round(float(np.mean([row[kind][s] for row in table.values()])), 4)
            for s in next(iter(table.values()))[kind]
        }
        for kind in ("untrained", "trained")
        if all(kind in row for row in table.values())
    }
    print(means)
    result = {
        "environment": environment("torch", "transformers", "ir-measures"),
        "systems": SYSTEMS,
        "seeds": len(encoders),
        "mean nDCG@10": means,
        "sets": table,
    }
    write_result(arguments.out, result)


if __name__ == "__main__":
    main()
