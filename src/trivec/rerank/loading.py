"""`load_reranker`: from a name or a folder to a `Reranker`, whatever kind it holds."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from trivec.encode import catalogue
from trivec.encode.checkpoints import classifier
from trivec.encode.checkpoints.checkpoint import Precision
from trivec.encode.encoder import Encoder
from trivec.encode.loading import fingerprint, load, resolve, start_runtime, weights_digest
from trivec.encode.tokenizer import TextTokenizer
from trivec.errors import InputError, ModelError, require
from trivec.rerank import llm_loading
from trivec.rerank.calibration_files import CalibrationFiles
from trivec.rerank.cross_encoder import CrossEncoder
from trivec.rerank.ensemble import Ensemble
from trivec.rerank.llm_options import LlmOptions
from trivec.rerank.maxsim import MaxSim
from trivec.rerank.own_ways import OwnWays, read_own_ways
from trivec.rerank.pair_tokens import PairTokens
from trivec.rerank.reranker import PairScorer, Reranker

_MAX_LENGTH = 512
"""Tokens of a pair, unless more or fewer are asked for: what published rerankers were measured with."""


def load_reranker(
    model: str | Path = catalogue.DEFAULT_RERANKER,
    runtime: str = "auto",
    device: str | None = None,
    dtype: str | None = None,
    threads: int | None = None,
    precision: Precision | None = None,
    max_length: int | None = None,
    query_length: int | None = None,
    batch_tokens: int | None = None,
    prompt: str | None = None,
    cutoff_layers: Sequence[int] | None = None,
    compress_layers: Sequence[int] = (),
    compress_ratio: int = 1,
) -> Reranker:
    """Load a reranker. Nothing is downloaded: `trivec.encode.loading.fetch` does that.

    Args:
        model: a folder, or a name whose files are on this machine. An encoder with multi-vectors reranks by them.
            Several with ``+`` between them are an `trivec.rerank.ensemble.Ensemble`, loaded with the same options.
        runtime: ``onnx``, ``torch``, or ``auto``: ONNX Runtime for BERT-like models on CPU, torch for the rest.
        device: for torch: ``cpu``, ``cuda``, ``cuda:1``, ``mps``.
        dtype: for torch: ``float32``, ``float16``, ``bfloat16``.
        threads: None is one a physical core. For torch it holds for the whole process.
        precision: ``float32``, or ``int8`` for quantised linear layers of a cross-encoder on CPU.
        max_length: tokens of a pair, special tokens included; None is what the folder says, or 512, or as many as the
            model has room for.
        query_length: tokens of a query at most; None is three quarters of ``max_length``.
        batch_tokens: padded tokens a batch; None is what the runtime likes best.
        prompt: for language models: what they are asked about a pair; None is what the model was published with.
        cutoff_layers: for language models with heads between their layers: score the pair behind these layers, and run
            no more of them; None is behind the last one.
        compress_layers: for those that merge tokens of the document: behind which layers.
        compress_ratio: how many tokens become one there; 1 merges none.

    Raises:
        UnknownModelError: no such folder, name or cached model.
        ModelError: the folder holds no reranker.
        InputError: a length is out of range, or an option means nothing to the model.
    """
    names, is_folder = str(model).split("+"), Path(model).expanduser().is_dir()
    if len(names) > 1 and not is_folder:
        each = [
            load_reranker(name, runtime, device, dtype, threads, precision, max_length, query_length, batch_tokens)
            for name in names
        ]
        return _ensemble(each)
    folder, known = resolve(model)
    name = str(model) if known is None and not is_folder else None
    options, ways = LlmOptions(prompt, cutoff_layers, compress_layers, compress_ratio), read_own_ways(folder)
    scorer: PairScorer
    weights = ""
    if classifier.matches(folder):
        if options.given:
            raise InputError(
                f"{' and '.join(options.given)} is for language models, and {folder} is none: leave it out"
            )
        scorer = _cross_encoder(
            folder, name, runtime, device, dtype, threads, precision, max_length, query_length, batch_tokens, ways
        )
    elif llm_loading.matches(folder):
        _check_torch(folder, runtime, precision, threads)
        scorer = llm_loading.read(
            folder, name or folder.name, options, device, dtype, max_length, query_length, batch_tokens
        )
    else:
        encoder = load(model, runtime, device, dtype, threads, precision=precision)
        scorer = _maxsim(folder, encoder, max_length)
        weights = fingerprint(replace(encoder.checkpoint, precision="float32")).digest
    identity = _digest(
        weights or _files_digest(folder), prompt, list(cutoff_layers or ()), list(compress_layers), compress_ratio
    )
    files = CalibrationFiles.of(identity, folder, is_named=not is_folder)
    digest = _digest(identity, (dtype, precision, max_length, query_length), ways.max_length, ways.kept)
    return Reranker(scorer, files.read(), digest, identity, files, ways.first_stage)


def _ensemble(rerankers: Sequence[Reranker]) -> Reranker:
    """Its logits depend on the calibrations of its parts as well."""
    calibrations = [one.calibration for one in rerankers]
    identity = _digest(*(one.identity for one in rerankers), calibrations)
    digest = _digest(*(one.digest for one in rerankers), calibrations)
    files = CalibrationFiles.of(identity)
    return Reranker(Ensemble(rerankers), files.read(), digest, identity, files)


def _maxsim(folder: Path, encoder: Encoder, max_length: int | None) -> MaxSim:
    if "multi" not in encoder.heads:
        raise ModelError(
            f"{folder} holds no reranker, and an encoder without multi-vectors: give a model for classification, a "
            "causal language model, or an encoder that has them"
        )
    return MaxSim(encoder if max_length is None else encoder.shortened(max_length))


def is_reranker(model: str | Path) -> bool:
    """Whether a name or a folder that is on this machine holds a model that reads pairs."""
    folder, _ = resolve(model)
    return classifier.matches(folder) or llm_loading.matches(folder)


def _files_digest(folder: Path) -> str:
    """Of the weights, the configuration, and the tokenizer."""
    texts = ((folder / name).read_text(encoding="utf-8") for name in ("config.json", "tokenizer.json"))
    return _digest(weights_digest(folder), *texts)


def _digest(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode()).hexdigest()[:16]


def _cross_encoder(
    folder: Path,
    name: str | None,
    runtime: str,
    device: str | None,
    dtype: str | None,
    threads: int | None,
    precision: Precision | None,
    max_length: int | None,
    query_length: int | None,
    batch_tokens: int | None,
    ways: OwnWays,
) -> CrossEncoder:
    checkpoint = classifier.read_classifier(folder)
    if name is not None:
        checkpoint = replace(checkpoint, name=name)
    if precision is not None:
        checkpoint = replace(checkpoint, precision=precision)
    limit = checkpoint.max_length
    length = min(ways.max_length or _MAX_LENGTH, limit) if max_length is None else max_length
    if not 1 <= length <= limit:
        raise InputError(f"max_length must lie between 1 and {limit} for {checkpoint.name}, got {max_length}")
    tokens = PairTokens(TextTokenizer.of(checkpoint), length, query_length, ways.kept)
    started = start_runtime(checkpoint, runtime, device, dtype, threads)
    return CrossEncoder(checkpoint, started, tokens, batch_tokens)


def _check_torch(folder: Path, runtime: str, precision: Precision | None, threads: int | None) -> None:
    """Refuse what language models cannot have, and give torch its threads."""
    if runtime not in ("auto", "torch") or precision not in (None, "float32"):
        raise InputError(
            f"runtime is {runtime!r} and precision {precision!r}, and {folder} is a language model, which runs on "
            "torch in float32, float16 or bfloat16: leave both out"
        )
    if threads is not None:
        if threads < 1:
            raise InputError(f"threads must be at least 1, got {threads}")
        require("torch", "torch", f"running {folder.name}").set_num_threads(threads)
