from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec.encode.tokenizer import TextTokenizer
from trivec.search.words import WordWeight, weigh_words

from tiny_tokenizers import byte_level, unigram, wordpiece

TOKENIZERS = [unigram(), wordpiece(), byte_level()]


def words_of(text: str, tokenizer: TextTokenizer) -> list[str]:
    return [word.text for word in weigh_words(text, tokenizer.pieces([text])[0], {})]


@pytest.mark.parametrize("tokenizer", TOKENIZERS, ids=["unigram", "wordpiece", "byte_level"])
@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The unbelievable  the.", ["The", "unbelievable", "the", "."]),
        (" the,the ", ["the", ",", "the"]),
        ("über straße", ["über", "straße"]),
        ("привет мир", ["привет", "мир"]),
        ("مرحبا بالعالم", ["مرحبا", "بالعالم"]),
        ("안녕하세요 세계", ["안녕하세요", "세계"]),
    ],
)
def test_words_with_spaces_between_them(tokenizer: TextTokenizer, text: str, words: list[str]) -> None:
    assert words_of(text, tokenizer) == words


def test_pieces_are_the_words_of_scripts_without_spaces() -> None:
    assert words_of("東京大学", TOKENIZERS[0]) == ["東京", "大学"]
    assert words_of("ภาษาไทย", TOKENIZERS[0]) == ["ภาษา", "ไทย"]
    assert words_of("東京tower", TOKENIZERS[0]) == ["東京", "tower"]
    assert words_of("東京", TOKENIZERS[2]) == ["東", "京"]


def test_marks_stay_with_their_letters() -> None:
    assert words_of("नमस्ते", TOKENIZERS[0]) == ["नमस्ते"]
    assert words_of("e\u0301a the", TOKENIZERS[0]) == ["e\u0301a", "the"]


def test_joiners_are_inside_of_words() -> None:
    assert words_of("می\u200cخواهم", TOKENIZERS[2]) == ["می\u200cخواهم"]


def test_weights_of_the_pieces_are_put_together() -> None:
    tokenizer = TOKENIZERS[1]
    text = "unbelievable the"
    weights = {tokenizer.id_of("un"): 0.5, tokenizer.id_of("##able"): 0.25, tokenizer.id_of("the"): 1.0}
    known = {number: weight for number, weight in weights.items() if number is not None}
    encoding = tokenizer.pieces([text])[0]
    assert weigh_words(text, encoding, known) == [
        WordWeight("unbelievable", 0, 12, 0.75), WordWeight("the", 13, 16, 1.0),
    ]  # fmt: skip
    assert [word.weight for word in weigh_words(text, encoding, known, combine="max")] == [0.5, 1.0]


@given(st.text(), st.sampled_from(TOKENIZERS))
def test_words_are_in_order_apart_and_without_space(text: str, tokenizer: TextTokenizer) -> None:
    encoding = tokenizer.pieces([text])[0]
    words = weigh_words(text, encoding, dict.fromkeys(encoding.ids, 1.0))
    last = 0
    for word in words:
        assert last <= word.start < word.end
        assert word.text == text[word.start : word.end] == word.text.strip()
        last = word.end
