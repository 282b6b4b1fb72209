"""`load_reranker`: from a name or a folder to a `Reranker`, whatever kind it holds."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from trivec.encode.checkpoints.checkpoint import Precision
from trivec.encode.loading import resolve, start_runtime
from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import InputError, ModelError
from trivec.rerank import classifier
from trivec.rerank.calibration import read_calibration
from trivec.rerank.cross_encoder import CrossEncoder
from trivec.rerank.pair_tokens import PairTokens
from trivec.rerank.reranker import Reranker

_MAX_LENGTH = 512
"""Tokens of a pair, unless more or fewer are asked for: what published rerankers were measured with."""


def load_reranker(
    model: str | Path,
    runtime: str = "auto",
    device: str | None = None,
    dtype: str | None = None,
    threads: int | None = None,
    precision: Precision | None = None,
    max_length: int | None = None,
    query_length: int | None = None,
    batch_tokens: int | None = None,
) -> Reranker:
    """Load a reranker. Nothing is downloaded: `trivec.encode.loading.fetch` does that.

    Args:
        model: a folder, or a name whose files are on this machine.
        runtime: ``onnx``, ``torch``, or ``auto``: ONNX Runtime for BERT-like models on CPU, torch for the rest.
        device: for torch: ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        dtype: for torch: ``float32``, ``float16``, ``bfloat16``.
        threads: None is one a physical core. For torch it holds for the whole process.
        precision: ``float32``, or ``int8`` for quantised linear layers of a cross-encoder on CPU.
        max_length: tokens of a pair, special tokens included; None is 512, or as many as the model has room for.
        query_length: tokens of a query at most; None is three quarters of ``max_length``.
        batch_tokens: padded tokens a batch; None is what the runtime likes best.

    Raises:
        UnknownModelError: no such folder, name or cached model.
        ModelError: the folder holds no reranker.
        InputError: a length is out of range.
    """
    folder, known = resolve(model)
    if not classifier.matches(folder):
        raise ModelError(
            f"{folder} holds no reranker: give a folder whose config.json names a model for classification"
        )
    checkpoint = classifier.read_classifier(folder)
    if known is None and not Path(model).expanduser().is_dir():
        checkpoint = replace(checkpoint, name=str(model))
    if precision is not None:
        checkpoint = replace(checkpoint, precision=precision)
    limit = checkpoint.max_length
    length = min(_MAX_LENGTH, limit) if max_length is None else max_length
    if not 1 <= length <= limit:
        raise InputError(f"max_length must lie between 1 and {limit} for {checkpoint.name}, got {max_length}")
    tokens = PairTokens(TextTokenizer.of(checkpoint), length, query_length)
    started = start_runtime(checkpoint, runtime, device, dtype, threads)
    return Reranker(CrossEncoder(checkpoint, started, tokens, batch_tokens), read_calibration(folder))
