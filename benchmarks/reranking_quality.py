"""What a reranker brings on every set, and what it takes: nDCG@10 against milliseconds a query, by depth.

    python benchmarks/reranking_quality.py --data EVAL_FOLDER --out benchmarks/results/reranking_quality.json

A cross-encoder reads a hundred pairs for each query, so a set gives a sample of its queries, drawn with one seed: a
larger sample holds every smaller one. They are answered by the model's own mix; the reranker reads the first 10, 20, 50
and 100 documents. Each depth stands once as the reranker alone orders it, and once with the first stage's scores at the
weight that came with the reranker. P values are of paired randomisation over queries. A set that is done is written
down and not measured again, unless more of its queries are asked for; with ``--cache`` no pair is read twice.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import trivec
from trivec.evaluate import EvaluateOptions, JudgedSet, evaluate, read_judged
from trivec.evaluate.reranked_sets import RerankingOptions
from trivec.evaluate.significance import difference

from common import environment, write_result

SYSTEM, MEASURE, LEVEL = "hybrid", "nDCG@10", 0.05


def some_queries(judged: JudgedSet, many: int) -> JudgedSet:
    """A sample; a larger one holds every smaller one."""
    queries = list(judged.queries)
    random.Random(0).shuffle(queries)
    chosen = queries[:many]
    return replace(judged, queries=chosen, relevance={query.id: judged.relevance[query.id] for query in chosen})


def measure_set(
    encoder: trivec.Encoder, reranking: RerankingOptions, judged: JudgedSet, cache: Path | None, many: int
) -> dict[str, Any]:
    """The mix, and every order that the reranker makes of it."""
    options = EvaluateOptions([SYSTEM], [MEASURE])
    found = evaluate(encoder, some_queries(judged, many), options, cache, reranking=reranking)
    before = found.systems[SYSTEM].measured
    result: dict[str, Any] = {
        "queries": len(before.queries),
        "of": len(judged.queries),
        "documents": len(judged.documents),
        SYSTEM: round(before.means()[MEASURE], 4),
        "orders": {},
    }
    for name, system in found.systems.items():
        if name == SYSTEM:
            continue
        told = difference(before.values[MEASURE], system.measured.values[MEASURE])
        result["orders"][name.removeprefix(f"{SYSTEM}+")] = {
            MEASURE: round(system.measured.means()[MEASURE], 4),
            "gain": round(told.mean, 4),
            "p": round(told.p, 4),
            "ms": None if system.rerank_ms is None else round(system.rerank_ms, 1),
        }
    return result


def summary(sets: Iterable[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Means over sets, and how many were raised and lowered significantly, by order."""
    sets = list(sets)
    found: dict[str, dict[str, Any]] = {}
    for order in sets[0]["orders"]:
        rows = [one["orders"][order] for one in sets]
        times = [row["ms"] for row in rows if row["ms"] is not None]
        found[order] = {
            MEASURE: round(float(np.mean([row[MEASURE] for row in rows])), 4),
            "gain": round(float(np.mean([row["gain"] for row in rows])), 4),
            "raised": sum(row["gain"] > 0 and row["p"] < LEVEL for row in rows),
            "lowered": sum(row["gain"] < 0 and row["p"] < LEVEL for row in rows),
            "ms": round(float(np.mean(times)), 1) if times else None,
        }
    return found


def main() -> None:
    """Measure what is not measured yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of sets in BEIR layout")
    parser.add_argument("--model", default="m3-small")
    parser.add_argument("--reranker", default="m3-small-reranker")
    parser.add_argument("--precision", default="int8", help="of the reranker")
    parser.add_argument("--max-length", type=int, help="tokens of a pair; without it, the reranker's own")
    parser.add_argument("--sets", nargs="*", help="names; without it all")
    parser.add_argument("--depths", nargs="*", type=int, default=[10, 20, 50, 100])
    parser.add_argument("--first-stages", nargs="*", type=float, help="weights; without it 0 and the reranker's own")
    parser.add_argument("--queries", type=int, default=400, help="of each set")
    parser.add_argument("--cache", type=Path, help="folder that keeps vectors")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    encoder = trivec.load(given.model)
    reranker = trivec.load_reranker(given.reranker, precision=given.precision, max_length=given.max_length)
    weights = given.first_stages or sorted({0.0, reranker.first_stage})
    reranking = RerankingOptions(reranker, given.depths, SYSTEM, weights)
    before = json.loads(given.out.read_text()) if given.out.is_file() else {}
    sets: dict[str, Any] = before.get("sets", {})
    names = given.sets or sorted(path.name for path in given.data.iterdir() if path.is_dir())
    for name in names:
        if name in sets and sets[name]["queries"] >= min(given.queries, sets[name]["of"]):
            continue
        sets[name] = measure_set(encoder, reranking, read_judged(given.data / name), given.cache, given.queries)
        print(name, json.dumps(sets[name]), flush=True)
        result = {
            "environment": environment(),
            "model": given.model,
            "reranker": given.reranker,
            "precision": given.precision,
            "max_length": given.max_length,
            "mean": summary(sets.values()),
            "sets": dict(sorted(sets.items())),
        }
        write_result(given.out, result)
    print(json.dumps(summary(sets.values()), indent=1))


if __name__ == "__main__":
    main()
