"""An encoder's graph with its linear layers in 8-bit integers.

Each layer y = W x + b of the encoder becomes, with a positive factor s_i for every input channel i,

    q = round(x / (s * a)) + z        0..255, one step a and one zero point z a layer
    V = round(W * s / c)              -64..64, one step c an output channel
    y = a c V (q - z) + b             summed in 32-bit integers

The factors take outlying channels out of the activations, where they would widen the one step that all channels share,
and put them into the weights (SmoothQuant, Xiao et al. 2022, arXiv 2211.10438: s_i = max|x_i|^t / max|W_i|^(1-t)). The
strength t is chosen layer by layer, to reproduce the layer's output on `trivec.encode.calibration_texts` and on random
strings of the vocabulary, which reach what no few texts do. Steps are fixed when quantising, not measured in each
batch: a text's vectors must not depend on what is encoded with it.

Weights have seven bits, not eight, because processors without VNNI add two products of unsigned and signed bytes in 16
bits, with saturation: 2 * 255 * 64 fits, 2 * 255 * 127 does not. So all processors compute the same integers.

Embeddings, attention, layer norms, GELU, pooling and heads stay float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from trivec.encode.calibration_texts import TEXTS
from trivec.encode.checkpoints.checkpoint import Checkpoint
from trivec.encode.checkpoints.weights import WEIGHTS_FILE
from trivec.encode.onnx_graph import build_graph
from trivec.encode.tokenizer import TextTokenizer
from trivec.tensorfile import memory_map, read_header
from trivec.types import FloatArray

STRENGTHS = (0.5, 0.65, 0.8, 0.9)
_WEIGHT_TOP = 64
_ACTIVATION_TOP = 255
_SAMPLE = 512
"""Rows of activations by which a strength is chosen, about; ranges are over all rows."""
_LEAST_RANGE = 0.7
"""No channel counts as narrower than this share of the median one: calibration may not have met what excites it."""
_HEADROOM = 1.1
"""The range of integers over the range that calibration met. What lies outside is cut, which costs more than a coarser
step."""
_RANDOM_STRINGS, _RANDOM_TOKENS = 24, 96


@dataclass(frozen=True, eq=False)
class Inputs:
    """What calibration saw of a layer's input.

    Attributes:
        low: the least of every channel, (K,).
        high: the greatest of every channel, (K,).
        rows: a sample, (n, K).
    """

    low: FloatArray
    high: FloatArray
    rows: FloatArray

    @classmethod
    def of(cls, values: FloatArray) -> Inputs:
        """All that there is, (n, K)."""
        return cls(values.min(axis=0), values.max(axis=0), values)

    def joined(self, other: Inputs) -> Inputs:
        """Both together."""
        rows = np.concatenate([self.rows, other.rows])
        return Inputs(np.minimum(self.low, other.low), np.maximum(self.high, other.high), rows)


@dataclass(frozen=True, eq=False)
class Scaling:
    """How the input of a layer becomes integers.

    Attributes:
        factors: s above, (K,).
        step: a above.
        zero: z above.
    """

    factors: FloatArray
    step: float
    zero: int

    @classmethod
    def over(cls, inputs: Inputs, factors: FloatArray) -> Scaling:
        """Steps that span the whole range of the inputs, and somewhat more."""
        low = _HEADROOM * min(float((inputs.low / factors).min()), 0.0)
        high = _HEADROOM * max(float((inputs.high / factors).max()), 0.0)
        step = max((high - low) / _ACTIVATION_TOP, 1e-12)
        return cls(factors, step, round(-low / step))

    def rounded(self, inputs: FloatArray) -> FloatArray:
        """What is left of inputs (n, K) after rounding, still divided by the factors."""
        levels = np.clip(np.rint(inputs / (self.factors * self.step)) + self.zero, 0, _ACTIVATION_TOP)
        return np.asarray((levels - self.zero) * self.step, np.float32)


@dataclass(frozen=True)
class Layer:
    """A linear layer of the encoder: its node, and the name of its weight."""

    node: onnx.NodeProto
    weight: str

    @property
    def input(self) -> str:
        """The tensor that it is applied to."""
        return str(self.node.input[0])


def quantized_graph(checkpoint: Checkpoint, states: bool = False) -> onnx.ModelProto:
    """The graph of `build_graph` with quantised linear layers, which it holds; word embeddings stay in the file.

    It takes seconds for a small model and up to some minutes for a large one, mostly to choose strengths.

    Raises:
        ModelError: as `build_graph`.
        CorruptModelError: as `build_graph`.
    """
    model = build_graph(checkpoint, states)
    weights = _Weights(model, checkpoint)
    layers = [Layer(node, name) for node in model.graph.node if (name := weights.of(node)) is not None]
    inputs = _activations(checkpoint, list(dict.fromkeys(layer.input for layer in layers)))
    scalings = {
        name: choose_scaling(values, weights.of_all(layer for layer in layers if layer.input == name))
        for name, values in inputs.items()
    }
    _replace(model.graph, layers, weights, scalings)
    return model


def choose_scaling(inputs: Inputs, weight: FloatArray) -> Scaling:
    """The scaling that changes ``inputs.rows @ weight.T`` least, of one without factors and those of `STRENGTHS`.

    ``weight`` (N, K) is that of all layers that share these inputs.
    """
    rows = inputs.rows
    exact = rows @ weight.T
    found = [Scaling.over(inputs, factors) for factors in _candidates(inputs, weight)]
    return min(found, key=lambda scaling: float(np.square(_approximate(rows, weight, scaling) - exact).sum()))


def _candidates(inputs: Inputs, weight: FloatArray) -> Iterator[FloatArray]:
    reach = np.maximum(np.abs(inputs.low), np.abs(inputs.high))
    reach = np.maximum(reach, max(_LEAST_RANGE * float(np.median(reach)), 1e-6))
    size = np.maximum(np.abs(weight).max(axis=0), 1e-6)
    yield np.ones_like(reach)
    for strength in STRENGTHS:
        yield np.asarray(reach**strength / size ** (1 - strength), np.float32)


def _approximate(rows: FloatArray, weight: FloatArray, scaling: Scaling) -> FloatArray:
    levels, steps = quantize_weight(weight, scaling.factors)
    return np.asarray(scaling.rounded(rows) @ (levels.astype(np.float32) * steps[:, None]).T, np.float32)


def quantize_weight(weight: FloatArray, factors: FloatArray) -> tuple[NDArray[np.int8], FloatArray]:
    """V (N, K) and c (N,) of a weight (N, K)."""
    scaled = weight * factors
    steps = np.abs(scaled).max(axis=1) / _WEIGHT_TOP
    steps[steps == 0] = 1
    return np.rint(scaled / steps[:, None]).astype(np.int8), np.asarray(steps, np.float32)


class _Weights:
    """The backbone's weights that linear layers of a graph use, read from the model's file."""

    def __init__(self, model: onnx.ModelProto, checkpoint: Checkpoint) -> None:
        path = checkpoint.folder / WEIGHTS_FILE
        self._tensors = memory_map(path)
        self._names = {place.offset: name for name, place in read_header(path)[0].items()}
        self._external = {tensor.name: _offset(tensor) for tensor in model.graph.initializer if tensor.external_data}
        self._casts = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "Cast"}

    def of(self, node: onnx.NodeProto) -> str | None:
        """The name of a layer's weight, or None for nodes that are no linear layers of the backbone."""
        if node.op_type != "Gemm":
            return None
        name = self._casts.get(node.input[1], node.input[1])
        return name if name in self._external else None

    def read(self, name: str) -> FloatArray:
        """A weight (N, K) in float32."""
        return np.asarray(self._tensors[self._names[self._external[name]]], np.float32)

    def of_all(self, layers: Iterable[Layer]) -> FloatArray:
        """The weights of layers with one input, below each other."""
        return np.concatenate([self.read(layer.weight) for layer in layers])


