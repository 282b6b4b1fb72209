"""An encoder's graph with its linear layers in 8-bit integers.

Each layer y = W x + b of the encoder becomes, with a positive factor s_i for every input channel i,

    m = max|x_i / s_i|                       the size of one token's input
    q = round(127 x / (s m)) + 128           1..255
    V = round(W s / c)                       -127..127, one step c an output channel
    y = (c m / 127) V (q - 128) + b          summed in 32-bit integers

The factors take outlying channels out of the activations, where they would widen the step that all channels share, and
put them into the weights (SmoothQuant, Xiao et al. 2022, arXiv 2211.10438: s_i = max|x_i|^t / max|W_i|^(1-t)). The
strength t is chosen layer by layer, to reproduce the layer's output on what `trivec.encode.calibration` saw.

The size m is measured for every token on its own: one step for all tokens would be wide enough for the few that reach
far, and would cut those that reach further than any seen. And so a text's vectors do not depend on what is encoded
with it. `trivec.encode.rounding` makes V, such that all processors compute the same integers.

GELU gives no less than -0.17, so what comes after it has levels 0..255 around 40 instead, and no factors. Its channels
are cut into `GROUPS` by the size of their weights, and each group is a layer of its own, with steps c and sizes m of
its own; the groups' outputs are added.

Embeddings, attention, layer norms, GELU, pooling and heads stay float32.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from onnx import helper, numpy_helper

from trivec.encode import rounding
from trivec.encode.calibration import Groups, Inputs, observe
from trivec.encode.checkpoints.checkpoint import Checkpoint
from trivec.encode.checkpoints.weights import WEIGHTS_FILE
from trivec.encode.onnx_graph import build_graph
from trivec.tensorfile import memory_map, read_header
from trivec.types import FloatArray

STRENGTHS = (0.35, 0.5, 0.65, 0.8, 0.9)
GROUPS = 4
_LEAST_REACH = 0.7
"""No channel counts as narrower than this share of the median one: calibration may not have met what excites it."""


@dataclass(frozen=True)
class Levels:
    """How one token's numbers become bytes.

    Attributes:
        name: by which the graph knows it.
        zero: the byte of zero.
        least_size: the least m, so that nothing is divided by zero or cut at the lower end.
        both_signs: whether m is the greatest size or the greatest number.
    """

    name: str
    zero: int
    least_size: float
    both_signs: bool

    @property
    def top(self) -> int:
        """The level of m."""
        return 255 - self.zero

    def rounded(self, values: FloatArray) -> FloatArray:
        """What is left of rows of numbers (n, K)."""
        sizes = (np.abs(values) if self.both_signs else values).max(axis=1, keepdims=True)
        steps = np.maximum(sizes, self.least_size) / self.top
        return np.asarray(np.clip(np.rint(values / steps), -self.zero, self.top) * steps, np.float32)


SIGNED = Levels("signed", 128, 1e-6, both_signs=True)
AFTER_GELU = Levels("after_gelu", 40, 0.17 * 215 / 40, both_signs=False)


@dataclass(frozen=True)
class Layer:
    """A linear layer of the encoder: its node, and the names of its weight and bias."""

    node: onnx.NodeProto
    weight: str
    bias: str

    @property
    def input(self) -> str:
        """The tensor that it is applied to."""
        return str(self.node.input[0])

    @property
    def output(self) -> str:
        """The tensor that it makes."""
        return str(self.node.output[0])


def quantized_graph(checkpoint: Checkpoint, states: bool = False) -> onnx.ModelProto:
    """The graph of `build_graph` with quantised linear layers, which it holds; word embeddings stay in the file.

    It takes seconds for a small model and up to some minutes for a large one, mostly to round weights.

    Raises:
        ModelError: as `build_graph`.
        CorruptModelError: as `build_graph`.
    """
    model = build_graph(checkpoint, states)
    weights = Weights(model, checkpoint)
    layers = [layer for node in model.graph.node if (layer := weights.layer(node)) is not None]
    gelus = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "Gelu"}
    groups: dict[str, Groups] = {}
    for layer in layers:
        weight = weights.read(layer.weight)
        groups[layer.input] = channel_groups(weight) if layer.input in gelus else [np.arange(weight.shape[1])]
    writer = _Writer(layers, gelus, weights, groups, observe(checkpoint, groups))
    for node in model.graph.node:
        writer.write(node)
    writer.replace(model.graph)
    return model


def channel_groups(weight: FloatArray) -> Groups:
    """The input channels of a weight (N, K) in `GROUPS` groups, those with the largest weights first."""
    order = np.argsort(-np.abs(weight).max(axis=0), kind="stable")
    return [np.sort(group) for group in np.array_split(order, GROUPS)]


def choose_factors(inputs: Inputs, weight: FloatArray) -> FloatArray:
    """The factors (K,) that change ``inputs.rows @ weight.T`` least, of none and those of `STRENGTHS`.

    ``weight`` (N, K) is that of all layers that share these inputs.
    """
    exact = inputs.rows @ weight.T

    def error(factors: FloatArray) -> float:
        scaled = weight * factors
        steps = rounding.weight_steps(scaled)[:, None]
        found = SIGNED.rounded(inputs.rows / factors) @ (np.rint(scaled / steps) * steps).T
        return float(np.square(found - exact).sum())

    return min(_candidates(inputs, weight), key=error)


def _candidates(inputs: Inputs, weight: FloatArray) -> Iterator[FloatArray]:
    reach = np.maximum(inputs.reach, max(_LEAST_REACH * float(np.median(inputs.reach)), 1e-6))
    size = np.maximum(np.abs(weight).max(axis=0), 1e-6)
    yield np.ones_like(reach)
    for strength in STRENGTHS:
        yield np.asarray(reach**strength / size ** (1 - strength), np.float32)


class Weights:
    """The backbone's weights that linear layers of a graph use, read from the model's file."""

    def __init__(self, model: onnx.ModelProto, checkpoint: Checkpoint) -> None:
        path = checkpoint.folder / WEIGHTS_FILE
        self._tensors = memory_map(path)
        self._names = {place.offset: name for name, place in read_header(path)[0].items()}
        self._external = {tensor.name: _offset(tensor) for tensor in model.graph.initializer if tensor.external_data}
        self._casts = {node.output[0]: node.input[0] for node in model.graph.node if node.op_type == "Cast"}

    def layer(self, node: onnx.NodeProto) -> Layer | None:
        """The layer that a node is, or None for nodes that are no linear layers of the backbone."""
        if node.op_type != "Gemm":
            return None
        weight, bias = (self._casts.get(name, name) for name in node.input[1:])
        return Layer(node, weight, bias) if weight in self._external else None

    def read(self, name: str) -> FloatArray:
        """A weight (N, K) or bias (N,) in float32."""
        return np.asarray(self._tensors[self._names[self._external[name]]], np.float32)


def _offset(tensor: onnx.TensorProto) -> int:
    return next(int(entry.value) for entry in tensor.external_data if entry.key == "offset")


@dataclass(frozen=True)
class _Bytes:
    """Tensors of a rounded input: bytes, and what each token's sums are multiplied by. And how weights fit to it."""

    levels: Levels
    bytes: str
    sizes: str
    factors: FloatArray
    compensation: rounding.Compensation


