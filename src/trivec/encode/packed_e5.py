"""Reads the packed multilingual-e5-small: 4-bit weights and a unigram vocabulary in one little-endian file.

magic "E5S1", u32 version
i32 hidden, layers, heads, ffn, vocab, max_positions, type_vocab; f32 layer-norm epsilon; i32 block (32)
i32 pieces, bos, eos, pad, unk; u64 blob length; u32[pieces + 1] offsets; f32[pieces] scores; blob
i32 normalisation rules, u32 bytes of them
i32 tensors; each: u16 length, name, u8 type (0 float32, 1 four-bit), u32 values, u64 offset, u64 bytes
a four-bit block: f16 scale, 16 bytes; byte j holds weight j (low nibble) and j + 16 (high nibble);
weight = (nibble - 8) * scale
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from trivec.encode.cursor import Cursor
from trivec.errors import CorruptModelError
from trivec.types import FloatArray

_BLOCK = 32
_BYTES: dict[int, Callable[[int], float]] = {0: lambda values: 4 * values, 1: lambda values: 18 * values / _BLOCK}
"""Bytes of a tensor by its type and number of values."""


@dataclass(frozen=True)
class PackedModel:
    """Sizes, vocabulary and tensors of a packed file.

    Raises:
        CorruptModelError: from `parse`, if the file is not one of these.
    """

    hidden: int
    layers: int
    heads: int
    inner: int
    vocabulary: int
    positions: int
    types: int
    epsilon: float
    pieces: list[tuple[str, float]]
    special: dict[str, int]
    data: bytes
    directory: dict[str, tuple[int, int, int]]

    @classmethod
    def parse(cls, data: bytes) -> PackedModel:
        """Read the directory of a packed file; tensors are unpacked when asked for."""
        try:
            return cls._parse(data)
        except (struct.error, ValueError, IndexError, UnicodeDecodeError) as error:
            raise CorruptModelError(f"the packed model cannot be read ({error}): fetch it again") from error

    @classmethod
    def _parse(cls, data: bytes) -> PackedModel:
        cursor = Cursor(data)
        if cursor.bytes(4) != b"E5S1" or cursor.take("I") != (1,):
            raise ValueError("it does not begin with E5S1 version 1")
        hidden, layers, heads, inner, vocabulary, positions, types = sizes = cursor.integers(7)
        if min(sizes) < 1:
            raise ValueError(f"its sizes are {sizes}")
        (epsilon,) = cursor.take("f")
        if cursor.integers(1) != [_BLOCK]:
            raise ValueError(f"its blocks do not hold {_BLOCK} weights")
        count, *special = cursor.integers(5)
        (blob_length,) = cursor.take("Q")
        offsets, scores = cursor.array("<u4", count + 1), cursor.array("<f4", count)
        blob = cursor.bytes(int(blob_length))
        texts = (blob[start:end].decode() for start, end in itertools.pairwise(offsets))
        pieces = [(text, float(score)) for text, score in zip(texts, scores, strict=True)]
        _, rule_bytes = cursor.take("iI")
        cursor.bytes(int(rule_bytes))
        return cls(
            hidden, layers, heads, inner, vocabulary, positions, types, float(f"{epsilon:.6g}"), pieces,
            dict(zip(("<s>", "</s>", "<pad>", "<unk>"), special, strict=True)), data, _read_directory(cursor),
        )  # fmt: skip

    def tensor(self, name: str, *shape: int) -> FloatArray:
        """A tensor as float32.

        Raises:
            CorruptModelError: it is missing or has another size.
        """
        kind, count, offset = self._place(name)
        if count != int(np.prod(shape)):
            raise CorruptModelError(f"the packed tensor {name} has {count} values, expected shape {shape}: fetch again")
        if kind == 0:
            return np.frombuffer(self.data, "<f4", count, offset).reshape(shape).copy()
        blocks = np.frombuffer(self.data, np.dtype([("scale", "<f2"), ("codes", "u1", 16)]), count // _BLOCK, offset)
        scale = blocks["scale"].astype(np.float32)[:, None]
        unpacked = np.empty((len(blocks), _BLOCK), np.float32)
        unpacked[:, :16] = ((blocks["codes"] & 15).astype(np.float32) - 8) * scale
        unpacked[:, 16:] = ((blocks["codes"] >> 4).astype(np.float32) - 8) * scale
        return unpacked.reshape(shape)

    def _place(self, name: str) -> tuple[int, int, int]:
        if name not in self.directory:
            raise CorruptModelError(f"the packed model lacks the tensor {name}: fetch it again")
        return self.directory[name]

    def bert_tensors(self) -> Iterator[tuple[str, FloatArray]]:
        """All weights under the names of a Hugging Face ``BertModel`` without pooler."""
        h, f = self.hidden, self.inner
        yield "embeddings.word_embeddings.weight", self.tensor("emb.word", self.vocabulary, h)
        yield "embeddings.position_embeddings.weight", self.tensor("emb.pos", self.positions, h)
        stored_types = max(self.types, self._place("emb.type")[1] // h)
        yield "embeddings.token_type_embeddings.weight", self.tensor("emb.type", stored_types, h)[: self.types]
        yield "embeddings.LayerNorm.weight", self.tensor("emb.ln.w", h)
        yield "embeddings.LayerNorm.bias", self.tensor("emb.ln.b", h)
        linears = (
            ("q", "attention.self.query", h, h), ("k", "attention.self.key", h, h),
            ("v", "attention.self.value", h, h), ("ao", "attention.output.dense", h, h),
            ("fi", "intermediate.dense", f, h), ("fo", "output.dense", h, f),
        )  # fmt: skip
        for layer in range(self.layers):
            source, target = f"l{layer}.", f"encoder.layer.{layer}."
            for short, name, rows, columns in linears:
                yield f"{target}{name}.weight", self.tensor(f"{source}{short}.w", rows, columns)
                yield f"{target}{name}.bias", self.tensor(f"{source}{short}.b", rows)
            for short, name in (("aln", "attention.output.LayerNorm"), ("oln", "output.LayerNorm")):
                yield f"{target}{name}.weight", self.tensor(f"{source}{short}.w", h)
                yield f"{target}{name}.bias", self.tensor(f"{source}{short}.b", h)

    def bert_config(self) -> dict[str, object]:
        """The ``config.json`` of that ``BertModel``."""
        return {
            "architectures": ["BertModel"],
            "model_type": "bert",
            "hidden_size": self.hidden,
            "num_hidden_layers": self.layers,
            "num_attention_heads": self.heads,
            "intermediate_size": self.inner,
            "hidden_act": "gelu",
            "vocab_size": self.vocabulary,
            "max_position_embeddings": self.positions,
            "type_vocab_size": self.types,
            "layer_norm_eps": self.epsilon,
            "position_embedding_type": "absolute",
            "attention_probs_dropout_prob": 0.1,
            "hidden_dropout_prob": 0.1,
            "initializer_range": 0.02,
            "bos_token_id": self.special["<s>"],
            "eos_token_id": self.special["</s>"],
            "pad_token_id": self.special["<pad>"],
            "dtype": "float32",
        }


def _read_directory(cursor: Cursor) -> dict[str, tuple[int, int, int]]:
    """Type, number of values and offset of each tensor, by name."""
    directory = {}
    (count,) = cursor.integers(1)
    for _ in range(count):
        (length,) = cursor.take("H")
        name = cursor.bytes(int(length)).decode()
        kind, values, offset, size = (int(value) for value in cursor.take("BIQQ"))
        if kind not in _BYTES or size != _BYTES[kind](values):
            raise ValueError(f"the tensor {name} of type {kind} has {size} bytes for {values} values")
        if offset + size > len(cursor.data):
            raise ValueError(f"the tensor {name} ends behind the file's end")
        directory[name] = (kind, values, offset)
    return directory
