from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer

import tiny_vocabularies
import trivec
from trivec.encode.tokenizer import TextTokenizer, clean_text, fold_case
from trivec.errors import CorruptModelError, InputError


def from_json(content: dict[str, Any]) -> TextTokenizer:
    return TextTokenizer(Tokenizer.from_str(json.dumps(content)))


def unigram() -> TextTokenizer:
    return from_json(tiny_vocabularies.unigram_tokenizer(tiny_vocabularies.unigram_vocabulary()))


def wordpiece() -> TextTokenizer:
    return from_json(tiny_vocabularies.wordpiece_tokenizer(tiny_vocabularies.wordpiece_vocabulary()))


def byte_level() -> TextTokenizer:
    return from_json(tiny_vocabularies.byte_level_tokenizer(*tiny_vocabularies.byte_level_vocabulary()))


KINDS = {"unigram": unigram(), "wordpiece": wordpiece(), "byte_level": byte_level()}
SPECIAL = {
    "unigram": ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
    "wordpiece": ["[CLS]", "[PAD]", "[SEP]", "[UNK]", "[MASK]"],
    "byte_level": ["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
}
LANGUAGES = [
    "the capital of the country",
    "Die Hauptstadt, größer als Paris!",
    "столица и река",
    "مرحبا بالعالم",
    "שלום עולם",
    "北京的天气",
    "नमस्ते दुनिया",
    "한국어 문장",
]

each_kind = pytest.mark.parametrize("kind", KINDS)
each_special = pytest.mark.parametrize(
    ("kind", "name"), [(kind, name) for kind, names in SPECIAL.items() for name in names]
)


def ids_of(tokenizer: TextTokenizer, text: str, max_length: int = 512, prompt: str = "") -> list[int]:
    return tokenizer.tokenize([text], max_length, prompt)[0].ids


def spelled(tokenizer: TextTokenizer, ids: list[int]) -> str:
    """Pieces without the marks of word boundaries."""
    return "".join(tokenizer.token(number) for number in ids).replace("▁", "").replace("##", "").replace("Ġ", "")


@each_kind
@pytest.mark.parametrize("text", ["", *LANGUAGES])
def test_a_text_stands_between_two_special_tokens(kind: str, text: str) -> None:
    tokenizer = KINDS[kind]
    first, last = SPECIAL[kind][0], SPECIAL[kind][2]
    ids = ids_of(tokenizer, text)
    assert [ids[0], ids[-1]] == [tokenizer.id_of(first), tokenizer.id_of(last)]
    assert ids[1:-1] == tokenizer.pieces([text])[0].ids
    assert tokenizer.special_tokens_per_text == 2


@each_special
@pytest.mark.parametrize("frame", ["{}", "a {} b", "{0}{0}", "a{}", " {} "])
def test_a_special_token_spelled_out_in_a_text_is_text(kind: str, name: str, frame: str) -> None:
    tokenizer, text = KINDS[kind], frame.format(name)
    inner = ids_of(tokenizer, text)[1:-1]
    unknown = tokenizer.id_of(SPECIAL[kind][3])
    assert not set(inner) & (tokenizer.special_ids - {unknown})
    assert inner == tokenizer.pieces([text])[0].ids
    letters = spelled(tokenizer, inner).lower()
    assert letters == "".join(text.split()).lower()


@each_special
def test_text_around_a_spelled_out_special_token_keeps_its_pieces(kind: str, name: str) -> None:
    tokenizer = KINDS[kind]
    plain = tokenizer.pieces(["the capital city"])[0].ids
    assert tokenizer.pieces([f"the capital city {name}"])[0].ids[: len(plain)] == plain
    assert ids_of(tokenizer, "the capital city")[1:-1] == plain


@pytest.mark.parametrize("text", ["＜/s＞", "a ＜mask＞ b", "<ｓ>", "</ｓ> the end", "＜pad＞"])
def test_a_special_token_that_only_the_normalizer_spells_is_text(text: str) -> None:
    """NFKC makes ASCII of full-width letters and brackets."""
    tokenizer = KINDS["unigram"]
    assert not set(ids_of(tokenizer, text)[1:-1]) & tokenizer.special_ids


def test_a_special_token_is_text_also_when_the_vocabulary_cannot_spell_it() -> None:
    vocabulary = [row for row in tiny_vocabularies.unigram_vocabulary() if row[0] != ">"]
    tokenizer = from_json(tiny_vocabularies.unigram_tokenizer(vocabulary))
    inner = ids_of(tokenizer, "a </s> b")[1:-1]
    assert not set(inner) & (tokenizer.special_ids - {tokenizer.id_of("<unk>")})


@each_special
@pytest.mark.parametrize("prompt", ["query: ", "{} "])
def test_special_tokens_in_text_and_prompt_leave_the_spans_right(kind: str, name: str, prompt: str) -> None:
    text = f"the {name} city"
    spans = KINDS[kind].vector_spans(text, 512, prompt.format(name))
    covered = {position for span in spans if span for position in range(*span)}
    assert covered == {position for position, character in enumerate(text) if not character.isspace()}
    assert spans[-1] is None


@each_kind
def test_special_ids(kind: str) -> None:
    tokenizer = KINDS[kind]
    assert tokenizer.special_ids == {tokenizer.id_of(name) for name in SPECIAL[kind]}
    assert tokenizer.weightless_ids == tokenizer.special_ids - {tokenizer.id_of(SPECIAL[kind][4])}


@each_kind
def test_every_id_has_a_token_and_every_token_its_id(kind: str) -> None:
    tokenizer = KINDS[kind]
    tokens = [tokenizer.token(number) for number in range(tokenizer.vocabulary_size)]
    assert all(tokens)
    assert [tokenizer.id_of(token) for token in tokens] == list(range(len(tokens)))
    assert tokenizer.token(tokenizer.vocabulary_size) == ""
    assert tokenizer.id_of("no such piece") is None


@each_kind
@pytest.mark.parametrize("text", ["\ud800", "a\udfffb", "\ud83d the city", "\udc00\ud800"])
def test_lone_surrogates_are_read_as_the_replacement_character(kind: str, text: str) -> None:
    tokenizer = KINDS[kind]
    clean = "".join("\ufffd" if "\ud800" <= character <= "\udfff" else character for character in text)
    assert clean_text(text) == clean
    assert ids_of(tokenizer, text) == ids_of(tokenizer, clean)
    assert tokenizer.vector_spans(text, 512) == tokenizer.vector_spans(clean, 512)
    assert ids_of(tokenizer, "x", prompt=text) == ids_of(tokenizer, "x", prompt=clean)


def test_a_proper_surrogate_pair_stays() -> None:
    assert clean_text("a😀b") == "a😀b"


@each_kind
def test_nul_does_not_end_a_text(kind: str) -> None:
    tokenizer = KINDS[kind]
    inner = ids_of(tokenizer, "the\x00 city\x00 river")[1:-1]
    assert inner[-1] == tokenizer.pieces(["the river"])[0].ids[-1]
    assert tokenizer.vector_spans("\x00the", 512)[-2][1] == 4


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("İstanbul", "istanbul"),
        ("ABC İİ D", "abc ii d"),
        ("Straße ẞ", "straße ß"),
        ("ΟΔΟΣ", "οδος"),
        ("ŸÀ", "ÿà"),
        ("日本語", "日本語"),
        ("", ""),
    ],
)
def test_fold_case(text: str, folded: str) -> None:
    assert fold_case(text) == folded


