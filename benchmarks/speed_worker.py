"""One engine of `encoding_speed.py`: loads its model, then encodes the texts once for every line on its input.

Run by the benchmark, with the interpreter that has the engine installed. Answers each line with the seconds taken.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

Encode = Callable[[Sequence[str]], object]


def trivec_onnx(model: str, pooling: str) -> Encode:
    """Ours on ONNX Runtime, dense only."""
    import trivec

    encoder = trivec.load(model, runtime="onnx")
    return lambda texts: encoder.encode(texts, heads=["dense"])


def trivec_onnx_all_heads(model: str, pooling: str) -> Encode:
    """Ours on ONNX Runtime, dense, training-free multi-vectors and term counts."""
    import trivec

    encoder = trivec.load(model, runtime="onnx", training_free_width=128)
    return lambda texts: encoder.encode(texts)


def trivec_torch(model: str, pooling: str) -> Encode:
    """Ours on torch, dense only."""
    import trivec

    encoder = trivec.load(model, runtime="torch")
    return lambda texts: encoder.encode(texts, heads=["dense"])


def sentence_transformers(model: str, pooling: str) -> Encode:
    """sentence-transformers with its defaults."""
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(model, device="cpu")
    return lambda texts: encoder.encode(list(texts), show_progress_bar=False)


def flagembedding(model: str, pooling: str) -> Encode:
    """FlagEmbedding with its defaults, but float32, which is faster on CPU and what the others compute."""
    from FlagEmbedding import FlagModel

    encoder = FlagModel(model, pooling_method=pooling, use_fp16=False, devices="cpu")
    return lambda texts: encoder.encode(list(texts))


ENGINES: dict[str, Callable[[str, str], Encode]] = {
    "trivec-onnx": trivec_onnx,
    "trivec-onnx-all-heads": trivec_onnx_all_heads,
    "trivec-torch": trivec_torch,
    "sentence-transformers": sentence_transformers,
    "flagembedding": flagembedding,
}


def main() -> None:
    """Serve one engine until the input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("model")
    parser.add_argument("pooling")
    parser.add_argument("texts", type=Path)
    arguments = parser.parse_args()
    texts = json.loads(arguments.texts.read_text(encoding="utf-8"))
    encode = ENGINES[arguments.engine](arguments.model, arguments.pooling)
    encode(texts[:8])
    answer("ready")
    for _ in sys.stdin:
        start = time.perf_counter()
        encode(texts)
        answer(str(time.perf_counter() - start))


def answer(line: str) -> None:
    """One marked line: engines print other things too."""
    print(f"\n@{line}", flush=True)


if __name__ == "__main__":
    main()
