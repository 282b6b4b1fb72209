"""Tokens per second on CPU, side by side: trivec on ONNX Runtime and torch, sentence-transformers, FlagEmbedding.

    python benchmarks/encoding_speed.py --data EVAL_FOLDER --model NAME=FOLDER:mean ... \
        [--flagembedding-python PYTHON] --out benchmarks/results/encoding_speed.json

All engines are loaded at once and take turns, round after round, on the same texts: real passages and queries of
mixed lengths and languages, from ``--data`` or, without it, from the sample library. Reported are the best round of
each engine and its ratio to sentence-transformers in the same run. FlagEmbedding needs other versions than ours, so
it runs under its own interpreter if one is given (the recipe stands in `benchmarks/parity/README.md`).
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import trivec
from trivec.search.readers import read_documents

from common import environment, read_set, write_result

HERE = Path(__file__).parent
OURS = ("trivec-onnx", "trivec-onnx-all-heads", "trivec-torch", "sentence-transformers")


class Engine:
    """A worker process that holds one loaded model."""

    def __init__(self, name: str, python: str, model: str, pooling: str, texts: Path) -> None:
        self.name = name
        command = [python, str(HERE / "speed_worker.py"), name, model, pooling, str(texts)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
        self._answer()

    def run(self) -> float:
        """Seconds for all texts."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return float(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("@"):
                return line[1:].strip()
        raise SystemExit(f"{self.name} ended with exit code {self._process.wait()}")

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def sample_texts(data: Path | None, count: int) -> list[str]:
    """Two passages for each query, drawn evenly from the sets."""
    chooser = random.Random(0)
    if data is None:
        folder = HERE.parent / "examples" / "library"
        return [document.text for document in read_documents(folder / "articles")]
    sets = [read_set(folder.parent) for folder in sorted(data.glob("*/qrels.tsv"))]
    share = max(1, count // (3 * len(sets)))
    texts: list[str] = []
    for each in sets:
        texts += [document.text for document in chooser.sample(each.documents, 2 * share)]
        texts += chooser.sample(list(each.queries.values()), share)
    chooser.shuffle(texts)
    return texts


def matmul_peak() -> float:
    """GFLOP/s of a large float32 product, the limit of this machine."""
    a = np.ones((1536, 1536), np.float32)
    best = min(_seconds(lambda: a @ a) for _ in range(10))
    return 2 * 1536**3 / best / 1e9


def _seconds(call: Any) -> float:  # noqa: ANN401
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def measure(model: str, pooling: str, texts: list[str], rounds: int, reference: str | None) -> dict[str, Any]:
    """Interleaved rounds of all engines on one model."""
    encoder = trivec.load(model)
    tokens = sum(len(text.ids) for text in encoder.tokenizer.tokenize(texts, encoder.max_length))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "texts.json"
        path.write_text(json.dumps(texts), encoding="utf-8")
        pythons = dict.fromkeys(OURS, sys.executable) | ({"flagembedding": reference} if reference else {})
        engines = [Engine(name, python, model, pooling, path) for name, python in pythons.items()]
        seconds: dict[str, list[float]] = {engine.name: [] for engine in engines}
        for _ in range(rounds):
            for engine in engines:
                seconds[engine.name].append(engine.run())
        for engine in engines:
            engine.close()
    speed = {name: tokens / min(taken) for name, taken in seconds.items()}
    base = speed["sentence-transformers"]
    flop_per_token = 2 * _linear_parameters(encoder.checkpoint.config)
    return {
        "texts": len(texts),
        "tokens": tokens,
        "tokens_per_s": {name: round(value) for name, value in speed.items()},
        "times_sentence_transformers": {name: round(value / base, 2) for name, value in speed.items()},
        "GFLOP_per_s": {name: round(value * flop_per_token / 1e9) for name, value in speed.items()},
        "seconds": {name: [round(value, 3) for value in taken] for name, taken in seconds.items()},
    }


def _linear_parameters(config: Any) -> int:  # noqa: ANN401
    hidden, inner = int(config["hidden_size"]), int(config["intermediate_size"])
    return int(config["num_hidden_layers"]) * (4 * hidden * hidden + 2 * hidden * inner)


def main() -> None:
    """Measure every model and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of sets in BEIR layout")
    parser.add_argument("--model", nargs="*", default=[], help="NAME=FOLDER:POOLING; default m3-small from the cache")
    parser.add_argument("--flagembedding-python", help="interpreter of an environment with FlagEmbedding")
    parser.add_argument("--texts", type=int, default=480)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    default = f"m3-small={trivec.load().checkpoint.folder}:mean"
    texts = sample_texts(arguments.data, arguments.texts)
    table = {}
    for spec in arguments.model or [default]:
        name, _, rest = spec.partition("=")
        folder, _, pooling = rest.rpartition(":")
        table[name] = measure(folder, pooling, texts, arguments.rounds, arguments.flagembedding_python)
        print(name, table[name]["times_sentence_transformers"], table[name]["tokens_per_s"], flush=True)
    source = "evaluation sets" if arguments.data else "sample library"
    result = {
        "environment": environment("torch", "transformers", "sentence-transformers"),
        "texts_from": source,
        "matmul_peak_GFLOP_per_s": round(matmul_peak()),
        "models": table,
    }
    write_result(arguments.out, result)


if __name__ == "__main__":
    main()
