"""`tokenizer_json` rebuilds what the sentencepiece package does."""

from __future__ import annotations

import io
import json

import pytest
import sentencepiece
from tokenizers import Tokenizer

import tiny_vocabularies
from trivec.encode.unigram import tokenizer_json

CORPUS = [
    "the capital of the country is the city by the river",
    "die Hauptstadt des Landes liegt am Fluss",
    "столица страны находится на реке",
    "the library is open, the water is cold; not at night!",
    "北京 東京 서울 カナ ｶﾅ",
] * 20
TEXTS = [
    "the capital city",
    "Die Hauptstadt des Landes!",
    "столица страны",
    "the\tcity\nof   the  river",
    "ｔｈｅ　ｃａｐｉｔａｌ",
    "ﬁne ½ Å ①",
    "e\u0301 ü ß",
    "北京、東京",
    "a\u200bb\u00adc\u0001d",
    "unknown ☃ ʘ pieces",
    "",
]


@pytest.fixture(scope="module")
def reference() -> sentencepiece.SentencePieceProcessor:
    """A small model with XLM-RoBERTa's normaliser."""
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(CORPUS), model_writer=written, vocab_size=120, model_type="unigram", minloglevel=2,
        normalization_rule_name="nmt_nfkc", hard_vocab_limit=False, unk_id=0, bos_id=1, eos_id=2, pad_id=3,
    )  # fmt: skip
    return sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())


@pytest.fixture(scope="module")
def rebuilt(reference: sentencepiece.SentencePieceProcessor) -> Tokenizer:
    size = reference.get_piece_size()
    pieces = [(reference.id_to_piece(number), reference.get_score(number)) for number in range(size)]
    content = tokenizer_json([*pieces, ("<mask>", 0.0)], {"<s>": 1, "</s>": 2, "<pad>": 3, "<unk>": 0})
    return Tokenizer.from_str(json.dumps(content))


@pytest.mark.parametrize("text", TEXTS)
def test_ids_are_those_of_sentencepiece(
    rebuilt: Tokenizer, reference: sentencepiece.SentencePieceProcessor, text: str
) -> None:
    assert rebuilt.encode(text, add_special_tokens=False).ids == reference.encode(text)


def test_special_tokens_stand_where_xlm_roberta_has_them(rebuilt: Tokenizer) -> None:
    assert rebuilt.encode("the").ids == [1, *rebuilt.encode("the", add_special_tokens=False).ids, 2]
    first, second = (rebuilt.encode(text, add_special_tokens=False).tokens for text in ("the", "city"))
    assert rebuilt.encode("the", "city").tokens == ["<s>", *first, "</s>", "</s>", *second, "</s>"]


def test_special_names_replace_those_of_the_pieces() -> None:
    pieces = [("[a]", 0.0), ("[b]", 0.0), ("[c]", 0.0), ("[d]", 0.0), ("<mask>", -9.0), ("▁the", -1.0), ("<mask>", 0.0)]
    content = tokenizer_json(pieces, {"<s>": 0, "</s>": 2, "<pad>": 1, "<unk>": 3})
    assert [token for token, _ in content["model"]["vocab"][:4]] == ["<s>", "<pad>", "</s>", "<unk>"]
    added = {token["content"]: token["id"] for token in content["added_tokens"]}
    assert added == {"<s>": 0, "<pad>": 1, "</s>": 2, "<unk>": 3, "<mask>": 6}
    assert content["model"]["unk_id"] == 3


def test_the_tiny_tokenizer_has_the_same_shape() -> None:
    """The tiny checkpoints of other tests stand for the real thing."""
    vocabulary = tiny_vocabularies.unigram_vocabulary()
    tiny = tiny_vocabularies.unigram_tokenizer(vocabulary)
    made = tokenizer_json(vocabulary, {"<s>": 0, "</s>": 2, "<pad>": 1, "<unk>": 3})
    for part in ("model", "added_tokens", "post_processor", "pre_tokenizer"):
        assert json.loads(json.dumps(made[part])) == json.loads(json.dumps(tiny[part]))
