"""Rebuilds an XLM-RoBERTa ``tokenizer.json`` from a unigram vocabulary.

The vocabulary, its scores and the special ids come from the packed model; SentencePiece's ``nmt_nfkc`` normaliser
table, which it does not hold, comes from the ``sentencepiece`` package.
"""

from __future__ import annotations

import base64
import io
from typing import Any


def tokenizer_json(pieces: list[tuple[str, float]], special: dict[str, int]) -> dict[str, Any]:
    """The content of a ``tokenizer.json`` for the ``tokenizers`` package.

    Args:
        pieces: text and score of every id.
        special: ids of ``<s>``, ``</s>``, ``<pad>`` and ``<unk>``; ``<mask>`` is the last piece of that name.
    """
    names = {number: name for name, number in special.items()}
    vocabulary = [[names.get(number, text), score] for number, (text, score) in enumerate(pieces)]
    mask = max(number for number, (text, _) in enumerate(vocabulary) if text == "<mask>")
    metaspace = {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [added_token(number, name) for number, name in sorted({**names, mask: "<mask>"}.items())],
        "normalizer": {
            "type": "Sequence",
            "normalizers": [
                {"type": "Precompiled", "precompiled_charsmap": _nmt_nfkc()},
                {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": " "},
            ],
        },
        "pre_tokenizer": metaspace,
        "post_processor": _template(special),
        "decoder": metaspace,
        "model": {"type": "Unigram", "unk_id": special["<unk>"], "vocab": vocabulary, "byte_fallback": False},
    }


def added_token(number: int, name: str) -> dict[str, Any]:
    """The entry of a special token in a ``tokenizer.json``."""
    flags = {
        "single_word": False,
        "lstrip": name == "<mask>",
        "rstrip": False,
        "normalized": False,
        "special": True,
    }
    return {"id": number, "content": name, **flags}


def _template(special: dict[str, int]) -> dict[str, Any]:
    """``<s> A </s>``, and ``<s> A </s></s> B </s>`` for pairs."""
    begin, end = ({"SpecialToken": {"id": name, "type_id": 0}} for name in ("<s>", "</s>"))
    first, second = ({"Sequence": {"id": name, "type_id": 0}} for name in "AB")
    tokens = {name: {"id": name, "ids": [special[name]], "tokens": [name]} for name in ("<s>", "</s>")}
    return {
        "type": "TemplateProcessing",
        "single": [begin, first, end],
        "pair": [begin, first, end, end, second, end],
        "special_tokens": tokens,
    }


def _nmt_nfkc() -> str:
    """The normaliser table in base64, taken out of a throw-away model that names the rule."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a b c d e f g h"] * 20),
        model_writer=written,
        vocab_size=14,
        model_type="unigram",
        normalization_rule_name="nmt_nfkc",
        hard_vocab_limit=False,
        minloglevel=2,
    )
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(written.getvalue())
    return base64.b64encode(model.normalizer_spec.precompiled_charsmap).decode()
