"""Pairs a second of a cross-encoder on CPU, side by side: trivec, sentence-transformers and FlagEmbedding.

    python benchmarks/reranking_speed.py --data FOLDER --python flagembedding=PYTHON --out RESULT.json

Each engine sits in a process of its own with its model loaded; they take turns, round after round, on the same pairs.
The model is the backbone of ``--model`` with a classification head of drawn weights: what it says means nothing, but
all engines must say the same, and how far they differ is written down. ``mixed`` has queries with documents as they
come in the training files, 20 each; ``alike`` has documents of 128 to 256 tokens. FlagEmbedding wants an environment of
its own.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from trivec.encode.loading import resolve
from trivec.encode.tokenizer import TextTokenizer

from common import environment, physical_limits, write_result
from encoding_speed import start

ENGINES = ("trivec-onnx", "trivec-int8", "trivec-torch", "sentence-transformers", "flagembedding")
DOCUMENTS = 20
"""Of a query."""


def write_classifier(model: str, folder: Path) -> None:
    """A cross-encoder folder: the backbone of a model, and a head that is drawn."""
    import torch
    from transformers import AutoModelForSequenceClassification

    source, _ = resolve(model)
    torch.manual_seed(0)
    AutoModelForSequenceClassification.from_pretrained(source, num_labels=1).save_pretrained(folder)
    for path in source.glob("*token*"):
        shutil.copy(path, folder)


def choose_pairs(data: Path, tokenizer: TextTokenizer, queries: int) -> dict[str, list[tuple[str, str]]]:
    """Queries of all training files, each with documents of its own file."""
    chooser = random.Random(0)
    sets: dict[str, list[tuple[str, str]]] = {"mixed": [], "alike": []}
    files = sorted(data.glob("*.jsonl.gz"))
    for file in files:
        with gzip.open(file, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line, _ in zip(lines, range(400), strict=False)]
        documents = [text for row in rows for text in row["pos"]]
        lengths = [len(encoding.ids) for encoding in tokenizer.pieces(documents)]
        alike = [text for text, length in zip(documents, lengths, strict=True) if 128 <= length <= 256]
        for row in chooser.sample(rows, max(1, queries // len(files))):
            sets["mixed"] += [(row["query"], text) for text in chooser.choices(documents, k=DOCUMENTS)]
            sets["alike"] += [(row["query"], text) for text in chooser.choices(alike, k=DOCUMENTS if alike else 0)]
    return sets


def table(pairs: int, taken: dict[str, list[list[float]]]) -> dict[str, Any]:
    """Pairs a second, and ratios of the best rounds."""
    best = {name: min(wall for wall, _ in rounds) for name, rounds in taken.items()}
    cpu = {name: min(used for _, used in rounds) for name, rounds in taken.items()}
    peers = [name for name in best if not name.startswith("trivec")]
    return {
        "pairs": pairs,
        "pairs_per_s": {name: round(pairs / value, 1) for name, value in best.items()},
        "median_pairs_per_s": {
            name: round(pairs / statistics.median(wall for wall, _ in rounds), 1) for name, rounds in taken.items()
        },
        "trivec_is_faster_by": {name: round(best[name] / best["trivec-onnx"], 2) for name in peers},
        "trivec_takes_less_cpu_time_by": {name: round(cpu[name] / cpu["trivec-onnx"], 2) for name in peers},
        "int8_is_faster_by": round(best["trivec-onnx"] / best["trivec-int8"], 2),
    }


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of training files *.jsonl.gz")
    parser.add_argument("--model", default="m3-small-base")
    parser.add_argument("--python", action="append", default=[], metavar="ENGINE=PYTHON")
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    pythons = dict.fromkeys(ENGINES, sys.executable) | dict(word.split("=", 1) for word in given.python)
    with tempfile.TemporaryDirectory() as scratch:
        folder, path = Path(scratch) / "reranker", Path(scratch) / "pairs.json"
        write_classifier(given.model, folder)
        sets = choose_pairs(given.data, TextTokenizer.from_file(folder / "tokenizer.json"), given.queries)
        path.write_text(json.dumps(sets), encoding="utf-8")
        engines, skipped = start(pythons, [str(folder), str(path)], "reranking_worker.py")
        seconds: dict[str, dict[str, list[list[float]]]] = {name: {} for name in sets}
        for _ in range(given.rounds):
            for engine in engines:
                for name in sets:
                    seconds[name].setdefault(engine.name, []).append(engine.run(name))
        for engine in engines:
            engine.close()
    logits = {engine.name: np.asarray(engine.version["logits"]) for engine in engines}
    result = {
        "environment": environment("torch", "transformers"),
        "limits": physical_limits(),
        "model": given.model,
        "versions": {engine.name: engine.version["version"] for engine in engines},
        "skipped": skipped,
        "largest_difference_of_logits": {
            name: float(np.abs(own - logits["trivec-onnx"]).max()) for name, own in logits.items()
        },
        "pairs": {name: table(len(sets[name]), taken) for name, taken in seconds.items()},
    }
    print(json.dumps(result["pairs"], indent=1))
    write_result(given.out, result)


if __name__ == "__main__":
    main()
