"""A tiny file in the format of the packed weights that the default model is made of."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterator

import numpy as np

import tiny_vocabularies

HIDDEN, LAYERS, HEADS, INNER, POSITIONS = 160, 1, 4, 64, 512
SPECIAL = {"<s>": 0, "</s>": 2, "<pad>": 1, "<unk>": 3}


def tensor_shapes(vocabulary: int) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Packed names; matrices, but for positions and types, are stored in four bits."""
    yield "emb.word", (vocabulary, HIDDEN)
    yield "emb.pos", (POSITIONS, HIDDEN)
    yield "emb.type", (2, HIDDEN)
    yield from ((f"emb.ln.{part}", (HIDDEN,)) for part in "wb")
    for layer in range(LAYERS):
        for name in ("q", "k", "v", "ao"):
            yield from ((f"l{layer}.{name}.w", (HIDDEN, HIDDEN)), (f"l{layer}.{name}.b", (HIDDEN,)))
        yield from ((f"l{layer}.fi.w", (INNER, HIDDEN)), (f"l{layer}.fi.b", (INNER,)))
        yield from ((f"l{layer}.fo.w", (HIDDEN, INNER)), (f"l{layer}.fo.b", (HIDDEN,)))
        yield from ((f"l{layer}.{norm}.{part}", (HIDDEN,)) for norm in ("aln", "oln") for part in "wb")


def pack_four_bits(values: np.ndarray) -> tuple[bytes, np.ndarray]:
    """Blocks of 32 values, and what is left of the values after rounding."""
    packed, rounded = bytearray(), []
    for block in values.reshape(-1, 32):
        scale = np.float16(np.abs(block).max() / 7)
        codes = [int(code) for code in np.clip(np.round(block / scale), -8, 7) + 8]
        packed += struct.pack("<e", scale) + bytes(codes[j] | codes[j + 16] << 4 for j in range(16))
        rounded += [(code - 8) * np.float32(scale) for code in codes]
    return bytes(packed), np.asarray(rounded, np.float32).reshape(values.shape)


def write_packed(lost: str = "", version: int = 1, block: int = 32) -> tuple[bytes, dict[str, np.ndarray]]:
    """A file in the format that `packed_e5` describes, and its tensors. ``lost`` is left out."""
    pieces = tiny_vocabularies.unigram_vocabulary()
    vocabulary, random = len(pieces) + 3, np.random.RandomState(0)
    tensors, stored = {}, {}
    for name, shape in tensor_shapes(vocabulary):
        values = random.uniform(-0.5, 0.5, shape).astype(np.float32)
        if name.endswith("ln.w"):
            values += 1
        four_bits = len(shape) == 2 and name not in ("emb.pos", "emb.type")
        data, tensors[name] = pack_four_bits(values) if four_bits else (values.tobytes(), values)
        stored[name] = (int(four_bits), values.size, data)
    stored.pop(lost, None)
    texts = [text.encode() for text, _ in pieces]
    sizes = (HIDDEN, LAYERS, HEADS, INNER, vocabulary, POSITIONS, 1)
    head = b"E5S1" + struct.pack("<I7ifi", version, *sizes, 1e-12, block)
    head += struct.pack("<5iQ", len(pieces), *SPECIAL.values(), sum(map(len, texts)))
    head += np.cumsum([0, *map(len, texts)]).astype("<u4").tobytes()
    head += np.array([score for _, score in pieces], "<f4").tobytes() + b"".join(texts)
    head += struct.pack("<iI", 2, 5) + b"rules" + struct.pack("<i", len(stored))
    start = len(head) + sum(2 + len(name) + 21 for name in stored)
    ends = itertools.accumulate((len(data) for _, _, data in stored.values()), initial=start)
    for (name, (kind, count, data)), offset in zip(stored.items(), ends, strict=False):
        head += struct.pack("<H", len(name)) + name.encode() + struct.pack("<BIQQ", kind, count, offset, len(data))
    return head + b"".join(data for _, _, data in stored.values()), tensors
