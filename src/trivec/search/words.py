"""Subword pieces back to whole words, for explanations: which words carry the weight of a text.

The rule looks at the text, never at the marks of a vocabulary (▁, ##, Ġ), so it is the same for Unigram, WordPiece
and byte-level BPE. Two pieces that follow each other belong to one word if
    - they share a character (bytes of one letter; the lone ▁ that some tokenizers put before a text), or
    - the second begins with a combining mark, or
    - they touch, and the characters on both sides are letters or digits of a script that has spaces between words.
So ``un`` ``##believ`` ``##able`` is one word, ``東京`` ``大学`` are two, and punctuation stands alone.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from tokenizers import Encoding

_UNSPACED_SCRIPTS = (
    "CJK", "IDEOGRAPHIC", "HIRAGANA", "KATAKANA", "HALFWIDTH KATAKANA", "BOPOMOFO", "YI ", "THAI", "LAO", "KHMER",
    "MYANMAR", "TIBETAN", "TAI ", "NEW TAI", "JAVANESE", "BALINESE",
)  # fmt: skip
"""How the Unicode names of letters begin in scripts that put no spaces between words."""

_JOINERS = "\u200c\u200d\u00ad"


@dataclass(frozen=True, slots=True)
class WordWeight:
    """A word of a text, ``text[start:end]`` of it, and the weight of its pieces together."""

    text: str
    start: int
    end: int
    weight: float


@dataclass(frozen=True, slots=True)
class _Piece:
    start: int
    end: int
    weight: float


def weigh_words(
    text: str, encoding: Encoding, weights: Mapping[int, float], combine: Literal["sum", "max"] = "sum"
) -> list[WordWeight]:
    """Words of a text in order, each with the weights of its pieces summed, or the largest of them.

    Args:
        text: what was tokenised.
        encoding: its pieces, as `TextTokenizer.pieces` gives them.
        weights: weight by token id; a token that is not there has none (0). One that occurs in several words
            gives its weight to each of them.
        combine: ``sum`` or ``max``.
    """
    words: list[WordWeight] = []
    for group in _groups(text, _pieces(text, encoding, weights)):
        start, end = group[0].start, max(piece.end for piece in group)
        parts = [piece.weight for piece in group]
        words.append(WordWeight(text[start:end], start, end, sum(parts) if combine == "sum" else max(parts)))
    return words


def _pieces(text: str, encoding: Encoding, weights: Mapping[int, float]) -> Iterator[_Piece]:
    """Pieces without the white space around them, and with the combining marks behind them; blank ones left out."""
    for number, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
        while start < end and text[start].isspace():
            start += 1
        while start < end and text[end - 1].isspace():
            end -= 1
        if start == end:
            continue
        while end < len(text) and _is_mark(text[end]):
            end += 1
        yield _Piece(start, end, float(weights.get(number, 0.0)))


def _groups(text: str, pieces: Iterator[_Piece]) -> Iterator[list[_Piece]]:
    """The pieces of each word."""
    group: list[_Piece] = []
    end = 0
    for piece in pieces:
        if group and not _same_word(text, end, piece.start):
            yield group
            group = []
        end = max(end, piece.end)
        group.append(piece)
    if group:
        yield group


def _same_word(text: str, end: int, start: int) -> bool:
    """Whether a piece that ends here and one that starts there are parts of one word."""
    if start < end or _is_mark(text[start]):
        return True
    return start == end and _joins(text[end - 1]) and _joins(text[start])


@lru_cache(maxsize=4096)
def _joins(character: str) -> bool:
    """Whether this is a letter, mark or digit of a script with spaces between words, or a joiner inside of words."""
    if character in _JOINERS:
        return True
    if unicodedata.category(character)[0] not in "LMN":
        return False
    return not unicodedata.name(character, "").startswith(_UNSPACED_SCRIPTS)


@lru_cache(maxsize=4096)
def _is_mark(character: str) -> bool:
    return unicodedata.category(character).startswith("M")
