"""One engine of `reranking_speed.py` or `llm_reranking.py`: loads a reranker, then scores pairs for each line it reads.

Run by the benchmark, with the interpreter that has the engine installed. It answers as `speed_worker.py` does.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from speed_worker import answer

Pairs = Sequence[Sequence[str]]
Score = Callable[[Pairs], Sequence[float]]


def trivec_onnx(model: str) -> Score:
    """Ours on ONNX Runtime."""
    import trivec

    reranker = trivec.load_reranker(model, runtime="onnx")
    return lambda pairs: reranker.score_pairs([(query, document) for query, document in pairs]).tolist()


def trivec_int8(model: str) -> Score:
    """Ours on ONNX Runtime, with quantised linear layers."""
    import trivec

    reranker = trivec.load_reranker(model, precision="int8")
    return lambda pairs: reranker.score_pairs([(query, document) for query, document in pairs]).tolist()


def trivec_torch(model: str) -> Score:
    """Ours on torch."""
    import trivec

    reranker = trivec.load_reranker(model, runtime="torch")
    return lambda pairs: reranker.score_pairs([(query, document) for query, document in pairs]).tolist()


def sentence_transformers(model: str) -> Score:
    """CrossEncoder with its defaults, and logits."""
    import torch
    from sentence_transformers import CrossEncoder

    encoder = CrossEncoder(model, device="cpu", max_length=512, activation_fn=torch.nn.Identity())
    return lambda pairs: encoder.predict([tuple(pair) for pair in pairs], show_progress_bar=False).tolist()


def flagembedding(model: str) -> Score:
    """FlagReranker with its defaults, but float32, which is faster on CPU and what the others compute."""
    from FlagEmbedding import FlagReranker

    reranker = FlagReranker(model, use_fp16=False, devices="cpu", max_length=512)
    return lambda pairs: reranker.compute_score([tuple(pair) for pair in pairs])


def flagembedding_llm(model: str) -> Score:
    """FlagLLMReranker in float32 and in batches of 16: the logits of its 128 rows would take gigabytes."""
    from FlagEmbedding import FlagLLMReranker

    reranker = FlagLLMReranker(model, use_fp16=False, devices="cpu", max_length=1024, batch_size=16)
    return lambda pairs: reranker.compute_score([tuple(pair) for pair in pairs])


ENGINES: dict[str, tuple[Callable[[str], Score], str]] = {
    "trivec-onnx": (trivec_onnx, "trivec"),
    "trivec-int8": (trivec_int8, "trivec"),
    "trivec-torch": (trivec_torch, "trivec"),
    "sentence-transformers": (sentence_transformers, "sentence-transformers"),
    "flagembedding": (flagembedding, "FlagEmbedding"),
    "flagembedding-llm": (flagembedding_llm, "FlagEmbedding"),
}
"""What each engine is made by, and the package that it comes in."""


def main() -> None:
    """Serve one engine until the input ends. The first answer has the logits of the first pairs, for a comparison."""
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("model")
    parser.add_argument("pairs", type=Path)
    given = parser.parse_args()
    sets = json.loads(given.pairs.read_text(encoding="utf-8"))
    make, package = ENGINES[given.engine]
    score = make(given.model)
    logits = [float(value) for value in score(next(iter(sets.values()))[:32])]
    answer({"version": importlib.metadata.version(package), "logits": logits})
    for line in sys.stdin:
        pairs = sets[json.loads(line)]
        start, cpu = time.perf_counter(), time.process_time()
        score(pairs)
        answer([time.perf_counter() - start, time.process_time() - cpu])


if __name__ == "__main__":
    main()
