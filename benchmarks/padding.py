"""How much of training batches is padding: by buckets of length, and at random, on real training data.

    python benchmarks/padding.py --data TRAIN_FOLDER --model FOLDER --out benchmarks/results/padding.json

An example is as long as its longest text. Batches have the sizes of M3-Embedding's table 9
(48 queries of up to 500 tokens, fewer of longer ones), or one size for all; every text of a batch is padded to its
longest. On a CPU trivec computes no padding at all; this is what a GPU would.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from trivec.cache import cache_folder
from trivec.data.prepared import prepare
from trivec.encode.checkpoints import read_checkpoint
from trivec.encode.tokenizer import TextTokenizer
from trivec.train.buckets import BucketOptions
from trivec.train.lengths import measure_lengths
from trivec.train.plan import PlanOptions, make_plan
from trivec.types import IntArray

from common import environment, write_result

WINDOWS, FINE = (512, 8192), (0, 16, 32, 64, 128, 192, 256, 384, 500, 1000, 2000, 3000, 4000, 5000, 6000, 7000)


def padded_share(lengths: IntArray, batches: list[IntArray]) -> float:
    """Of all tokens in batches, those that are padding."""
    padded = sum(len(rows) * int(lengths[rows].max()) for rows in batches)
    return 1 - sum(int(lengths[rows].sum()) for rows in batches) / padded


def planned(lengths: IntArray, sources: IntArray, buckets: BucketOptions) -> list[IntArray]:
    """The batches of an epoch."""
    plan = make_plan(lengths, sources, PlanOptions(buckets))
    return [plan[position] for position in range(len(plan))]


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder of training files")
    parser.add_argument("--model", type=Path, required=True, help="a model folder, for its tokenizer")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    checkpoint = read_checkpoint(options.model)
    tokenizer = TextTokenizer.of(checkpoint)
    prepared = prepare(sorted(options.data.glob("*.jsonl.gz")), cache_folder() / "prepared")
    sources = np.asarray([prepared.dataset_of(number) for number in range(len(prepared))])
    paper = BucketOptions.paper()
    fine = BucketOptions(FINE, tuple(paper.batch_sizes[int(paper.buckets_of(np.asarray([b]))[0])] for b in FINE))
    one = BucketOptions.fixed(paper.batch_sizes[0])
    table = {}
    for window in WINDOWS:
        lengths = measure_lengths(prepared, tokenizer, window, window)
        shuffled = np.random.default_rng(0).permutation(len(lengths))
        size = paper.batch_sizes[0]
        at_random = [shuffled[start : start + size] for start in range(0, len(shuffled), size)]
        table[f"up to {window} tokens"] = {
            "random batches": round(padded_share(lengths, at_random), 3),
            "one source a batch": round(padded_share(lengths, planned(lengths, sources, one)), 3),
            "one source, the paper's buckets": round(padded_share(lengths, planned(lengths, sources, paper)), 3),
            "one source, sixteen buckets": round(padded_share(lengths, planned(lengths, sources, fine)), 3),
        }
        print(window, table[f"up to {window} tokens"])
    result = {"environment": environment(), "examples": len(prepared), "padded share": table}
    write_result(options.out, result)


if __name__ == "__main__":
    main()
