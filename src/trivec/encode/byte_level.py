"""Rebuilds the ``tokenizer.json`` of a byte-level byte-pair vocabulary whose texts are split as GPT-2's are.

Digits stand alone, as StarCoder's and SmolLM's do. Bytes are spelled by GPT-2's alphabet of printable characters; a
byte that the vocabulary lacks is left out of the text, as in the published tokenizers.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from trivec.encode.unigram import added_token


def tokenizer_json(pieces: Sequence[str], merges: Sequence[str], special_ids: Collection[int]) -> dict[str, Any]:
    """The content of a ``tokenizer.json`` for the ``tokenizers`` package.

    Args:
        pieces: text of every id.
        merges: pairs of pieces with a blank between them, the first to be joined first.
        special_ids: pieces that no text is ever split into.

    Raises:
        ValueError: a merge is no pair.
    """
    pairs = [merge.split(" ") for merge in merges]
    wrong = next((merge for merge, pair in zip(merges, pairs, strict=True) if len(pair) != 2), None)
    if wrong is not None:
        raise ValueError(f"the merge {wrong!r} is no pair of pieces")
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added_token(number, pieces[number]) for number in sorted(special_ids)],
        "normalizer": None,
        "pre_tokenizer": {
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": True}, _byte_level(add_prefix_space=False)],
        },
        "post_processor": None,
        "decoder": _byte_level(add_prefix_space=True),
        "model": {
            "type": "BPE",
            "dropout": None,
            "unk_token": None,
            "continuing_subword_prefix": None,
            "end_of_word_suffix": None,
            "fuse_unk": False,
            "byte_fallback": False,
            "ignore_merges": False,
            "vocab": {piece: number for number, piece in enumerate(pieces)},
            "merges": pairs,
        },
    }


def _byte_level(add_prefix_space: bool) -> dict[str, Any]:
    return {"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": True, "use_regex": True}
