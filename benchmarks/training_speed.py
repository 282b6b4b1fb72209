"""Seconds of a training step beside FlagEmbedding's, and the most memory each took.

    python benchmarks/training_speed.py --data DATA/train --model FOLDER --python flagembedding=PYTHON \
        --out benchmarks/results/training_speed.json

The same model, the same texts, the same losses (all heads with self-distillation, and the dense head alone), float32,
AdamW. Each engine sits in a process of its own; they take turns, step after step. PYTHON is one with FlagEmbedding
installed. Texts are real pairs, so passages differ in length. Memory is the most that the process ever held: a step is
what needs most of it, but the model and the libraries are in it.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import environment, write_result

HERE = Path(__file__).parent
HEADS = {"unified": ["dense", "sparse", "multi"], "dense": ["dense"]}


def read_groups(data: Path, queries: int, group_size: int) -> list[dict[str, Any]]:
    """Queries with a positive, and passages of other queries as their negatives."""
    rows = []
    for file in sorted(data.glob("qa.*.jsonl.gz")):
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            rows += [json.loads(line) for line, _ in zip(lines, range(100), strict=False)]
    random.Random(0).shuffle(rows)
    others = iter(row["pos"][0] for row in rows[queries:])
    return [
        {"query": row["query"], "pos": row["pos"][:1], "neg": [next(others) for _ in range(group_size - 1)]}
        for row in rows[:queries]
    ]


class Worker:
    """A process that holds one engine, ready."""

    def __init__(self, name: str, python: str, model: Path, groups: Path, heads: list[str]) -> None:
        command = [python, str(HERE / "training_worker.py"), name, "--model", str(model), "--groups", str(groups)]
        self.name, self._process = name, subprocess.Popen(
            [*command, "--heads", *heads], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )  # fmt: skip
        self.version = self._answer()["version"]

    def step(self) -> dict[str, float]:
        """One training step."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("@"):
                answer: dict[str, Any] = json.loads(line[1:])
                return answer
        raise ChildProcessError(f"{self.name} ended with exit code {self._process.wait()}")

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def measure(arguments: argparse.Namespace, groups: Path, heads: list[str]) -> dict[str, Any]:
    """Medians of both engines over rounds, and their ratios."""
    pythons = {"trivec": sys.executable, **dict(pair.split("=", 1) for pair in arguments.python)}
    workers = [Worker(name, python, arguments.model, groups, heads) for name, python in pythons.items()]
    taken: dict[str, list[dict[str, float]]] = {worker.name: [] for worker in workers}
    for _ in range(arguments.rounds):
        for worker in workers:
            taken[worker.name].append(worker.step())
    for worker in workers:
        worker.close()
    found: dict[str, Any] = {
        worker.name: {
            "version": worker.version,
            **{name: round(statistics.median(step[name] for step in taken[worker.name]), 3) for name in ("s", "cpu_s")},
            "most_mb": round(max(step["most_mb"] for step in taken[worker.name])),
        }
        for worker in workers
    }
    ours = found["trivec"]
    for name in set(found) - {"trivec"}:
        found[f"{name} / trivec"] = {key: round(found[name][key] / ours[key], 2) for key in ("s", "cpu_s", "most_mb")}
    return found


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--python", nargs="*", default=[], help="ENGINE=PYTHON")
    parser.add_argument("--queries", type=int, default=4)
    parser.add_argument("--group-size", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        groups = Path(folder) / "groups.json"
        groups.write_text(json.dumps(read_groups(arguments.data, arguments.queries, arguments.group_size)))
        rows = {name: measure(arguments, groups, heads) for name, heads in HEADS.items()}
    shape = {"queries": arguments.queries, "passages a query": arguments.group_size, "rounds": arguments.rounds}
    result = {
        "environment": environment("torch", "transformers"),
        "model": arguments.model.name,
        **shape,
        "steps": rows,
    }
    print(json.dumps(rows, indent=1))
    write_result(arguments.out, result)


if __name__ == "__main__":
    main()
