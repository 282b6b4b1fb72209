r"""What smaller vectors cost and save: bytes a passage, nDCG@10 and search time, form by form.

    python benchmarks/compression.py --data EVAL_FOLDER --sets facqa_id cnil_fr jsquad_ja medquad_en \
        --cache CACHE --out benchmarks/results/compression.json

Each set is encoded once by m3-small. For every form a native store is filled, and all queries are asked of it
through the retrieval that libraries use. Losses are against the form that keeps everything (float32).
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import ir_measures
from ir_measures import nDCG

import trivec
from trivec.encode.compression import Compression
from trivec.index import NativeOptions, NativeStore
from trivec.index.native.dense import DenseOptions
from trivec.search.options import SearchOptions
from trivec.search.retrieval import retrieve

from common import EvaluationSet, environment, read_set, write_result
from encoded_sets import EncodedSet, encode_set

FORMS: dict[str, tuple[NativeOptions, Compression]] = {
    "float32": (NativeOptions(DenseOptions("float32"), "float32"), Compression()),
    "as by default": (NativeOptions(), Compression()),
    "dense float16": (NativeOptions(DenseOptions("float16"), "float32"), Compression()),
    "dense int8": (NativeOptions(DenseOptions("int8"), "float32"), Compression()),
    "dense binary": (NativeOptions(DenseOptions("binary"), "float32"), Compression()),
    "dense 256 dimensions": (NativeOptions(DenseOptions("float32"), "float32"), Compression(dimensions=256)),
    "dense 128 dimensions": (NativeOptions(DenseOptions("float32"), "float32"), Compression(dimensions=128)),
    "tokens float16": (NativeOptions(DenseOptions("float32"), "float16"), Compression()),
    "tokens int8": (NativeOptions(DenseOptions("float32"), "int8"), Compression()),
    "tokens int4": (NativeOptions(DenseOptions("float32"), "int4"), Compression()),
    "tokens residual2": (NativeOptions(DenseOptions("float32"), "residual2"), Compression()),
    "tokens pooled by 2": (NativeOptions(DenseOptions("float32"), "float32"), Compression(pool_tokens=2)),
    "tokens pooled by 3": (NativeOptions(DenseOptions("float32"), "float32"), Compression(pool_tokens=3)),
    "int8 + int4": (NativeOptions(DenseOptions("int8"), "int4"), Compression()),
    "int8 + int4, pooled by 2": (NativeOptions(DenseOptions("int8"), "int4"), Compression(pool_tokens=2)),
}
MODES = ("dense", "multi", "hybrid")
_STEP = 1024


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", required=True)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    encoder = trivec.load("m3-small")
    options = SearchOptions.from_settings(encoder.checkpoint.settings)
    table: dict[str, dict[str, Any]] = {}
    for name in arguments.sets:
        data = read_set(arguments.data / name)
        encoded = encode_set(encoder, data, arguments.cache)
        for form in FORMS:
            with tempfile.TemporaryDirectory(dir=arguments.cache) as folder:
                table.setdefault(form, {})[name] = _measure(Path(folder) / "store", form, data, encoded, options)
            print(name, form, table[form][name])
    result = {"environment": environment("faiss-cpu"), "sets": arguments.sets, "means": _means(table), "forms": table}
    write_result(arguments.out, result)


def _measure(
    folder: Path, form: str, data: EvaluationSet, encoded: EncodedSet, options: SearchOptions
) -> dict[str, Any]:
    native, compression = FORMS[form]
    with contextlib.closing(NativeStore.create(folder, options=native)) as store:
        for start in range(0, len(encoded.passages), _STEP):
            rows = slice(start, start + _STEP)
            store.upsert(encoded.passages[rows], compression.documents(encoded.documents[rows]))
        store.optimize()
        row: dict[str, Any] = {"bytes a passage": round(store.stats().bytes / len(encoded.passages))}
        queries = compression.queries(encoded.queries)
        for mode in MODES:
            chosen = options.changed(mode=mode)
            run, times = {}, []
            for name, query in zip(data.queries, queries, strict=True):
                start_time = time.perf_counter()
                found = retrieve(store, query, 10, None, chosen)
                times.append(1000 * (time.perf_counter() - start_time))
                run[name] = {ranked.passage.document_id: ranked.score for ranked in found}
            row[mode] = round(ir_measures.calc_aggregate([nDCG @ 10], data.qrels, run)[nDCG @ 10], 4)
            row[f"{mode} p50_ms"] = round(statistics.median(times), 2)
    return row


def _means(table: dict[str, dict[str, Any]]) -> dict[str, dict[str, float]]:
    means = {}
    for form, sets in table.items():
        rows = list(sets.values())
        means[form] = {name: round(statistics.mean(row[name] for row in rows), 4) for name in rows[0]}
    for form in means:
        for mode in MODES:
            means[form][f"{mode} loss"] = round(means["float32"][mode] - means[form][mode], 4)
    return means


if __name__ == "__main__":
    main()
