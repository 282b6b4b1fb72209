"""An encoder as an ONNX graph, made from its ``config.json`` and a safetensors file, without torch.

BERT and XLM-RoBERTa are one architecture with different position offsets, so one builder serves both. The graph
holds no copy of the weights: each initialiser names a byte range of the model's own safetensors file, which ONNX
Runtime maps into memory. All heads are outputs of the same graph:

    input_ids (B, L) int64, attention_mask (B, L) int32
      -> dense (B, D)    token_weights (B, L)    token_vectors (B, L, C)

Linear layers run on the (B * L, d) matrix of all tokens; only attention sees the (B, L, d) shape. Attention and GELU
are ONNX Runtime's fused operators (domain ``com.microsoft``). Its attention works tile by tile, without an array of
L x L numbers a head, only where it is given no mask. So the graph looks whether the batch has any padding, and hands
the mask on only then. Its fused residual layer norm takes several times as long as adding and normalising.
"""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto, helper

from trivec.encode.checkpoints import plain
from trivec.encode.checkpoints.checkpoint import Checkpoint, DenseModule, Linear
from trivec.encode.checkpoints.weights import WEIGHTS_FILE
from trivec.encode.onnx_parts import GraphParts
from trivec.encode.runtime import GRAPH_EDITION
from trivec.errors import ModelError

_OPSET = 17
_IR_VERSION = 8


def unsupported_reason(checkpoint: Checkpoint) -> str | None:
    """Why this builder cannot make a graph of the model, or None if it can."""
    config = checkpoint.config
    if config.get("model_type") not in ("bert", "xlm-roberta", "roberta"):
        return f"its architecture is {config.get('model_type')!r}"
    if config.get("hidden_act", "gelu") != "gelu":
        return f"its activation is {config['hidden_act']!r}"
    if config.get("position_embedding_type", "absolute") != "absolute":
        return f"its positions are {config['position_embedding_type']!r}"
    if not (checkpoint.folder / WEIGHTS_FILE).is_file():
        return f"it has no {WEIGHTS_FILE}"
    return None


def build_graph(checkpoint: Checkpoint, states: bool = False) -> onnx.ModelProto:
    """The graph of a checkpoint; weights stay in ``checkpoint.folder / WEIGHTS_FILE``.

    With ``states`` it has one more output, ``token_states`` (B, L, hidden): the last hidden states.

    Raises:
        ModelError: the architecture is not one of those above.
        CorruptModelError: a weight is missing, or does not have the shape that ``config.json`` gives it.
    """
    reason = unsupported_reason(checkpoint)
    if reason:
        raise ModelError(f"no ONNX graph can be made of {checkpoint.name} ({reason}): load it with runtime='torch'")
    return _Builder(checkpoint).build(states)