@given(st.text())
@example("aİbẞΣ")
@example("ΑΣ İ")
def test_fold_case_keeps_every_character_in_its_place(text: str) -> None:
    folded = fold_case(text)
    assert len(folded) == len(text)
    for before, after in zip(text, folded, strict=True):
        assert after in (before.lower()[:1], "ς")
        assert before != "Σ" or after in "σς"


@each_kind
@pytest.mark.parametrize("text", ["İstanbul the City", "the İ capital İİ river", *LANGUAGES])
def test_offsets_in_a_folded_text_are_offsets_in_the_text(kind: str, text: str) -> None:
    (encoding,) = KINDS[kind].pieces([fold_case(text)])
    assert encoding.offsets[-1][1] == len(text)
    for token, (start, end) in zip(encoding.tokens, encoding.offsets, strict=True):
        letters = token.replace("▁", "").replace("##", "").replace("Ġ", "")
        if letters.isalpha() and text[start:end].isascii():
            assert fold_case(text[start:end]).strip() == letters


@each_kind
@pytest.mark.parametrize("max_length", [3, 4, 7, 11])
def test_a_cut_drops_the_end_and_keeps_the_closing_token(kind: str, max_length: int) -> None:
    tokenizer = KINDS[kind]
    text = "capital city of the country, where the river is"
    whole = ids_of(tokenizer, text)
    (cut,) = tokenizer.tokenize([text], max_length)
    assert cut.ids == [*whole[: max_length - 1], whole[-1]]
    assert cut.full_length == len(whole) > max_length


