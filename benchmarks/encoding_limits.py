"""How long a text may be: memory and time of one forward pass over 512 to 8,192 tokens.

    python benchmarks/encoding_limits.py --model FOLDER --out benchmarks/results/encoding_limits.json

The model has the shape of ``--model``, with random weights, a small vocabulary and room for 8,192 positions. Each
engine and length runs in a process of its own. ``memory_MB`` is how far one pass raises the process's peak above
what it held with the model loaded and one short text encoded. ``scores_MB`` is what an array of L x L float32
attention scores for all heads of a layer would take: who stays below it does not hold one.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from common import environment, write_result

ENGINES = ("trivec-onnx", "trivec-torch", "transformers-eager")
_VOCABULARY = 1000
_POSITIONS = 8194


def write_model(like: Path, folder: Path) -> None:
    """A model of the same shape for long texts."""
    import torch
    import transformers

    config = transformers.AutoConfig.from_pretrained(like)
    config.vocab_size, config.max_position_embeddings = _VOCABULARY, _POSITIONS
    torch.manual_seed(0)
    transformers.AutoModel.from_config(config).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"):
        if (like / name).is_file():
            shutil.copy(like / name, folder / name)


def forward_of(engine: str, folder: Path) -> Callable[[NDArray[np.int64]], object]:
    """A forward pass over one row of ids."""
    if engine == "transformers-eager":
        import torch
        import transformers

        model = transformers.AutoModel.from_pretrained(folder, attn_implementation="eager").eval()

        def eager(ids_1L: NDArray[np.int64]) -> object:
            with torch.inference_mode():
                return model(input_ids=torch.from_numpy(ids_1L))

        return eager
    import trivec

    runtime = trivec.load(folder, runtime=engine.removeprefix("trivec-")).runtime
    return lambda ids_1L: runtime.forward(ids_1L, np.ones(ids_1L.shape, np.int32), ["dense"])


def measure(engine: str, folder: Path, length: int) -> dict[str, float]:
    """Seconds and memory of one pass, in this process."""
    forward = forward_of(engine, folder)
    chooser = np.random.default_rng(0)
    forward(chooser.integers(5, _VOCABULARY, (1, 64)))
    before = _peak_MB()
    start, cpu = time.perf_counter(), time.process_time()
    forward(chooser.integers(5, _VOCABULARY, (1, length)))
    taken = time.perf_counter() - start, time.process_time() - cpu
    return {"seconds": round(taken[0], 2), "cpu_seconds": round(taken[1], 2), "memory_MB": round(_peak_MB() - before)}


def _peak_MB() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    """Measure every length with every engine; or, called by itself, one of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--lengths", type=int, nargs="*", default=[512, 2048, 4096, 8192])
    parser.add_argument("--out", type=Path)
    parser.add_argument("--only", choices=ENGINES, help="measure this engine here and print the result")
    arguments = parser.parse_args()
    if arguments.only:
        print("@" + json.dumps(measure(arguments.only, arguments.model, arguments.lengths[0])))
        return
    config = json.loads((arguments.model / "config.json").read_text(encoding="utf-8"))
    table: dict[str, dict[str, object]] = {}
    with tempfile.TemporaryDirectory() as scratch:
        write_model(arguments.model, Path(scratch))
        for length in arguments.lengths:
            scores = length * length * config["num_attention_heads"] * 4 / 2**20
            table[str(length)] = {"scores_MB": round(scores)}
            for engine in ENGINES:
                command = [sys.executable, __file__, "--model", scratch, "--lengths", str(length), "--only", engine]
                lines = subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()
                table[str(length)][engine] = json.loads(next(line for line in lines if line.startswith("@"))[1:])
            print(length, table[str(length)], flush=True)
    versions = environment("torch", "transformers")
    if arguments.out:
        write_result(arguments.out, {"environment": versions, "model": arguments.model.name, "tokens": table})


if __name__ == "__main__":
    main()
