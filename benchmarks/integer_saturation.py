"""Whether ONNX Runtime's integer products are exact on a processor with AVX2 alone, by the bits of the weights.

    python benchmarks/integer_saturation.py --emulator "qemu-x86_64-static -cpu Haswell" \
        --out benchmarks/results/integer_saturation.json

Without VNNI, products of unsigned and signed bytes are added by twos in 16 bits, with saturation. The script multiplies
large numbers, here and once more inside the emulator, and counts results that differ from exact sums. It is the reason
why two neighbouring weights come to 128 together at most in `trivec.encode.quantization`.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from common import environment, write_result

TOKENS, INPUTS, OUTPUTS, ZERO = 20, 384, 64, 100
TOPS = (64, 127)
PAIRS = (128, 150)


def weights_up_to(top: int) -> np.ndarray:
    """Weights that are all as large as they can be."""
    return np.random.default_rng(0).integers(top - 1, top + 1, (INPUTS, OUTPUTS)).astype(np.int8)


def neighbours_up_to(most: int) -> np.ndarray:
    """Weights of which two neighbours have one sign and come to ``most`` together, or to 254."""
    random, shape = np.random.default_rng(0), (INPUTS // 2, OUTPUTS)
    first = random.integers(1, 128, shape)
    second = np.minimum(most - first, 127)
    pairs = np.stack([first, second], axis=1).reshape(INPUTS, OUTPUTS)
    return (pairs * np.repeat(random.choice([-1, 1], shape), 2, axis=0)).astype(np.int8)


def wrong_sums(weights: np.ndarray) -> dict[str, float]:
    """Results that are not exact."""
    activations = np.random.default_rng(1).integers(200, 256, (TOKENS, INPUTS)).astype(np.uint8)
    exact = (activations.astype(np.int64) - ZERO) @ weights.astype(np.int64)
    (found,) = _session(weights).run(None, {"activations": activations})
    return {
        "wrong": int((found != exact).sum()),
        "of": exact.size,
        "worst_relative_error": round(float((np.abs(found - exact) / np.maximum(np.abs(exact), 1)).max()), 3),
    }


def _session(weights: np.ndarray) -> Any:
    inputs = ["activations", "weights", "step", "steps", "zero"]
    constants = (weights, np.float32(1), np.ones(OUTPUTS, np.float32), np.uint8(ZERO))
    graph = helper.make_graph(
        [helper.make_node("MatMulIntegerToFloat", inputs, ["sums"], domain="com.microsoft")],
        "product",
        [helper.make_tensor_value_info("activations", TensorProto.UINT8, ["n", INPUTS])],
        [helper.make_tensor_value_info("sums", TensorProto.FLOAT, ["n", OUTPUTS])],
        [numpy_helper.from_array(array, name) for name, array in zip(inputs[1:], constants, strict=True)],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 3
    content = helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def measure() -> dict[str, Any]:
    """All kinds of weights on the processor that runs this."""
    rows = {f"weights up to {top}": wrong_sums(weights_up_to(top)) for top in TOPS}
    return rows | {f"neighbours up to {most} together": wrong_sums(neighbours_up_to(most)) for most in PAIRS}


def measure_in(emulator: str) -> dict[str, Any]:
    """The same inside an emulator of another processor."""
    command = [*shlex.split(emulator), str(Path(sys.executable).resolve()), __file__, "--measure"]
    paths = os.pathsep.join(path for path in sys.path if path)
    result = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": paths}, stdout=subprocess.PIPE, text=True, check=True
    )
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--emulator", help="command of a user-mode emulator of a processor without VNNI")
    parser.add_argument("--measure", action="store_true", help="only print this processor's row")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    rows = {"this processor": measure()}
    if arguments.measure:
        print(json.dumps(rows["this processor"]))
        return
    if arguments.emulator:
        words = shlex.split(arguments.emulator)
        rows[" ".join([Path(words[0]).name, *words[1:]])] = measure_in(arguments.emulator)
    print(json.dumps(rows, indent=1))
    if arguments.out:
        write_result(arguments.out, {"environment": environment("onnx"), "rows": rows})


if __name__ == "__main__":
    main()