@each_kind
def test_a_text_of_exactly_the_length_is_not_cut(kind: str) -> None:
    tokenizer = KINDS[kind]
    whole = ids_of(tokenizer, "capital city")
    (same,) = tokenizer.tokenize(["capital city"], len(whole))
    assert same.ids == whole
    assert same.full_length == len(whole)


@each_kind
@pytest.mark.parametrize("max_length", [2, 1, 0, -5])
def test_a_length_without_room_for_text_is_refused(kind: str, max_length: int) -> None:
    with pytest.raises(InputError, match=f"max_length {max_length} leaves no room for text"):
        KINDS[kind].tokenize([], max_length)


@each_kind
def test_no_texts(kind: str) -> None:
    assert KINDS[kind].tokenize([], 512) == []
    assert KINDS[kind].pieces([]) == []


@each_kind
@pytest.mark.parametrize("text", ["", *LANGUAGES])
@pytest.mark.parametrize("prompt", ["", "query: ", "Represent this sentence for searching passages: ", "为这个："])
def test_prompt_tokens_are_those_that_the_prompt_alone_makes(kind: str, prompt: str, text: str) -> None:
    """Its last blank is one more, unless the first piece of the text takes it."""
    tokenizer = KINDS[kind]
    (tokenized,) = tokenizer.tokenize([text], 512, prompt)
    assert tokenized.ids == ids_of(tokenizer, prompt + text)
    of_prompt = tokenized.ids[1 : 1 + tokenized.prompt_tokens]
    if of_prompt and tokenizer.token(of_prompt[-1]) in ("▁", "Ġ"):
        of_prompt.pop()
    assert of_prompt == tokenizer.pieces([prompt.rstrip()])[0].ids


@each_kind
@given(
    text=st.text(
        alphabet=st.sampled_from([*"aeiou thTHé,.北京İß \n\t😀</s>"]) | st.characters(codec="utf-8"), max_size=30
    ),
    prompt=st.sampled_from(["", "query: ", "passage: ", "为这个："]),
    max_length=st.integers(3, 30),
)
def test_vector_spans_are_stretches_of_the_text(kind: str, text: str, prompt: str, max_length: int) -> None:
    """One for each id behind the first special token and the prompt, in order, without white space at the ends."""
    tokenizer = KINDS[kind]
    (tokenized,) = tokenizer.tokenize([text], max_length, prompt)
    spans = tokenizer.vector_spans(text, max_length, prompt)
    assert len(spans) == max(0, len(tokenized.ids) - 1 - tokenized.prompt_tokens)
    if spans:
        assert spans[-1] is None
    places = [span for span in spans if span is not None]
    assert len(places) == max(0, len(spans) - 1)
    assert places == sorted(places)
    for start, end in places:
        assert 0 <= start <= end <= len(text)
        assert text[start:end] == text[start:end].strip()


