"""What integer linear layers cost and gain: speed, bytes, cosines by language, and nDCG@10.

    python benchmarks/quantization.py --texts TRAIN_FOLDER --data EVAL_FOLDER --out benchmarks/results/quantization.json

Every way of quantising that was tried runs on the same batches, in turns, on one thread, beside the float32 graph. Time
is processor time, so that what else runs on the machine counts little. ``trivec.load(precision="int8")`` is then
measured whole: with all cores, by language, and by the quality of retrieval, also with its queries over documents
that were encoded in float32. Texts come from ``--texts``: ``*.jsonl.gz`` of pairs with ``query``, ``pos`` and ``lang``.
"""

from __future__ import annotations

import argparse
import gzip
import json
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

import trivec
from trivec import Encoder
from trivec.encode import quantization, rounding
from trivec.encode.batches import plan_batches
from trivec.encode.checkpoints import Checkpoint
from trivec.encode.encoder import pad
from trivec.encode.loading import find_checkpoint
from trivec.encode.onnx_graph import build_graph
from trivec.ragged import Ragged
from trivec.search.options import SearchOptions
from trivec.types import FloatArray

from common import environment, read_set, write_result
from encoded_sets import SYSTEMS, EncodedSet, encode_set, evaluate

SETS = ("facqa_id", "cnil_fr", "xquad_hi", "arcd_ar")
Batch = tuple[Any, Any, Any]


# -- the ways that were tried -------------------------------------------------------------------------------


def dynamic(checkpoint: Checkpoint) -> onnx.ModelProto:
    """Activations by one step a batch, measured in each; 8-bit weights by output channel."""

    def layer(node: onnx.NodeProto, weight: FloatArray, name: str, tensors: list[Any]) -> onnx.NodeProto:
        steps = (np.abs(weight).max(axis=1) / 127).astype(np.float32)
        levels = np.rint(weight / steps[:, None]).astype(np.int8)
        tensors += [numpy_helper.from_array(np.ascontiguousarray(levels.T), f"{name}.levels"),
                    numpy_helper.from_array(steps, f"{name}.steps")]  # fmt: skip
        inputs = [node.input[0], f"{name}.levels", f"{name}.steps", "", node.input[2]]
        return helper.make_node("DynamicQuantizeMatMul", inputs, list(node.output), domain="com.microsoft")

    return _with_layers(checkpoint, layer)


