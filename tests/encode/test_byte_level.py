"""`tokenizer_json` rebuilds a tokenizer from its vocabulary and merges."""

from __future__ import annotations

import json

import pytest
from tokenizers import Tokenizer

from trivec.encode.byte_level import tokenizer_json

from tiny_gguf import SPECIAL, pieces_and_merges, trained_tokenizer

TEXTS = [
    "The capital of France is Paris.",
    "1234 numbers, 5 of them",
    "Die Hauptstadt heißt Öl",
    "北京、東京 столица مرحبا नमस्ते สวัสดี 한국어",
    "  two  blanks\n\nand\tmore ",
    "emoji 😀 ½ ①",
    "it's we'll I'd",
    "",
]


@pytest.fixture(scope="module")
def reference() -> Tokenizer:
    return trained_tokenizer()


@pytest.fixture(scope="module")
def rebuilt(reference: Tokenizer) -> Tokenizer:
    pieces, merges = pieces_and_merges(reference)
    return Tokenizer.from_str(json.dumps(tokenizer_json(pieces, merges, range(len(SPECIAL)))))


@pytest.mark.parametrize("text", TEXTS)
def test_ids_are_those_of_the_first_and_lead_back_to_the_text(
    rebuilt: Tokenizer, reference: Tokenizer, text: str
) -> None:
    ids = rebuilt.encode(text).ids
    assert ids == reference.encode(text).ids
    assert rebuilt.decode(ids) == text


def test_special_tokens(rebuilt: Tokenizer) -> None:
    assert rebuilt.encode("Yes<|im_end|>").tokens[-1] == "<|im_end|>"
    assert {token.content for token in rebuilt.get_added_tokens_decoder().values() if token.special} == set(SPECIAL)


def test_a_byte_that_the_vocabulary_lacks_is_left_out(reference: Tokenizer) -> None:
    pieces, _ = pieces_and_merges(reference)
    without = Tokenizer.from_str(json.dumps(tokenizer_json([p for p in pieces[:259] if p != "b"], [], range(3))))
    assert without.decode(without.encode("abc").ids) == "ac"


@pytest.mark.parametrize("merge", ["ab", "a b c", ""])
def test_a_merge_of_other_than_two_pieces_is_refused(merge: str) -> None:
    with pytest.raises(ValueError, match=f"the merge '{merge}' is no pair"):
        tokenizer_json(["a", "b"], ["a b", merge], [])
