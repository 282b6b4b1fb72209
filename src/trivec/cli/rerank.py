"""``trivec rerank``: documents read together with their query, and put in order."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from trivec.cli.flags import DEFAULT_OUTPUT, OutputFlags, Precision

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from trivec.data.pair_groups import PairGroup
    from trivec.rerank.reranker import Reranker
    from trivec.types import FloatArray

_SHOWN = 300
"""Letters of a document that are shown."""
_AT_ONCE = 64
"""Queries whose pairs are sorted by length together."""


def rerank(
    groups: Path,
    /,
    *,
    model: str | None = None,
    k: Annotated[int | None, Parameter(name=["-k", "--k"])] = None,
    max_length: int | None = None,
    query_length: int | None = None,
    runtime: str = "auto",
    device: str | None = None,
    dtype: str | None = None,
    precision: Precision | None = None,
    skip_bad: bool = False,
    output: OutputFlags = DEFAULT_OUTPUT,
) -> int:
    """Score documents by a model that reads them with a query.

    For example:
      trivec rerank groups.jsonl
      trivec rerank groups.jsonl --model BAAI/bge-reranker-v2-m3
      trivec rerank groups.jsonl --model run/model -o scored.jsonl
      trivec rerank groups.jsonl --model run/model -k 10 --json

    Each line of groups.jsonl has a query and documents, a list of texts or of
    objects with text and title; or a single document. With --json or -o, each
    line comes out again with scores and probabilities, in the order of its
    documents; with -k, instead of them, ranked: the best ones by number.
    Probabilities are calibrated if trivec tune has calibrated the model.

    Args:
        groups: One JSON object a line; plain, .gz or .zst.
        model: A reranker: its name or folder. Without it: m3-small-reranker.
        k: How many documents of each query. Without it: all, as they stand.
        max_length: Tokens of query and document together. Without it: 512, or
            as many as the model has room for.
        query_length: Tokens of a query at most. Without it: three quarters.
        runtime: onnx, torch, or auto.
        device: For torch, such as cuda.
        dtype: For torch: float32, float16 or bfloat16.
        precision: float32, or int8 for a cross-encoder on a CPU.
        skip_bad: Skip and count lines that cannot be read.
    """
    from trivec.cli.output import json_stream, json_text
    from trivec.data.bad_lines import BadLines
    from trivec.data.pair_groups import read_groups
    from trivec.encode.catalogue import DEFAULT_RERANKER
    from trivec.errors import InputError
    from trivec.rerank.loading import load_reranker

    if not groups.is_file():
        raise InputError(f"there is no file {groups}: give one JSON object a line, with query and documents")
    if k is not None and k < 1:
        raise InputError(f"k must be at least 1, got {k}")
    named = model or DEFAULT_RERANKER
    reranker = load_reranker(named, runtime, device, dtype, None, precision, max_length, query_length)
    bad = BadLines(skip_bad)
    scored = _scored(reranker, read_groups(groups, bad), output.progress)
    if output.as_json:
        with json_stream(output) as stream:
            for group, scores in scored:
                stream.write(json_text(_row(reranker, group, scores, k), stream))
    else:
        for group, scores in scored:
            _show(reranker, group, scores, k)
    for warning in bad.warnings:
        output.note(warning)
    return 0


def _scored(
    reranker: Reranker, groups: Iterator[PairGroup], show_progress: bool
) -> Iterator[tuple[PairGroup, FloatArray]]:
    """Groups with (n,) logits, some dozens of them read together."""
    while window := list(itertools.islice(groups, _AT_ONCE)):
        pairs = [(group.query, document) for group in window for document in group.documents]
        scores = reranker.score_pairs(pairs, show_progress)
        first = 0
        for group in window:
            last = first + len(group.documents)
            yield group, scores[first:last]
            first = last


def _best(scores: FloatArray, k: int | None) -> Sequence[int]:
    import numpy as np

    numbers: list[int] = np.argsort(-scores, kind="stable")[:k].tolist()
    return numbers


def _row(reranker: Reranker, group: PairGroup, scores: FloatArray, k: int | None) -> dict[str, Any]:
    """The group's line again, with what was found."""
    logits, chances = scores.tolist(), reranker.probabilities(scores).tolist()
    if k is None:
        return {**group.row, "scores": logits, "probabilities": chances}
    ranked = [{"number": n, "score": logits[n], "probability": chances[n]} for n in _best(scores, k)]
    return {**group.row, "ranked": ranked}


def _show(reranker: Reranker, group: PairGroup, scores: FloatArray, k: int | None) -> None:
    """Each document after its logit, and its probability if the model is calibrated."""
    from trivec.cli.output import one_line, print_line

    print_line([("# ", "dim"), (one_line(group.query), "bold")])
    chances = reranker.probabilities(scores)
    for number in _best(scores, k):
        chance = f"{chances[number]:6.1%}  " if reranker.calibration is not None else ""
        print_line([(f"{scores[number]:8.4f}  {chance}", "cyan"), (one_line(group.documents[number][:_SHOWN]), "")])
    print_line()