def test_vector_spans_by_hand() -> None:
    tokenizer = KINDS["wordpiece"]
    text = "The city, Öl"
    assert [tokenizer.token(number) for number in ids_of(tokenizer, text)] == [
        "[CLS]", "the", "city", ",", "o", "##l", "[SEP]",
    ]  # fmt: skip
    assert tokenizer.vector_spans(text, 512) == [(0, 3), (4, 8), (8, 9), (10, 11), (11, 12), None]
    assert tokenizer.vector_spans(text, 512, "the ") == tokenizer.vector_spans(text, 512)
    assert tokenizer.vector_spans(text, 4) == [(0, 3), (4, 8), None]


@each_kind
@pytest.mark.parametrize("wrong", [None, 3, b"bytes", ["list"]])
def test_what_is_no_string_is_refused_with_its_type(kind: str, wrong: Any) -> None:
    tokenizer, message = KINDS[kind], f"a text must be a string, got {type(wrong).__name__}"
    calls: list[Callable[[], object]] = [
        lambda: tokenizer.pieces(["fine", wrong]),
        lambda: tokenizer.tokenize(["fine", wrong], 512),
        lambda: tokenizer.tokenize(["fine", wrong], 512, "query: "),
        lambda: tokenizer.vector_spans(wrong, 512),
    ]
    for call in calls:
        with pytest.raises(InputError, match=message):
            call()


@pytest.mark.parametrize("content", [None, b"", b"{", b"[]", b'{"model": {"type": "Unknown"}}'])
def test_a_file_that_is_no_tokenizer_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "tokenizer.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CorruptModelError, match="is no tokenizer"):
        TextTokenizer.from_file(path)


def test_padding_and_truncation_of_the_file_are_not_followed(tmp_path: Path) -> None:
    content = tiny_vocabularies.wordpiece_tokenizer(tiny_vocabularies.wordpiece_vocabulary())
    content["truncation"] = {"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    content["padding"] = {
        "strategy": {"Fixed": 9}, "direction": "Right", "pad_to_multiple_of": None,
        "pad_id": 0, "pad_type_id": 0, "pad_token": "[PAD]",
    }  # fmt: skip
    (tmp_path / "tokenizer.json").write_text(json.dumps(content), encoding="utf-8")
    tokenizer = TextTokenizer.from_file(tmp_path / "tokenizer.json")
    assert ids_of(tokenizer, "the capital of") == ids_of(KINDS["wordpiece"], "the capital of")


@pytest.mark.model
def test_ids_of_the_real_tokenizer(m3_small: trivec.Encoder) -> None:
    """The ids that XLM-RoBERTa's tokenizer gives."""
    tokenizer = m3_small.tokenizer
    assert ids_of(tokenizer, "Hello world!") == [0, 35378, 8999, 38, 2]
    assert ids_of(tokenizer, "") == [0, 2]
    assert ids_of(tokenizer, "ﬁne  ＡＢＣ") == ids_of(tokenizer, "fine ABC")
    assert len(ids_of(tokenizer, "北京是中国的首都。")) <= 10
    assert {tokenizer.id_of(name) for name in SPECIAL["unigram"]} == tokenizer.special_ids == {0, 1, 2, 3, 250001}


@pytest.mark.model
@pytest.mark.parametrize(
    "text", ["a </s> b", "＜/s＞", "<\x01/s>", "<\u200b/s>", "<ma\u00adsk>", "<s><pad><unk><mask>"]
)
def test_the_real_tokenizer_finds_no_special_token_in_a_text(m3_small: trivec.Encoder, text: str) -> None:
    tokenizer = m3_small.tokenizer
    assert not set(ids_of(tokenizer, text)[1:-1]) & (tokenizer.special_ids - {tokenizer.id_of("<unk>")})
