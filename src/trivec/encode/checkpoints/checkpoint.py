"""`Checkpoint`: what a model folder says, whatever its layout."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from trivec.encode.sparse_terms import SparseTerms
from trivec.errors import CorruptModelError, ModelError
from trivec.types import FloatArray, Head

Pooling: TypeAlias = Literal["cls", "mean", "max", "last"]
Activation: TypeAlias = Literal["identity", "tanh"]
Precision: TypeAlias = Literal["float32", "int8"]


@dataclass(frozen=True, eq=False)
class Linear:
    """y = W x + b, with W of shape (out, in)."""

    weight: FloatArray
    bias: FloatArray | None = None

    @property
    def width(self) -> int:
        """Size of the output."""
        return int(self.weight.shape[0])

    @property
    def digest(self) -> str:
        """Eight hexadecimal digits over the numbers."""
        content = hashlib.sha256(np.ascontiguousarray(self.weight, np.float32).tobytes())
        if self.bias is not None:
            content.update(np.ascontiguousarray(self.bias, np.float32).tobytes())
        return content.hexdigest()[:8]

    def check(self, what: str, inputs: int, outputs: int | None = None, source: str = "a backbone") -> None:
        """Refuse a layer that cannot be applied to vectors of width ``inputs``.

        Raises:
            CorruptModelError: the weight is not (``outputs``, ``inputs``), with any number of outputs if None, or the
                bias is not as long as the output.
        """
        shape, bias = self.weight.shape, None if self.bias is None else self.bias.shape
        whole = len(shape) == 2 and shape[0] > 0 and bias in (None, shape[:1])
        if not whole or shape[1] != inputs or outputs not in (None, shape[0]):
            beside = "" if bias is None else f"a bias of shape {bias} and "
            raise CorruptModelError(
                f"{what} has {beside}a weight of shape {shape}, which does not fit {source} of width {inputs}: the "
                "files belong to different models, fetch them again"
            )


@dataclass(frozen=True, eq=False)
class DenseModule:
    """A layer after pooling, as sentence-transformers folders have them."""

    linear: Linear
    activation: Activation = "identity"


@dataclass(frozen=True, eq=False)
class MultiHead:
    """How hidden states become multi-vectors.

    ``linear`` is None when the raw states are used. ``seed`` is that of the random projection of a training-free
    head, and None for a trained one.
    """

    linear: Linear | None
    seed: int | None = None

    @property
    def origin(self) -> str:
        """Whether training made it, in words."""
        if self.seed is None:
            return "trained"
        return "training-free, " + ("raw states" if self.linear is None else f"orthogonal projection, seed {self.seed}")


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A backbone on disk, and how its hidden states become dense, sparse and multi-vectors.

    Attributes:
        folder: holds ``config.json``, the weights and ``tokenizer.json``.
        config: the content of ``config.json``.
        pooling: which hidden states make the dense vector.
        normalize: whether the dense vector is scaled to unit length.
        dense_modules: layers between pooling and normalisation.
        sparse: weights of the lexical head (1, d), or None.
        multi: the multi-vector head, or None.
        max_length: tokens per text, special tokens included.
        lowercase: whether texts are lower-cased before the tokenizer's own normaliser.
        sparse_terms: which terms the lexical head weighs, see `trivec.encode.sparse_terms`.
        precision: of the linear layers: ``int8`` for a quantised model, see `trivec.encode.quantization`.
        separator: the token after which a second text begins, for models that read two texts and embed which of both a
            token is in; None for all others.
        settings: defaults that came with the model, such as its fusion for hybrid search.
        loaded_by: the arguments of `trivec.load` that gave it, for those who want it again.
    """

    folder: Path
    layout: str
    name: str
    config: Mapping[str, object]
    pooling: Pooling = "cls"
    normalize: bool = True
    dense_modules: tuple[DenseModule, ...] = ()
    sparse: Linear | None = None
    multi: MultiHead | None = None
    query_prompt: str = ""
    document_prompt: str = ""
    max_length: int = 512
    lowercase: bool = False
    sparse_terms: SparseTerms = "cased"
    precision: Precision = "float32"
    separator: int | None = None
    settings: Mapping[str, object] = field(default_factory=dict)
    loaded_by: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.pooling not in get_args(Pooling):
            raise ModelError(
                f"{self.folder} asks for pooling {self.pooling!r}, which is not known: use one of "
                f"{', '.join(get_args(Pooling))}"
            )

    @property
    def hidden_size(self) -> int:
        """Width of the backbone."""
        return int(str(self.config["hidden_size"]))

    @property
    def dense_width(self) -> int:
        """Width of the dense vector."""
        return self.dense_modules[-1].linear.width if self.dense_modules else self.hidden_size

    @property
    def multi_width(self) -> int | None:
        """Width of the multi-vectors, or None without the head."""
        if self.multi is None:
            return None
        return self.hidden_size if self.multi.linear is None else self.multi.linear.width

    @property
    def trained_multi(self) -> Linear | None:
        """The multi-vector layer that training made, or None if there is none or the head is training-free."""
        return None if self.multi is None or self.multi.seed is not None else self.multi.linear

    @property
    def tokenizer_file(self) -> Path:
        """The ``tokenizer.json`` of the folder."""
        return self.folder / "tokenizer.json"

    def describe_heads(self) -> dict[Head, str]:
        """How each head is made, in a few words that change whenever its vectors would."""
        dense = [str(self.dense_width), self.pooling, "normalized" if self.normalize else "not normalized"]
        dense += [f"{module.activation} {module.linear.digest}" for module in self.dense_modules]
        heads: dict[Head, str] = {"dense": ", ".join(dense)}
        if self.sparse is not None:
            folded = ", terms of the lower-cased text" if self.sparse_terms == "folded" else ""
            heads["sparse"] = f"trained {self.sparse.digest}{folded}"
        if self.multi is not None:
            mark = f" {self.multi.linear.digest}" if self.multi.linear is not None else ""
            heads["multi"] = f"{self.multi_width}, {self.multi.origin}{mark}"
        heads["terms"] = "subwords of the lower-cased text"
        if self.lowercase:
            heads = {head: f"{description}, lower-cased" for head, description in heads.items()}
        return heads
