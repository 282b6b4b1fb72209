"""Which hybrid weights suit a model: a grid over training pairs, never over evaluation sets.

    python benchmarks/fusion_weights.py --data TRAIN_FOLDER --model m3-small --run RUN \
        --out benchmarks/results/fusion_weights.json

From each file of pairs (``query``, ``pos``) up to 500 passages and 250 queries are drawn; a query's own passage is
the right answer. ``--run`` names the folder of the run that trained the model: queries that it learned from are left
out, and files of which it took all. The table gives the mean nDCG@10 over files for each rule and weighting.
"""

from __future__ import annotations

import argparse
import gzip
import itertools
import json
import random
from collections.abc import Collection
from pathlib import Path

import numpy as np

import trivec
from trivec.search.fusion import Fusion, MinMax, ReciprocalRank, WeightedSum, ZScore
from trivec.types import Document, FloatArray, Signal

from common import EvaluationSet, environment, write_result
from encoded_sets import encode_set, signal_scores

FILES = ("qa.en.nq_qed", "qa.en.medquad", "qa.ja.jsquad", "qa.th.iapp", "qa.fa.pquad", "qa.zh.cmrc2018", "qa.he.heq",
         "qa.tr.thquad", "qa.zh-Hant.drcd", "qa.id.facqa", "faq.fr.cnil", "code.tldr_shell", "title.zh.csl",
         "bitext.ntrex", "long.man")  # fmt: skip
PASSAGES, QUERIES, CHARACTERS, FEWEST = 500, 250, 6000, 50


def read_pairs(path: Path, learned: Collection[str]) -> EvaluationSet:
    """A small set out of a file of pairs; bitext into English only; long documents cut to their beginning."""
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    rows = [row for row in rows if row["task"] != "bitext" or row["lang"].endswith("-eng")]
    random.Random(0).shuffle(rows)
    texts: dict[str, str] = {}
    queries: dict[str, str] = {}
    qrels: dict[str, dict[str, int]] = {}
    for number, row in enumerate(rows):
        text = row["pos"][0][:CHARACTERS]
        if text not in texts and len(texts) == PASSAGES:
            continue
        name = texts.setdefault(text, f"p{len(texts)}")
        if len(queries) < QUERIES and row["query"] not in learned:
            queries[f"q{number}"] = row["query"]
            qrels[f"q{number}"] = {name: 1}
    return EvaluationSet(path.name, [Document(name, text) for text, name in texts.items()], queries, qrels)


def learned_queries(run: Path) -> set[str]:
    """Queries of all examples that a run of one epoch was trained on."""
    from trivec.train.runs import RunFolder
    from trivec.train.training import make_ready

    ready = make_ready(RunFolder.open(run).options)
    numbers = ready.survey.numbers[ready.batches.plan(0).rows]
    return {ready.prepared[number].query for number in numbers.tolist()}


def rules(has_sparse: bool) -> dict[str, Fusion]:
    """The grid."""
    grid: dict[str, Fusion] = {}
    sparse_weights = (0.0, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0) if has_sparse else (0.0,)
    pairs = ((1.0, 1.0), (1.0, 0.5), (0.5, 1.0), (1.0, 0.0), (0.0, 1.0))
    for bm25, sparse, (dense, multi) in itertools.product((0.0, 0.05, 0.1, 0.15, 0.2, 0.3), sparse_weights, pairs):
        weights: dict[Signal, float] = {"dense": dense, "sparse": sparse, "bm25": bm25, "multi": multi}
        used = {signal: weight for signal, weight in weights.items() if weight}
        grid["weighted-sum " + " ".join(f"{s}={w}" for s, w in used.items())] = WeightedSum(used)
    lexical: Signal = "sparse" if has_sparse else "bm25"
    for share in (0.25, 0.5, 1.0):
        weights = {"dense": 1.0, lexical: share, "multi": 1.0}
        grid[f"z-score {lexical}={share}"] = ZScore(weights)
        grid[f"min-max {lexical}={share}"] = MinMax(weights)
        grid[f"rrf {lexical}={share}"] = ReciprocalRank(weights)
    return grid


def ndcg_at_10(scores: FloatArray, right: int) -> float:
    """With one relevant passage: 1 / log2(rank + 1) if it is among the first ten."""
    rank = 1 + int((scores > scores[right]).sum())
    return float(1 / np.log2(rank + 1)) if rank <= 10 else 0.0


def main() -> None:
    """Score the grid and write it, best first."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of training pairs")
    parser.add_argument("--model", default="m3-small")
    parser.add_argument("--run", type=Path, help="folder of the run that trained the model, if its data was the same")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    encoder = trivec.load(arguments.model)
    learned = learned_queries(arguments.run) if arguments.run else set()
    grid = rules("sparse" in encoder.heads)
    table: dict[str, list[float]] = {name: [] for name in grid}
    files = {}
    for name in FILES:
        data = read_pairs(arguments.data / f"{name}.jsonl.gz", learned)
        if len(data.queries) < FEWEST:
            continue
        files[name] = len(data.queries)
        encoded = encode_set(encoder, data, arguments.cache)
        signals = signal_scores(encoded)
        places = {passage.document_id: row for row, passage in reversed(list(enumerate(encoded.passages)))}
        rights = [places[next(iter(data.qrels[query]))] for query in data.queries]
        for label, rule in grid.items():
            values = []
            for number, right in enumerate(rights):
                row = {signal: scores[number] for signal, scores in signals.items()}
                values.append(ndcg_at_10(np.sum(list(rule.contributions(row).values()), axis=0), right))
            table[label].append(round(float(np.mean(values)), 4))
        print(name, len(data.queries), flush=True)
    means = {label: round(float(np.mean(values)), 4) for label, values in table.items()}
    ranked = dict(sorted(means.items(), key=lambda item: -item[1]))
    for label, value in list(ranked.items())[:8]:
        print(f"{value:.4f}  {label}")
    result = {
        "environment": environment(),
        "model": encoder.name,
        "queries by file": files,
        "mean_nDCG@10": ranked,
        "nDCG@10_by_file": {label: table[label] for label in ranked},
    }
    write_result(arguments.out, result)


if __name__ == "__main__":
    main()