class _Builder(GraphParts):
    """The encoder and its heads."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(checkpoint)
        self.width = checkpoint.hidden_size
        self.inner_width = self.number("intermediate_size")
        self.attention_heads = self.number("num_attention_heads")
        if self.width % self.attention_heads:
            raise plain.unexpected(
                self.config_path, f"has {self.attention_heads} attention heads for a hidden_size of {self.width}"
            )

    @property
    def epsilon(self) -> float:
        value = self.config.get("layer_norm_eps", 1e-12)
        if not isinstance(value, float) or not 0 < value < 1:
            raise plain.unexpected(
                self.config_path, f"has {value!r} for layer_norm_eps, where a small number should be"
            )
        return value

    # -- the encoder ----------------------------------------------------------------------------------------

    def build(self, states: bool) -> onnx.ModelProto:
        shape_BL = self.node("Shape", "input_ids")
        self.shape_BLD = self.node("Concat", shape_BL, self.constant("width", np.array([self.width])), axis=0)
        self.shape_TD = self.constant("shape_TD", np.array([-1, self.width]))
        self.shape_BL = shape_BL
        self.whole = self.node("Cast", self.node("ReduceMin", "attention_mask", keepdims=0), to=TensorProto.BOOL)
        tokens_TD = self.embed()
        for layer in range(self.number("num_hidden_layers")):
            tokens_TD = self.layer(tokens_TD, f"encoder.layer.{layer}.")
        outputs = [self.dense_output(tokens_TD)]
        if self.checkpoint.sparse is not None:
            outputs.append(self.token_weights_output(tokens_TD, self.checkpoint.sparse))
        if self.checkpoint.multi is not None:
            outputs.append(self.token_vectors_output(tokens_TD, self.checkpoint.multi.linear))
        if states:
            outputs.append(self.named(self.node("Reshape", tokens_TD, self.shape_BLD), "token_states"))
        return self.model(outputs)

    def embed(self) -> str:
        words = self.stored("embeddings.word_embeddings.weight", self.number("vocab_size"), self.width)
        place = self.places[self.prefix + words]
        words_BLD = self.as_float(self.node("Gather", words, "input_ids"), place)
        offset = plain.position_offset(self.config_path, self.config)
        length = self.node(
            "Slice", self.shape_BL, self.constant("one", np.array([1])), self.constant("two", np.array([2]))
        )
        first = self.constant("first_position", np.array([offset]))
        last = self.node("Add", length, first)
        positions_LD = self.node(
            "Slice",
            self.weight("embeddings.position_embeddings.weight", self.number("max_position_embeddings"), self.width),
            first,
            last,
            self.constant("axis0", np.array([0])),
        )
        types = self.weight("embeddings.token_type_embeddings.weight", self.number("type_vocab_size"), self.width)
        summed = self.node("Add", words_BLD, self.node("Add", positions_LD, self.node("Gather", types, self.types())))
        scale, shift = self.norm_weights("embeddings.LayerNorm")
        normed = self.node("LayerNormalization", summed, scale, shift, axis=-1, epsilon=self.epsilon)
        return self.node("Reshape", normed, self.shape_TD)

    def types(self) -> str:
        """0 for tokens of a first text and 1 for those of a second (B, L), or a single 0."""
        if self.checkpoint.separator is None:
            return self.constant("zero", np.array(0))
        ends = self.node("Equal", "input_ids", self.constant("separator", np.array(self.checkpoint.separator)))
        axis = self.constant("along_text", np.array(1))
        ended = self.node("CumSum", self.node("Cast", ends, to=TensorProto.INT64), axis, exclusive=1)
        return self.node("Min", ended, self.constant("second_text", np.array(1)))

    def layer(self, tokens_TD: str, name: str) -> str:
        d, f = self.width, self.inner_width
        query, key, value = (
            self.node("Reshape", self.linear(tokens_TD, f"{name}attention.self.{part}", d, d), self.shape_BLD)
            for part in ("query", "key", "value")
        )
        attended = self.attention(query, key, value)
        attended_TD = self.linear(self.node("Reshape", attended, self.shape_TD), f"{name}attention.output.dense", d, d)
        tokens_TD = self.add_and_norm(attended_TD, tokens_TD, f"{name}attention.output.LayerNorm")
        inner = self.node("Gelu", self.linear(tokens_TD, f"{name}intermediate.dense", f, d), domain="com.microsoft")
        return self.add_and_norm(self.linear(inner, f"{name}output.dense", d, f), tokens_TD, f"{name}output.LayerNorm")

    def linear(self, tokens: str, name: str, width_out: int, width_in: int) -> str:
        weight, bias = self.weight(f"{name}.weight", width_out, width_in), self.weight(f"{name}.bias", width_out)
        return self.node("Gemm", tokens, weight, bias, transB=1)

    def norm_weights(self, name: str) -> tuple[str, str]:
        return self.weight(f"{name}.weight", self.width), self.weight(f"{name}.bias", self.width)

    def add_and_norm(self, new: str, residual: str, name: str) -> str:
        scale, shift = self.norm_weights(name)
        return self.node(
            "LayerNormalization", self.node("Add", new, residual), scale, shift, axis=-1, epsilon=self.epsilon
        )

    def attention(self, query_BLD: str, key_BLD: str, value_BLD: str) -> str:
        """Attention of all heads, by the kernel without mask where no row is padded."""
        name = f"If_{len(self.nodes)}"
        branches = {
            branch: self.attention_branch(f"{name}_{branch}", query_BLD, key_BLD, value_BLD, *mask)
            for branch, mask in (("then_branch", ()), ("else_branch", ("", "attention_mask")))
        }
        self.nodes.append(helper.make_node("If", [self.whole], [name], name=name, **branches))
        return name

    def attention_branch(self, name: str, *inputs: str) -> onnx.GraphProto:
        node = helper.make_node(
            "MultiHeadAttention", inputs, [name], name=name, domain="com.microsoft", num_heads=self.attention_heads
        )
        return helper.make_graph([node], name, [], [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)])

    # -- the heads ------------------------------------------------------------------------------------------

    def dense_output(self, tokens_TD: str) -> str:
        pooled = self.pool(self.node("Reshape", tokens_TD, self.shape_BLD))
        for index, module in enumerate(self.checkpoint.dense_modules):
            pooled = self.dense_module(pooled, module, f"dense_{index}")
        return self.named(self.unit_rows(pooled) if self.checkpoint.normalize else pooled, "dense")

    def dense_module(self, pooled: str, module: DenseModule, name: str) -> str:
        result = self.head(pooled, module.linear, name)
        return self.node("Tanh", result) if module.activation == "tanh" else result

    def token_weights_output(self, tokens_TD: str, linear: Linear) -> str:
        weights = self.node("Relu", self.head(tokens_TD, linear, "sparse"))
        return self.named(self.node("Reshape", weights, self.shape_BL), "token_weights")

    def token_vectors_output(self, tokens_TD: str, linear: Linear | None) -> str:
        vectors = tokens_TD if linear is None else self.head(tokens_TD, linear, "multi")
        width = self.constant("multi_width", np.array([self.checkpoint.multi_width]))
        shape = self.node("Concat", self.shape_BL, width, axis=0)
        return self.named(self.node("Reshape", self.unit_rows(vectors), shape), "token_vectors")

    def pool(self, hidden_BLD: str) -> str:
        if self.checkpoint.pooling == "cls":
            return self.node("Gather", hidden_BLD, self.constant("zero", np.array(0)), axis=1)
        mask_BL = self.node("Cast", "attention_mask", to=TensorProto.FLOAT)
        mask_BL1 = self.node("Unsqueeze", mask_BL, self.constant("last_axis", np.array([-1])))
        if self.checkpoint.pooling == "max":
            kept = self.node("Where", self.node("Cast", mask_BL1, to=TensorProto.BOOL), hidden_BLD,
                             self.constant("lowest", np.array(-3.4e38, np.float32)))  # fmt: skip
            return self.node("ReduceMax", kept, axes=[1], keepdims=0)
        axis = self.constant("sequence_axis", np.array([1]))
        if self.checkpoint.pooling == "last":
            mask_BL1 = self.last_position(mask_BL)
        total = self.node("ReduceSum", self.node("Mul", hidden_BLD, mask_BL1), axis, keepdims=0)
        return self.node("Div", total, self.node("ReduceSum", mask_BL1, axis, keepdims=0))

    def last_position(self, mask_BL: str) -> str:
        """A mask (B, L, 1) of the last real token alone: the difference of the mask and itself moved left."""
        zero = self.constant("no_padding", np.array(0.0, np.float32))
        pads = self.constant("shift_pads", np.array([0, 0, 0, 1]))
        longer = self.node("Pad", mask_BL, pads, zero)
        one, far = self.constant("one", np.array([1])), self.constant("far", np.array([1 << 60]))
        moved = self.node("Slice", longer, one, far, self.constant("sequence_axis", np.array([1])))
        return self.node("Unsqueeze", self.node("Sub", mask_BL, moved), self.constant("last_axis", np.array([-1])))

    def head(self, tokens: str, linear: Linear, name: str) -> str:
        weight = self.constant(f"{name}.weight", np.asarray(linear.weight, np.float32))
        bias = np.zeros(linear.width) if linear.bias is None else linear.bias
        return self.node("Gemm", tokens, weight, self.constant(f"{name}.bias", np.asarray(bias, np.float32)), transB=1)

    def unit_rows(self, rows: str) -> str:
        length = self.node("ReduceL2", rows, axes=[-1], keepdims=1)
        return self.node("Div", rows, self.node("Max", length, self.constant("tiny", np.array(1e-12, np.float32))))

    def named(self, tensor: str, name: str) -> str:
        self.nodes.append(helper.make_node("Identity", [tensor], [name], name=name))
        return name

    def model(self, outputs: list[str]) -> onnx.ModelProto:
        shapes = {
            "dense": ["B", self.checkpoint.dense_width],
            "token_weights": ["B", "L"],
            "token_vectors": ["B", "L", self.checkpoint.multi_width],
            "token_states": ["B", "L", self.width],
        }
        graph = helper.make_graph(
            self.nodes,
            "trivec_encoder",
            [
                helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["B", "L"]),
                helper.make_tensor_value_info("attention_mask", TensorProto.INT32, ["B", "L"]),
            ],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[name]) for name in outputs],
            self.initializers,
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid("com.microsoft", 1)]
        return helper.make_model(
            graph,
            opset_imports=opsets,
            producer_name="trivec",
            producer_version=GRAPH_EDITION,
            ir_version=_IR_VERSION,
        )
