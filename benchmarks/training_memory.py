"""What the three heads cost in memory: one training step of all of them beside one of the dense head alone.

    python benchmarks/training_memory.py --model FOLDER --out benchmarks/results/training_memory.json

Bytes are counted by torch's own record of allocations and frees on the CPU, so a busy machine changes nothing. Peaks
are above what was held before the step.

``step``: encoder, scores, loss and backward pass of 2 queries of 32 tokens with 8 passages of 256 tokens each.
``checkpointed_step`` computes activations again in the backward pass, so that the loss weighs more.
``large_step``: all heads over 64 passages of 512 tokens for 8 queries, in parts (``--split checkpointed``), beside the
bytes of one (passages, tokens, vocabulary) array, which FlagEmbedding 1.4.2 builds for its sparse scores.
``scores``: the scores of 16 queries and their 128 passages alone, forward and back, over vectors that are there. The
plain way beside it builds all similarities, and rows over the whole vocabulary.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from trivec.encode.checkpoints import read_checkpoint
from trivec.train.collate import TokenBatch
from trivec.train.fitting import added_bytes
from trivec.train.model import TrainableEncoder
from trivec.train.objectives import M3, GroupInfo, M3Options
from trivec.train.scores import TRAINED_HEADS, score_all
from trivec.train.split_batch import SplitOptions, encode_split
from trivec.train.vectors import TextVectors
from trivec.types import Head

from common import environment, write_result

GROUP, QUERY_TOKENS, PASSAGE_TOKENS = 8, 32, 256
LARGE_PASSAGES, LARGE_TOKENS = 64, 512
VOCABULARY = 250_002


def measure_steps(folder: Path, checkpointing: bool) -> dict[str, float]:
    """Peaks of a training step, in MB, of the dense head alone and of all heads."""
    peaks: dict[str, float] = {}
    chosen: dict[str, tuple[Head, ...]] = {"dense": ("dense",), "unified": TRAINED_HEADS}
    for name, heads in chosen.items():
        step = step_of(folder, heads, checkpointing)
        step()  # first calls allocate what stays
        peaks[f"{name}_MB"] = _megabytes(added_bytes(step))
    return {**peaks, "ratio": round(peaks["unified_MB"] / peaks["dense_MB"], 3)}


def step_of(folder: Path, heads: tuple[Head, ...], checkpointing: bool) -> Callable[[], None]:
    """One training step with these heads."""
    encoder = TrainableEncoder.from_checkpoint(read_checkpoint(folder), heads, freeze_embeddings=True)
    if checkpointing:
        encoder.gradient_checkpointing_enable()
    objective = M3(M3Options(heads=heads))
    random = torch.Generator().manual_seed(0)
    queries, passages = (
        torch.randint(1000, 30_000, shape, generator=random)
        for shape in ((2, QUERY_TOKENS), (2 * GROUP, PASSAGE_TOKENS))
    )

    def step() -> None:
        sides = [encoder(ids, torch.ones_like(ids)) for ids in (queries, passages)]
        objective(*sides, GroupInfo(GROUP)).total.backward()
        encoder.zero_grad()

    return step


def measure_large(folder: Path) -> dict[str, float]:
    """The peak of a large step of all heads, in MB, and what one array over the vocabulary would take."""
    encoder = TrainableEncoder.from_checkpoint(read_checkpoint(folder), TRAINED_HEADS, freeze_embeddings=True)
    objective, split = M3(M3Options()), SplitOptions("checkpointed", max_tokens=8192)
    random = torch.Generator().manual_seed(0)
    sides = []
    for texts, tokens in ((LARGE_PASSAGES // GROUP, QUERY_TOKENS), (LARGE_PASSAGES, LARGE_TOKENS)):
        ids = torch.randint(1000, 30_000, (texts, tokens), generator=random)
        sides.append(TokenBatch(ids, torch.ones_like(ids), torch.zeros(texts, dtype=torch.int64)))

    def step() -> None:
        vectors = [encode_split(encoder, side, split) for side in sides]
        objective(*vectors, GroupInfo(GROUP)).total.backward()

    array = 4 * LARGE_PASSAGES * LARGE_TOKENS * VOCABULARY
    return {"unified_MB": _megabytes(added_bytes(step)), "array over the vocabulary_MB": _megabytes(array)}


def random_vectors(texts: int, tokens: int) -> TextVectors:
    """Vectors of 384 and 128 columns."""
    return TextVectors(
        dense=F.normalize(torch.randn(texts, 384), dim=1),
        weights=torch.rand(texts, tokens),
        tokens=torch.randint(0, VOCABULARY, (texts, tokens)),
        multi=F.normalize(torch.randn(texts, tokens, 128), dim=2),
        multi_mask=torch.ones(texts, tokens, dtype=torch.bool),
    ).detached()


def plain_sparse(queries: TextVectors, passages: TextVectors) -> Tensor:
    """s_lex by rows over the vocabulary."""
    rows = []
    for side in (queries, passages):
        assert side.weights is not None and side.tokens is not None
        empty = side.weights.new_zeros(len(side), VOCABULARY)
        rows.append(empty.scatter_reduce(1, side.tokens, side.weights, "amax"))
    return rows[0] @ rows[1].T


def plain_maxsim(queries: TextVectors, passages: TextVectors) -> Tensor:
    """s_mul by all similarities at once."""
    assert queries.multi is not None and passages.multi is not None
    return torch.einsum("qnc,pmc->qpnm", queries.multi, passages.multi).amax(dim=3).mean(dim=2)


def measure_scores() -> dict[str, dict[str, float]]:
    """Peaks of scoring, in MB, ours and the plain way's."""
    queries, passages = random_vectors(16, QUERY_TOKENS), random_vectors(16 * GROUP, PASSAGE_TOKENS)
    plain = {"sparse": plain_sparse, "multi": plain_maxsim}

    def ours(head: Head) -> Callable[[], None]:
        return lambda: score_all(queries, passages, [head]).of(head).sum().backward()

    found: dict[str, dict[str, float]] = {}
    for head in TRAINED_HEADS:
        found[head] = {"ours_MB": _megabytes(added_bytes(ours(head)))}
        if head in plain:
            by_plain = added_bytes(lambda way=plain[head]: way(queries, passages).sum().backward())
            found[head] |= {
                "plain_MB": _megabytes(by_plain),
                "ratio": round(found[head]["ours_MB"] * 1e6 / by_plain, 3),
            }
    return found


def _megabytes(count: int) -> float:
    return round(count / 1e6, 2)


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True, help="a model folder")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.manual_seed(0)
    result = {
        "environment": environment("torch", "transformers"),
        "model": options.model.name,
        "step": measure_steps(options.model, checkpointing=False),
        "checkpointed_step": measure_steps(options.model, checkpointing=True),
        "large_step": measure_large(options.model),
        "scores": measure_scores(),
    }
    write_result(options.out, result)


if __name__ == "__main__":
    main()
