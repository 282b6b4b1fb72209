"""Words in any script."""

from __future__ import annotations

import pytest

from trivec.evaluate.counted_words import words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The dog's 2nd bowl, e.g. (steel)!", ["the", "dog", "s", "2nd", "bowl", "e", "g", "steel"]),
        ("Ĉu vi ŝatas ĉokoladon?", ["ĉu", "vi", "ŝatas", "ĉokoladon"]),
        ("हिन्दी में पानी", ["हिन्दी", "में", "पानी"]),  # vowel signs and virama stay in their words
        ("机器学习 2024年", ["机器", "器学", "学习", "2024", "年"]),
        ("日本のカレー", ["日本", "本の", "のカ", "カレ", "レー"]),
        ("물을 마신다", ["물을", "마신", "신다"]),
        ("น้ำดื่ม", ["น\u0e49", "\u0e49\u0e33", "\u0e33ด", "ด\u0e37", "\u0e37\u0e48", "\u0e48ม"]),
        ("GPT模型v2", ["gpt", "模型", "v2"]),
        ("", []),
        (" \t…—", []),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected
