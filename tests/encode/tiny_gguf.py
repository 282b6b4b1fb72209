"""GGUF files as small as a test wants them.

write_gguf(entries, tensors)    any file
pack_four_bits(values)          values in blocks of type Q4_1, and what is left of them
tiny_llama()                    a whole Llama with a byte-level vocabulary
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

F32, Q4_1, Q8_0 = 0, 3, 8
HIDDEN, INNER, LAYERS, HEADS, KEY_HEADS = 64, 96, 2, 4, 2
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CORPUS = [
    "The capital of France is Paris, and 1234 is a number. Yes or No?",
    "Yes",
    "Die Hauptstadt heißt Äpfel und Öl",
    "北京、東京 столица مرحبا",
] * 20

Packed = tuple[Sequence[int], int, bytes]
"""Dimensions, the fastest first; block type; blocks."""


def write_gguf(
    entries: Mapping[str, Any], tensors: Mapping[str, Packed], version: int = 3, alignment: int = 32
) -> bytes:
    """A file; whole numbers are written as u32, lists by the kind of their first value."""
    file = b"GGUF" + struct.pack("<IQQ", version, len(tensors), len(entries))
    for key, value in entries.items():
        file += _text(key) + _entry(value)
    places, data = b"", b""
    for name, (dimensions, block_type, blocks) in tensors.items():
        data += bytes(-len(data) % alignment)
        shape = struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions)
        places += _text(name) + shape + struct.pack("<IQ", block_type, len(data))
        data += blocks
    file += places
    return file + bytes(-len(file) % alignment) + data


def _text(text: str) -> bytes:
    return struct.pack("<Q", len(text.encode())) + text.encode()


def _entry(value: Any) -> bytes:
    if isinstance(value, list):
        parts = [_entry(item) for item in value]
        return struct.pack("<I", 9) + parts[0][:4] + struct.pack("<Q", len(parts)) + b"".join(p[4:] for p in parts)
    if isinstance(value, bool):
        return struct.pack("<I?", 7, value)
    if isinstance(value, str):
        return struct.pack("<I", 8) + _text(value)
    return struct.pack("<If", 6, value) if isinstance(value, float) else struct.pack("<II", 4, value)


def pack_float32(values: np.ndarray) -> Packed:
    return values.shape[::-1], F32, values.astype("<f4").tobytes()


def pack_four_bits(values: np.ndarray) -> tuple[Packed, np.ndarray]:
    """Blocks of 32 values, and what is left of the values after rounding."""
    packed, rounded = bytearray(), []
    for block in values.reshape(-1, 32):
        scale, least = np.float16((block.max() - block.min()) / 15), np.float16(block.min())
        codes = [int(code) for code in np.clip(np.round((block - least) / scale), 0, 15)]
        packed += struct.pack("<ee", scale, least) + bytes(codes[j] | codes[j + 16] << 4 for j in range(16))
        rounded += [code * np.float32(scale) + np.float32(least) for code in codes]
    return (values.shape[::-1], Q4_1, bytes(packed)), np.asarray(rounded, np.float32).reshape(values.shape)


def trained_tokenizer() -> Tokenizer:
    """Byte-level, digits alone, with special tokens first."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def pieces_and_merges(tokenizer: Tokenizer) -> tuple[list[str], list[str]]:
    """As a GGUF file has them."""
    import json

    model = json.loads(tokenizer.to_str())["model"]
    return sorted(model["vocab"], key=model["vocab"].get), [" ".join(pair) for pair in model["merges"]]


def tiny_llama(**changes: Any) -> tuple[dict[str, Any], dict[str, Packed], dict[str, np.ndarray]]:
    """Entries, tensors, and the weights that a stock Llama should get, in transformers' order of rows.

    Args:
        changes: other values of entries, by key.
    """
    pieces, merges = pieces_and_merges(trained_tokenizer())
    entries: dict[str, Any] = {
        "general.architecture": "llama",
        "llama.block_count": LAYERS,
        "llama.context_length": 512,
        "llama.embedding_length": HIDDEN,
        "llama.feed_forward_length": INNER,
        "llama.attention.head_count": HEADS,
        "llama.attention.head_count_kv": KEY_HEADS,
        "llama.rope.freq_base": 100000.0,
        "llama.rope.dimension_count": HIDDEN // HEADS,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "smollm",
        "tokenizer.ggml.tokens": pieces,
        "tokenizer.ggml.token_type": [3] * len(SPECIAL) + [1] * (len(pieces) - len(SPECIAL)),
        "tokenizer.ggml.merges": merges,
        "tokenizer.ggml.bos_token_id": 1,
        "tokenizer.ggml.eos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 0,
        "tokenizer.ggml.padding_token_id": 2,
        "tokenizer.chat_template": "{{ messages }}",
    }
    random, tensors, weights = np.random.RandomState(0), {}, {}
    for name, stock, shape in _llama_shapes(len(pieces)):
        values = random.uniform(-0.5, 0.5, shape).astype(np.float32)
        if len(shape) == 1:
            values += 1
            tensors[name], rounded = pack_float32(values), values
        else:
            tensors[name], rounded = pack_four_bits(values)
        weights[stock] = _stock_rows(name, rounded).astype(np.float16)
    return entries | changes, tensors, weights


def _llama_shapes(vocabulary: int) -> list[tuple[str, str, tuple[int, ...]]]:
    keys = HIDDEN // HEADS * KEY_HEADS
    shapes: list[tuple[str, str, tuple[int, ...]]] = [
        ("token_embd.weight", "model.embed_tokens.weight", (vocabulary, HIDDEN)),
        ("output_norm.weight", "model.norm.weight", (HIDDEN,)),
    ]
    for layer in range(LAYERS):
        parts = [
            ("attn_norm", "input_layernorm", (HIDDEN,)),
            ("attn_q", "self_attn.q_proj", (HIDDEN, HIDDEN)),
            ("attn_k", "self_attn.k_proj", (keys, HIDDEN)),
            ("attn_v", "self_attn.v_proj", (keys, HIDDEN)),
            ("attn_output", "self_attn.o_proj", (HIDDEN, HIDDEN)),
            ("ffn_norm", "post_attention_layernorm", (HIDDEN,)),
            ("ffn_gate", "mlp.gate_proj", (INNER, HIDDEN)),
            ("ffn_up", "mlp.up_proj", (INNER, HIDDEN)),
            ("ffn_down", "mlp.down_proj", (HIDDEN, INNER)),
        ]
        shapes += [(f"blk.{layer}.{a}.weight", f"model.layers.{layer}.{b}.weight", shape) for a, b, shape in parts]
    return shapes


def _stock_rows(name: str, values: np.ndarray) -> np.ndarray:
    """Row by row: the i-th pair of a head's rows becomes its rows i and i + half."""
    if not name.endswith(("attn_q.weight", "attn_k.weight")):
        return values
    width = HIDDEN // HEADS
    found = np.empty_like(values)
    for start in range(0, len(values), width):
        for pair in range(width // 2):
            found[start + pair] = values[start + 2 * pair]
            found[start + width // 2 + pair] = values[start + 2 * pair + 1]
    return found