def _offset(tensor: onnx.TensorProto) -> int:
    return next(int(entry.value) for entry in tensor.external_data if entry.key == "offset")


def _activations(checkpoint: Checkpoint, names: Sequence[str]) -> dict[str, Inputs]:
    """What tensors of the float32 graph hold for the calibration texts; every row is a token's."""
    model = build_graph(checkpoint)
    del model.graph.output[:]
    model.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(checkpoint.folder))
    session: Any = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    texts = list(_calibration_ids(checkpoint))
    stride, place = max(1, sum(map(len, texts)) // _SAMPLE), 0
    found: dict[str, Inputs] = {}
    for ids in texts:
        feeds = {"input_ids": np.asarray([ids], np.int64), "attention_mask": np.ones((1, len(ids)), np.int32)}
        for name, values in zip(names, session.run(list(names), feeds), strict=True):
            seen = replace(Inputs.of(values), rows=values[-place % stride :: stride])
            found[name] = found[name].joined(seen) if name in found else seen
        place += len(ids)
    return found


def _calibration_ids(checkpoint: Checkpoint) -> Iterator[Sequence[int]]:
    """The texts by turns as queries and as documents, two windows full of all of them, and random strings."""
    tokenizer = TextTokenizer.from_file(checkpoint.tokenizer_file, checkpoint.lowercase)
    prompts = (checkpoint.query_prompt, checkpoint.document_prompt)
    length = min(checkpoint.max_length, 512)
    everything = " ".join(TEXTS)
    ids: Sequence[int] = ()
    for number, text in enumerate((*TEXTS, everything, everything[len(everything) // 2 :])):
        ids = tokenizer.tokenize([text], length, prompts[number % 2])[0].ids
        yield ids
    known = min(tokenizer.vocabulary_size, int(str(checkpoint.config["vocab_size"])))
    pieces = np.setdiff1d(np.arange(known), np.asarray(list(tokenizer.weightless_ids)))
    random = np.random.default_rng(0)
    for _ in range(_RANDOM_STRINGS):
        yield [ids[0], *random.choice(pieces, max(1, min(_RANDOM_TOKENS, length - 2))).tolist(), ids[-1]]


def _replace(
    graph: onnx.GraphProto, layers: Sequence[Layer], weights: _Weights, scalings: Mapping[str, Scaling]
) -> None:
    """Put integer layers in the place of float ones."""
    by_output = {layer.node.output[0]: layer for layer in layers}
    nodes: list[onnx.NodeProto] = []
    tensors: list[onnx.TensorProto] = []
    done: set[str] = set()
    for node in graph.node:
        layer = by_output.get(node.output[0])
        if layer is None:
            nodes.append(node)
            continue
        if layer.input not in done:
            done.add(layer.input)
            nodes += _rounding(layer.input, scalings[layer.input], tensors)
        nodes.append(_integer_layer(layer, weights.read(layer.weight), scalings[layer.input], tensors))
    nodes = _used(nodes, [output.name for output in graph.output])
    wanted = {name for node in nodes for name in _all_inputs(node)}
    tensors += [tensor for tensor in graph.initializer if tensor.name in wanted]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(tensors)


def _rounding(name: str, scaling: Scaling, tensors: list[onnx.TensorProto]) -> list[onnx.NodeProto]:
    """Nodes that make integers ``NAME.q`` of a tensor. Where all factors are one, there is nothing to multiply by."""
    tensors.append(numpy_helper.from_array(np.float32(scaling.step), f"{name}.step"))
    tensors.append(numpy_helper.from_array(np.uint8(scaling.zero), f"{name}.zero"))
    rounded = [f"{name}.step", f"{name}.zero"]
    if np.all(scaling.factors == 1):
        return [helper.make_node("QuantizeLinear", [name, *rounded], [f"{name}.q"])]
    tensors.append(numpy_helper.from_array(np.asarray(1 / scaling.factors, np.float32), f"{name}.factors"))
    return [
        helper.make_node("Mul", [name, f"{name}.factors"], [f"{name}.even"]),
        helper.make_node("QuantizeLinear", [f"{name}.even", *rounded], [f"{name}.q"]),
    ]


def _integer_layer(
    layer: Layer, weight: FloatArray, scaling: Scaling, tensors: list[onnx.TensorProto]
) -> onnx.NodeProto:
    levels, steps = quantize_weight(weight, scaling.factors)
    names = [f"{layer.weight}.levels", f"{layer.weight}.steps"]
    arrays = (np.ascontiguousarray(levels.T), steps)
    tensors += [numpy_helper.from_array(array, name) for name, array in zip(names, arrays, strict=True)]
    source = layer.input
    inputs = [f"{source}.q", names[0], f"{source}.step", names[1], f"{source}.zero", "", layer.node.input[2]]
    return helper.make_node("MatMulIntegerToFloat", inputs, list(layer.node.output), domain="com.microsoft")


def _used(nodes: Sequence[onnx.NodeProto], outputs: Sequence[str]) -> list[onnx.NodeProto]:
    """The nodes that outputs depend on: casts of weights that are integers now go."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= _all_inputs(node)
            kept.append(node)
    return kept[::-1]


def _all_inputs(node: onnx.NodeProto) -> set[str]:
    """The tensors that a node takes, also those that the branches of a condition take from around it."""
    names = {name for name in node.input if name}
    branches = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    return names.union(*(_all_inputs(inner) for branch in branches for inner in branch.node)) if branches else names
