"""What ONNX graphs of encoders are made of: nodes, constants, and weights that stay in the model's own file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from trivec.encode.checkpoints import plain
from trivec.encode.checkpoints.checkpoint import Checkpoint
from trivec.encode.checkpoints.weights import WEIGHTS_FILE
from trivec.errors import CorruptModelError
from trivec.tensorfile import TensorPlace, read_header

_PREFIXES = ("", "bert.", "roberta.", "model.", "0.auto_model.")
_ONNX_TYPES = {"F32": TensorProto.FLOAT, "F16": TensorProto.FLOAT16, "BF16": TensorProto.BFLOAT16}


class GraphParts:
    """Collects nodes and initialisers. Methods return the name of the tensor they make."""

    def __init__(self, checkpoint: Checkpoint) -> None:
        self.checkpoint = checkpoint
        self.config = checkpoint.config
        self.config_path = checkpoint.folder / plain.CONFIG_FILE
        self.path = checkpoint.folder / WEIGHTS_FILE
        self.places, _ = read_header(self.path)
        self.prefix = _find_prefix(self.places, self.path)
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.known: set[str] = set()

    def node(self, operator: str, *inputs: str, domain: str = "", **attributes: object) -> str:
        """The first output of a new node."""
        name = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], name=name, domain=domain, **attributes))
        return name

    def constant(self, name: str, value: NDArray[np.generic]) -> str:
        """An array that the graph itself holds, once however often it is asked for."""
        if name not in self.known:
            self.known.add(name)
            self.initializers.append(numpy_helper.from_array(np.asarray(value, order="C"), name))
        return name

    def number(self, key: str) -> int:
        """A size that the configuration must give."""
        return plain.whole_number(self.config_path, self.config, key)

    def stored(self, name: str, *shape: int) -> str:
        """A weight of the backbone, as stored: a byte range of the weights file."""
        place = self.places.get(self.prefix + name)
        if place is None:
            raise CorruptModelError(f"{self.path}: the weight {name} is missing: fetch the model again")
        if place.dtype not in _ONNX_TYPES or place.shape != shape:
            raise CorruptModelError(
                f"{self.path}: the weight {name} has type {place.dtype} and shape {place.shape}, while "
                f"{plain.CONFIG_FILE} asks for floating-point numbers of shape {shape}: fetch the model again"
            )
        if name not in self.known:
            self.known.add(name)
            self.initializers.append(_external(name, place))
        return name

    def weight(self, name: str, *shape: int) -> str:
        """A weight of the backbone as float32."""
        return self.as_float(self.stored(name, *shape), self.places[self.prefix + name])

    def as_float(self, tensor: str, place: TensorPlace) -> str:
        """A stored weight, or rows of it, as float32."""
        return tensor if place.dtype == "F32" else self.node("Cast", tensor, to=TensorProto.FLOAT)


def _find_prefix(places: Mapping[str, TensorPlace], path: Path) -> str:
    for prefix in _PREFIXES:
        if f"{prefix}embeddings.word_embeddings.weight" in places:
            return prefix
    raise CorruptModelError(f"{path} holds no word embeddings under a known name: it is no BERT-like encoder")


def _external(name: str, place: TensorPlace) -> onnx.TensorProto:
    tensor = TensorProto()
    tensor.name = name
    tensor.data_type = _ONNX_TYPES[place.dtype]
    tensor.dims.extend(place.shape)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", WEIGHTS_FILE), ("offset", place.offset), ("length", place.length)):
        entry = tensor.external_data.add()
        entry.key, entry.value = key, str(value)
    return tensor
