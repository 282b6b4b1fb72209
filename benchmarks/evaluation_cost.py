"""What measuring costs beside encoding: time on sets of a thousand documents or more, and memory on a hundred thousand.

    python benchmarks/evaluation_cost.py --data EVAL_FOLDER --out benchmarks/results/evaluation_cost.json

``time``: encoding the passages and queries of a set with all heads, and then `trivec.evaluate.evaluate` with its seven
default systems, which encodes them again, in turns; the ratio of the medians. ``memory``: the most that a process held
(resident) while it measured ``--documents`` short documents by 500 queries, text, vectors and model included. The texts
are drawn from the words of a set. A part that is measured alone (``--parts``) goes into the result that is there.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

import trivec
from trivec.evaluate import EvaluateOptions, JudgedQuery, JudgedSet, evaluate, read_judged
from trivec.evaluate.set_vectors import SetEncoder
from trivec.types import HEADS, Document

from common import environment, write_result

SETS = ("nq_qed_en", "jsquad_ja", "tldr_shell")
WORDS, QUERIES, QUERY_WORDS = 16, 500, 6


def measure_time(encoder: trivec.Encoder, judged: JudgedSet, turns: int) -> dict[str, Any]:
    """Medians of both, and their ratio."""
    heads = [head for head in HEADS if head in encoder.heads and head != "terms"]
    vectors = SetEncoder(encoder, heads)
    taken: dict[str, list[float]] = {"encoding": [], "evaluating": []}
    for _ in range(turns):
        start = time.perf_counter()
        vectors.encode_queries(judged.queries)
        for _part in vectors.encode_parts(vectors.split(judged.documents)):
            pass
        taken["encoding"].append(time.perf_counter() - start)
        start = time.perf_counter()
        systems = evaluate(encoder, judged).systems
        taken["evaluating"].append(time.perf_counter() - start)
    medians = {name: float(np.median(values)) for name, values in taken.items()}
    return {
        "documents": len(judged.documents),
        "queries": len(judged.queries),
        "systems": len(systems),
        "encoding_s": [round(value, 1) for value in taken["encoding"]],
        "evaluating_s": [round(value, 1) for value in taken["evaluating"]],
        "ratio": round(medians["evaluating"] / medians["encoding"], 3),
    }


def drawn_set(words_of: JudgedSet, documents: int) -> JudgedSet:
    """Short documents of drawn words, and queries that share words with one of them."""
    drawn = random.Random(0)
    words = sorted({word for document in words_of.documents for word in document.text.split()})
    texts = [" ".join(drawn.choices(words, k=WORDS)) for _ in range(documents)]
    chosen = drawn.sample(range(documents), QUERIES)
    queries = [JudgedQuery(f"q{row}", " ".join(drawn.sample(texts[row].split(), QUERY_WORDS))) for row in chosen]
    relevance = {f"q{row}": {f"d{row}": 1} for row in chosen}
    return JudgedSet("drawn", queries, [Document(f"d{row}", text) for row, text in enumerate(texts)], relevance)


def measure_memory(given: argparse.Namespace) -> None:
    """In a process of its own: prints the peak in MB."""
    judged = drawn_set(read_judged(given.data / SETS[0]), given.documents)
    evaluate(trivec.load(given.model), judged, EvaluateOptions())
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of sets in BEIR layout")
    parser.add_argument("--model", default="m3-small")
    parser.add_argument("--documents", type=int, default=100_000)
    parser.add_argument("--sets", nargs="*", default=list(SETS))
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--parts", nargs="*", choices=("time", "memory"), default=["time", "memory"])
    parser.add_argument("--memory-alone", action="store_true", help="print the peak of this process, and no more")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    if given.memory_alone:
        measure_memory(given)
        return
    result = json.loads(given.out.read_text()) if given.out.is_file() else {}
    result |= {"environment": environment(), "model": given.model}
    if "time" in given.parts:
        encoder, times = trivec.load(given.model), {}
        for name in given.sets:
            times[name] = measure_time(encoder, read_judged(given.data / name), given.turns)
            print(name, times[name], flush=True)
        result["time"] = times
    if "memory" in given.parts:
        command = [sys.executable, __file__, "--memory-alone", "--data", given.data, "--model", given.model]
        told = subprocess.run(
            [*map(str, command), "--documents", str(given.documents)], check=True, capture_output=True
        )
        result["memory"] = {"documents": given.documents, "queries": QUERIES, "peak_MB": int(told.stdout)}
        print(result["memory"])
    write_result(given.out, result)


if __name__ == "__main__":
    main()