def blocks(bits: int, block: int) -> Callable[[Checkpoint], onnx.ModelProto]:
    """Weights by blocks along the input, activations in 8 bits by the same blocks of each row."""

    def layer(node: onnx.NodeProto, weight: FloatArray, name: str, tensors: list[Any]) -> onnx.NodeProto:
        (outputs, inputs), middle = weight.shape, 1 << (bits - 1)
        parts = weight.reshape(outputs, inputs // block, block)
        steps = (np.abs(parts).max(axis=2) / (middle - 1)).astype(np.float32)
        levels = (np.rint(parts / steps[..., None]) + middle).astype(np.uint8)
        if bits == 4:
            levels = levels[..., 0::2] | (levels[..., 1::2] << 4)
        tensors += [numpy_helper.from_array(levels, f"{name}.levels"), numpy_helper.from_array(steps, f"{name}.steps")]
        return helper.make_node(
            "MatMulNBits", [node.input[0], f"{name}.levels", f"{name}.steps", "", "", node.input[2]],
            list(node.output), domain="com.microsoft", K=inputs, N=outputs, bits=bits, block_size=block,
            accuracy_level=4,
        )  # fmt: skip

    return lambda checkpoint: _with_layers(checkpoint, layer)


def _with_layers(checkpoint: Checkpoint, layer: Callable[..., onnx.NodeProto]) -> onnx.ModelProto:
    model = build_graph(checkpoint)
    weights = quantization.Weights(model, checkpoint)
    tensors: list[Any] = []
    nodes = []
    for node in model.graph.node:
        place = weights.layer(node)
        nodes.append(node if place is None else layer(node, weights.read(place.weight), place.weight, tensors))
    used = {name for node in nodes for name in quantization.all_inputs(node)}
    tensors += [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(tensors)
    return model


def changed(module: ModuleType = quantization, **settings: Any) -> Callable[[Checkpoint], onnx.ModelProto]:
    """`quantized_graph` with other constants of a module."""

    def make(checkpoint: Checkpoint) -> onnx.ModelProto:
        with patch.multiple(module, **settings):
            return quantization.quantized_graph(checkpoint)

    return make


WAYS: dict[str, Callable[[Checkpoint], onnx.ModelProto]] = {
    "float32": build_graph,
    "int8 (shipped)": quantization.quantized_graph,
    "int8, rounded to nearest": changed(rounding, DAMPING=1e9),
    "int8, weights up to 64": changed(rounding, TOP=64),
    "int8, no factors": changed(STRENGTHS=()),
    "int8, 1 group": changed(GROUPS=1),
    "int8, 8 groups": changed(GROUPS=8),
    "int8, steps by batch": dynamic,
    "8-bit blocks of 32": blocks(8, 32),
    "8-bit blocks of 128": blocks(8, 128),
    "4-bit blocks of 32": blocks(4, 32),
}


# -- measuring ----------------------------------------------------------------------------------------------


def texts_by_language(folder: Path, count: int) -> list[tuple[str, str]]:
    """``count`` texts of each language: queries, and passages of at most a thousand letters."""
    chooser, found = random.Random(11), dict[str, list[str]]()
    for path in sorted(folder.glob("*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for pair in map(json.loads, lines):
                language = pair["lang"].split("-")[0] if path.name.startswith("bitext") else pair["lang"]
                text = pair["query"] if chooser.random() < 0.3 else pair["pos"][0][:1000]
                found.setdefault(language, []).append(text)
    share = {name: chooser.sample(found[name], min(count, len(found[name]))) for name in sorted(found)}
    return [(name, text) for name, texts in share.items() for text in texts]


def batches(encoder: Encoder, texts: Sequence[str]) -> list[Batch]:
    """Rows, padded ids and masks."""
    ids = [np.asarray(text.ids, np.int64) for text in encoder.tokenizer.tokenize(texts, encoder.max_length)]
    plan = plan_batches([len(row) for row in ids], encoder.runtime.batch_tokens)
    return [(rows, *pad([ids[row] for row in rows], encoder.pad_id)) for rows in plan]


def session(model: onnx.ModelProto, folder: Path) -> Any:
    """One thread."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def run(session: Any, plan: Sequence[Batch]) -> tuple[FloatArray, FloatArray]:
    """Dense vectors and token vectors of real tokens, batch after batch."""
    dense, tokens = [], []
    for _, ids, mask in plan:
        found = session.run(["dense", "token_vectors"], {"input_ids": ids, "attention_mask": mask})
        dense.append(found[0])
        tokens.append(found[1][mask == 1])
    return np.concatenate(dense), np.concatenate(tokens)


def spread(cosines: FloatArray) -> dict[str, float]:
    """The least, the worst percent and the mean."""
    return {
        "min": round(float(cosines.min()), 4),
        "1%": round(float(np.quantile(cosines, 0.01)), 4),
        "mean": round(float(cosines.mean()), 5),
    }


def in_turns(calls: dict[str, Callable[[], object]], rounds: int, clock: Callable[[], float]) -> dict[str, float]:
    """The least seconds of each."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(rounds):
        for name, call in calls.items():
            start = clock()
            call()
            best[name] = min(best[name], clock() - start)
    return best


def compare_ways(encoder: Encoder, texts: Sequence[str], rounds: int) -> dict[str, Any]:
    """Speed on a part of the texts, cosines to float32 on all."""
    checkpoint = encoder.checkpoint
    plan = batches(encoder, texts)
    timed = plan[:: max(1, len(plan) // 8)]
    models = {name: make(checkpoint) for name, make in WAYS.items()}
    sessions = {name: session(model, checkpoint.folder) for name, model in models.items()}
    found = {name: run(each, plan) for name, each in sessions.items()}
    calls = {name: lambda each=each: run(each, timed) for name, each in sessions.items()}
    seconds = in_turns(calls, rounds, time.process_time)
    exact = found["float32"]
    return {
        name: {
            "times_float32_speed": round(seconds["float32"] / seconds[name], 2),
            "graph_MB": round(models[name].ByteSize() / 1e6, 1),
            "dense_cosine": spread((found[name][0] * exact[0]).sum(axis=1)),
            "token_cosine": spread((found[name][1] * exact[1]).sum(axis=1)),
        }
        for name in WAYS
    }


def compare_encoders(exact: Encoder, quantised: Encoder, texts: list[tuple[str, str]], rounds: int) -> dict[str, Any]:
    """The whole of `Encoder.encode` on all cores, and cosines by language."""
    plain = [text for _, text in texts]
    before, after = (encoder.encode(plain, ["dense", "multi"]) for encoder in (exact, quantised))
    assert before.dense is not None and after.dense is not None
    assert before.multi is not None and after.multi is not None
    cosines = (before.dense * after.dense).sum(axis=1)
    tokens = Ragged((before.multi.values * after.multi.values).sum(axis=1, keepdims=True), before.multi.offsets)
    by_text = np.array([rows.mean() if len(rows) else 1.0 for rows in tokens])
    languages = sorted({language for language, _ in texts})
    rows = {name: [place for place, (language, _) in enumerate(texts) if language == name] for name in languages}
    part = plain[:: max(1, len(plain) // 60)]
    calls = {"float32": lambda: exact.encode(part, ["dense"]), "int8": lambda: quantised.encode(part, ["dense"])}
    wall = in_turns(calls, rounds, time.perf_counter)
    processor = in_turns(calls, rounds, time.process_time)
    query = [next(text for text in plain if 20 < len(text) < 80)]
    calls = {"float32": lambda: exact.encode(query, ["dense"]), "int8": lambda: quantised.encode(query, ["dense"])}
    single = in_turns(calls, 5 * rounds, time.perf_counter)
    return {
        "texts": len(plain),
        "languages": len(languages),
        "times_float32_speed": {
            "wall": round(wall["float32"] / wall["int8"], 2),
            "processor_time": round(processor["float32"] / processor["int8"], 2),
            "one_query": round(single["float32"] / single["int8"], 2),
        },
        "dense_cosine": spread(cosines),
        "token_cosine": spread(tokens.values[:, 0]),
        "mean_token_cosine_of_a_text": spread(by_text),
        "least_by_language": {
            name: {"dense": round(float(cosines[places].min()), 4), "multi": round(float(by_text[places].min()), 4)}
            for name, places in rows.items()
        },
    }


def compare_quality(exact: Encoder, quantised: Encoder, data: Path) -> dict[str, Any]:
    """nDCG@10 by set and system; ``mixed`` is queries in int8 over documents in float32."""
    options = SearchOptions.from_settings(exact.checkpoint.settings)
    table: dict[str, Any] = {}
    for name in SETS:
        content = read_set(data / name)
        before, after = (encode_set(encoder, content, None) for encoder in (exact, quantised))
        queries = replace(after.queries, fingerprint=before.documents.fingerprint)
        mixed = EncodedSet(before.passages, before.documents, queries)
        scores = {
            kind: {system: measures["nDCG@10"] for system, measures in evaluate(content, each, options).items()}
            for kind, each in (("float32", before), ("int8", after), ("mixed", mixed))
        }
        table[name] = scores
        print(name, scores, flush=True)
    losses = {
        kind: {system: round(max(row["float32"][system] - row[kind][system] for row in table.values()), 4)
               for system in SYSTEMS}
        for kind in ("int8", "mixed")
    }  # fmt: skip
    return {"nDCG@10": table, "most_lost": losses}


def main() -> None:
    """Measure and write everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--texts", type=Path, required=True, help="folder of pairs in many languages")
    parser.add_argument("--data", type=Path, required=True, help="folder of sets in BEIR layout")
    parser.add_argument("--model", default="m3-small")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    quantised = trivec.load(arguments.model, precision="int8")  # makes the quantised form, if it is not kept yet
    exact = trivec.load(arguments.model, precision="float32")
    loading = in_turns({p: lambda p=p: trivec.load(arguments.model, precision=p) for p in ("float32", "int8")}, 2,
                       time.perf_counter)  # fmt: skip
    texts = texts_by_language(arguments.texts, 2)
    whole = compare_encoders(exact, quantised, texts, arguments.rounds)
    print({name: value for name, value in whole.items() if name != "least_by_language"}, flush=True)
    ways = compare_ways(trivec.load(arguments.model, threads=1), [text for _, text in texts[::4]], arguments.rounds)
    for name, row in ways.items():
        print(f"{name:24}", row, flush=True)
    folder = find_checkpoint(arguments.model).folder
    result = {
        "environment": environment("onnx"),
        "model": exact.name,
        "weights_file_MB": round((folder / "model.safetensors").stat().st_size / 1e6, 1),
        "seconds_to_load": {name: round(seconds, 2) for name, seconds in loading.items()},
        "encoder": whole,
        "ways": ways,
        "quality": compare_quality(exact, quantised, arguments.data),
    }
    write_result(arguments.out, result)


if __name__ == "__main__":
    main()
