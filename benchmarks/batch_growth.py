"""How much larger a batch may be when it is encoded in parts, by length of the passages.

    python benchmarks/batch_growth.py --model FOLDER --out benchmarks/results/batch_growth.json

Peaks of a training step with all heads are counted by torch's own record of allocations, for a few batch sizes, with
the whole batch at once and with parts of one passage (``--split checkpointed``), both with gradient checkpointing:
without it, one passage of 8,192 tokens would take about 18 GB. They grow by the same amount with every query and its
passage, so the largest batch for a given memory follows from a straight line; one larger batch is measured to check the
line. The model's positions are extended to the longest texts. There is no dropout: torch has no fused attention with it
on a CPU, and would hold tables of tokens times tokens.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch

from trivec.encode.checkpoints import Checkpoint, read_checkpoint
from trivec.train.collate import TokenBatch
from trivec.train.fitting import added_bytes
from trivec.train.model import TrainableEncoder
from trivec.train.objectives import M3, GroupInfo, M3Options
from trivec.train.split_batch import Mode, SplitOptions, encode_split

from common import environment, write_result

LENGTHS, QUERY_TOKENS, MEMORY_GB = (1024, 4096, 8192), 32, 16
SIZES: dict[Mode, tuple[int, int]] = {"whole": (1, 2), "checkpointed": (2, 4)}
CHECKED = 8


def step_of(encoder: TrainableEncoder, mode: Mode, queries: int, tokens: int) -> Callable[[], None]:
    """A training step of queries with a passage each."""
    objective, options = M3(M3Options()), SplitOptions(mode, max_tokens=tokens, max_texts=1)
    random = torch.Generator().manual_seed(0)
    sides = []
    for length in (QUERY_TOKENS, tokens):
        ids = torch.randint(1000, 30_000, (queries, length), generator=random)
        sides.append(TokenBatch(ids, torch.ones_like(ids), torch.zeros(queries, dtype=torch.int64)))

    def step() -> None:
        vectors = [encode_split(encoder, side, options) for side in sides]
        objective(*vectors, GroupInfo(1)).total.backward()
        encoder.zero_grad()

    return step


def measure(checkpoint: Checkpoint, tokens: int) -> dict[str, float]:
    """Peaks in MB by batch size and mode, the largest batches, and their ratio."""
    encoder = TrainableEncoder.from_checkpoint(checkpoint, freeze_embeddings=True, dropout=0.0, max_length=max(LENGTHS))
    encoder.gradient_checkpointing_enable()
    step_of(encoder, "whole", 1, 64)()  # first calls allocate what stays
    found: dict[str, float] = {}
    largest = {}
    for mode, (few, more) in SIZES.items():
        peaks = {size: added_bytes(step_of(encoder, mode, size, tokens)) / 1e6 for size in (few, more)}
        slope = (peaks[more] - peaks[few]) / (more - few)
        largest[mode] = (1000 * MEMORY_GB - peaks[few]) / slope + few
        found |= {f"{mode}, {size} queries: MB": round(peak, 1) for size, peak in peaks.items()}
        found[f"{mode}: MB for each query more"] = round(slope, 1)
        found[f"{mode}: largest batch"] = int(largest[mode])
        if mode == "checkpointed" and tokens == LENGTHS[0]:
            found[f"{mode}, {CHECKED} queries: MB by the line"] = round(peaks[few] + slope * (CHECKED - few), 1)
            found[f"{mode}, {CHECKED} queries: MB"] = round(
                added_bytes(step_of(encoder, mode, CHECKED, tokens)) / 1e6, 1
            )
    return {**found, "growth": round(largest["checkpointed"] / max(1, int(largest["whole"])), 1)}


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a model folder")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.manual_seed(0)
    checkpoint = read_checkpoint(options.model)
    table = {}
    for tokens in LENGTHS:
        table[str(tokens)] = measure(checkpoint, tokens)
        print(tokens, table[str(tokens)], flush=True)
    result = {
        "environment": environment("torch", "transformers"),
        "model": options.model.name,
        "memory": f"{MEMORY_GB} GB for one step, weights and optimiser not counted",
        "by tokens of a passage": table,
    }
    write_result(options.out, result)


if __name__ == "__main__":
    main()