class _Writer:
    """Writes a graph anew, with integer layers in the place of float ones."""

    def __init__(
        self,
        layers: Iterable[Layer],
        gelus: Mapping[str, str],
        weights: Weights,
        groups: Mapping[str, Groups],
        inputs: Mapping[str, Inputs],
    ) -> None:
        self._layers = {layer.output: layer for layer in layers}
        self._gelus = gelus
        self._after = {before: after for after, before in gelus.items()}
        self._weights, self._groups, self._inputs = weights, groups, inputs
        self._nodes: list[onnx.NodeProto] = []
        self._tensors: dict[str, onnx.TensorProto] = {}
        self._rounded: dict[str, _Bytes] = {}

    def write(self, node: onnx.NodeProto) -> None:
        """Write a node, or what takes its place."""
        layer = self._layers.get(node.output[0])
        if layer is None:
            self._nodes.append(node)
        elif layer.output in self._after:
            self._write_first(layer)
        elif layer.input in self._gelus:
            self._write_second(layer)
        else:
            source = self._factored(layer.input)
            sums = self._product(source, self._weights.read(layer.weight), layer.weight)
            self._node("Add", [sums, layer.node.input[2]], layer.output)

    def replace(self, graph: onnx.GraphProto) -> None:
        """Put all that was written, as far as outputs depend on it, into a graph."""
        nodes = used_nodes(self._nodes, [output.name for output in graph.output])
        wanted = {name for node in nodes for name in all_inputs(node)}
        tensors = [*self._tensors.values(), *(tensor for tensor in graph.initializer if tensor.name in wanted)]
        del graph.node[:], graph.initializer[:]
        graph.node.extend(nodes)
        graph.initializer.extend(tensors)

    def _write_first(self, layer: Layer) -> None:
        """The layer before a GELU, and this: one for every group of what comes out."""
        source, after = self._factored(layer.input), self._after[layer.output]
        weight, bias = self._weights.read(layer.weight), self._weights.read(layer.bias)
        for number, group in enumerate(self._groups[after]):
            name = f"{layer.weight}.{number}"
            sums = self._product(source, weight[group], name)
            summed = self._node("Add", [sums, self._constant(f"{name}.bias", bias[group])], f"{name}.sum")
            self._node("Gelu", [summed], f"{after}.{number}", domain="com.microsoft")

    def _write_second(self, layer: Layer) -> None:
        """The layer after a GELU: the sum over all groups."""
        weight, total = self._weights.read(layer.weight), str(layer.node.input[2])
        groups = self._groups[layer.input]
        for number, group in enumerate(groups):
            moments = self._inputs[layer.input].moments[number]
            source = self._round(f"{layer.input}.{number}", AFTER_GELU, np.ones(len(group), np.float32), moments)
            sums = self._product(source, weight[:, group], f"{layer.weight}.{number}")
            last = number == len(groups) - 1
            total = self._node("Add", [sums, total], layer.output if last else f"{layer.weight}.{number}.total")

    def _factored(self, name: str) -> _Bytes:
        """A rounded input with factors, written when it is first asked for."""
        if name not in self._rounded:
            sharing = [layer for layer in self._layers.values() if layer.input == name]
            weight = np.concatenate([self._weights.read(layer.weight) for layer in sharing])
            inputs = self._inputs[name]
            factors = choose_factors(inputs, weight)
            moments = inputs.moments[0] / np.outer(factors, factors)
            even = name
            if not np.all(factors == 1):
                even = self._node("Mul", [name, self._constant(f"{name}.factors", 1 / factors)], f"{name}.even")
            self._rounded[name] = self._round(even, SIGNED, factors, moments)
        return self._rounded[name]

    def _round(self, name: str, levels: Levels, factors: FloatArray, moments: FloatArray) -> _Bytes:
        source = self._node("Abs", [name], f"{name}.abs") if levels.both_signs else name
        greatest = self._node("ReduceMax", [source], f"{name}.greatest", axes=[1], keepdims=1)
        least = self._constant(f"{levels.name}.least_size", np.float32(levels.least_size))
        sizes = self._node("Max", [greatest, least], f"{name}.sizes")
        shares = self._node("Div", [name, sizes], f"{name}.shares")
        written = self._node("QuantizeLinear", [shares, *self._step_and_zero(levels)], f"{name}.bytes")
        return _Bytes(levels, written, sizes, factors, rounding.Compensation.of(moments))

    def _product(self, source: _Bytes, weight: FloatArray, name: str) -> str:
        """W x, for the weight (N, K) as it is without factors."""
        levels, steps = rounding.round_weight(weight * source.factors, source.compensation)
        table = self._constant(f"{name}.levels", np.ascontiguousarray(levels.T))
        step, zero = self._step_and_zero(source.levels)
        inputs = [source.bytes, table, step, self._constant(f"{name}.steps", steps), zero]
        shares = self._node("MatMulIntegerToFloat", inputs, f"{name}.shares", domain="com.microsoft")
        return self._node("Mul", [shares, source.sizes], f"{name}.product")

    def _step_and_zero(self, levels: Levels) -> tuple[str, str]:
        step = self._constant(f"{levels.name}.step", np.float32(1 / levels.top))
        return step, self._constant(f"{levels.name}.zero", np.uint8(levels.zero))

    def _constant(self, name: str, value: np.ndarray | np.generic) -> str:
        self._tensors[name] = numpy_helper.from_array(np.asarray(value), name)
        return name

    def _node(self, operator: str, inputs: Sequence[str], output: str, **attributes: object) -> str:
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output


def used_nodes(nodes: Sequence[onnx.NodeProto], outputs: Sequence[str]) -> list[onnx.NodeProto]:
    """The nodes that outputs depend on: casts of weights that are integers now go."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if wanted & set(node.output):
            wanted |= all_inputs(node)
            kept.append(node)
    return kept[::-1]


def all_inputs(node: onnx.NodeProto) -> set[str]:
    """The tensors that a node takes, also those that the branches of a condition take from around it."""
    names = {name for name in node.input if name}
    branches = [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    return names.union(*(all_inputs(inner) for branch in branches for inner in branch.node)) if branches else names
