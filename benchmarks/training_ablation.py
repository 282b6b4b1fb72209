"""What each part of the M3 training brings: self-distillation, mined negatives, training heads together.

    python benchmarks/training_ablation.py --train WORK --data EVAL_FOLDER --cache CACHE \
        --out benchmarks/results/training_ablation.json

WORK is that of ``recipes/m3-small.sh``: its mined examples and remembered states are used. Every variant is the recipe
of m3-small, a quarter as long, with one thing changed, by ``trivec train m3``; runs that are there are gone on with.
The sets are those that need little time and have room between good and bad.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

import trivec
from trivec.evaluate.significance import randomisation_p
from trivec.types import FloatArray

from common import environment, read_set, write_result
from default_model import evaluate, trained_encoder

RECIPE = Path(__file__).parents[1] / "recipes" / "m3-small.yaml"
SHORTER = ["--source-limit", "300"]
VARIANTS: dict[str, list[str]] = {
    "all": [],
    "no self-distillation": ["--distillation", "none"],
    "no mined negatives": ["--group-size", "1"],
    "dense alone": ["--heads", "dense"],
    "sparse alone": ["--heads", "sparse"],
    "multi alone": ["--heads", "multi"],
    "dense and sparse": ["--heads", "dense", "sparse"],
    "terms as written": ["--sparse-terms", "cased"],
}
SYSTEMS = ("dense", "sparse", "multi", "dense + sparse + multi")
SETS = ("arcd_ar", "cnil_fr", "facqa_id", "jsquad_ja", "nq_qed_en", "thquad_tr", "tldr_shell", "xquad_de", "xquad_hi",
        "xquad_xling_en")  # fmt: skip


def train(name: str, options: list[str], work: Path, runs: Path) -> Path:
    """The delta of a variant."""
    run = runs / name.replace(" ", "-")
    delta = run / "delta.safetensors"
    if not delta.is_file():
        examples = [str(path) for path in sorted((work / "mined").glob("*.jsonl.gz"))]
        new = ["m3", *examples, "--config", str(RECIPE), "--remember", str(work / "states"), "--out", str(run)]
        command = [sys.executable, "-m", "trivec.cli", "train"]
        command += ["resume", str(run)] if run.is_dir() else [*new, *SHORTER, *options]
        subprocess.run(command, check=True)
    return delta


def main() -> None:
    """Train, evaluate and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--train", type=Path, required=True, help="folder WORK of recipes/m3-small.sh")
    parser.add_argument("--data", type=Path, required=True, help="folder of sets in BEIR layout")
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--variants", nargs="*", default=list(VARIANTS))
    parser.add_argument("--sets", nargs="*", default=list(SETS))
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    deltas = {
        name: train(name, VARIANTS[name], arguments.train, arguments.cache / "runs") for name in arguments.variants
    }
    base = trivec.load("m3-small-base").checkpoint
    sets = [read_set(arguments.data / name) for name in arguments.sets]
    found: dict[str, dict[str, list[FloatArray]]] = {}
    for name, delta in deltas.items():
        encoder = trained_encoder(base, delta, arguments.cache / "states")
        for data in sets:
            values = evaluate(encoder, data, arguments.cache / "vectors" / name.replace(" ", "-"))
            for system in SYSTEMS:
                if system in values:
                    found.setdefault(name, {}).setdefault(system, []).append(values[system]["nDCG@10"])
            print(name, data.name, {system: round(float(found[name][system][-1].mean()), 4) for system in found[name]},
                  flush=True)  # fmt: skip
    table = {name: _line(values, found.get("all")) for name, values in found.items()}
    result = {"environment": environment("torch", "transformers"), "sets": list(arguments.sets), "variants": table}
    write_result(arguments.out, result)
    print(table)


def _line(values: dict[str, list[FloatArray]], whole: dict[str, list[FloatArray]] | None) -> dict[str, Any]:
    """Means over sets, and whether a variant differs from the whole recipe over all queries."""
    line: dict[str, Any] = {}
    for system, by_set in values.items():
        line[system] = {
            "nDCG@10": round(float(np.mean([queries.mean() for queries in by_set])), 4),
            "by set": [round(float(queries.mean()), 4) for queries in by_set],
        }
        if whole is not None and system in whole:
            line[system]["p against all"] = round(
                randomisation_p(np.concatenate(by_set) - np.concatenate(whole[system])), 4
            )
    return line


if __name__ == "__main__":
    main()
