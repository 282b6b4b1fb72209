from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec.search.sentences import sentence_ends, split_sentences, starts_character


@pytest.mark.parametrize(
    "sentences",
    [
        ["He left. ", "She stayed!  ", "Why? ", "Nobody knows… ", "Done."],
        ["Dr. J. Smith paid $3.14 on Jan. 5. ", "He left."],
        ['"Stop!" he said. ', '("Go.") ', "They went.[12] ", "End"],
        ["Version 2.0 of node.js is out, e.g. here. ", "Yes"],
        ["Freunde, Familie etc. : so ging es. ", "Dann kam er."],
        ["„Das ist so.“ ", "Dann kam er z. B. heute."],
        ["Vino ayer. ", "¿Cómo? ", "¡Así! ", "Fin."],
        ["1. First item. ", "Another one."],
        ["Привет. ", "Ул. Ленина, т. е. там. ", "Вот."],
        ["你好！", "我是学生。", "「好。」", "他说：“行。”", "然后……走了。"],
        ["你好!", "他来了?", "Node.js是新的。"],
        ["今日は晴れ。", "「本当？」", "はい"],
        ["मैं ठीक हूँ। ", "आप कैसे हैं? ", "ठीक।"],
        ["ما هذا؟ ", "هذا كتاب. ", "نعم"],
        ["یہ کتاب ہے۔ ", "وہ قلم ہے۔"],
        ["ይህ ነው። ", "ደህና።"],
        ["Ես եմ։ ", "Դու ես։"],
        ["A heading\n\n", "a paragraph in lower case\n \n", "and more"],
        ["hard-wrapped\nlines are one sentence. ", "Next."],
        ["no end at all"],
        [],
    ],
)
def test_sentences_of_many_languages(sentences: list[str]) -> None:
    text = "".join(sentences)
    assert [text[start:end] for start, end in split_sentences(text)] == sentences


def test_paragraph_ends_are_marked() -> None:
    text = "One. Two.\n\nThree\r\n\r\nFour。\n\nFive"
    assert [(text[: end.position][-5:], end.paragraph) for end in sentence_ends(text)] == [
        ("One. ", False), ("wo.\n\n", True), ("e\r\n\r\n", True), ("ur。\n\n", True),
    ]  # fmt: skip


@given(st.text() | st.text(alphabet='.!?。\n "”[1]aA\u0301\u200d'))
def test_sentences_tile_any_text(text: str) -> None:
    spans = split_sentences(text)
    assert "".join(text[start:end] for start, end in spans) == text
    assert all(start < end for start, end in spans)
    assert all(starts_character(text, start) for start, _ in spans)


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("ab", [0, 1, 2]),
        ("e\u0301x", [0, 2, 3]),
        ("a\r\nb", [0, 1, 3, 4]),
        ("👩\u200d👧!", [0, 3, 4]),
        ("👍🏽!", [0, 2, 3]),
        ("🇩🇪🇫🇷", [0, 2, 4]),
        ("स्ते", [0, 4]),
        ("\u1100\u1161\u11a8", [0, 3]),
        ("\ud83d\ude00", [0, 2]),
        ("❤\ufe0fx", [0, 2, 3]),
    ],
)
def test_where_characters_start(text: str, places: list[int]) -> None:
    assert [place for place in range(len(text) + 1) if starts_character(text, place)] == places
