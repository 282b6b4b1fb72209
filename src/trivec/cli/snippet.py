"""The stretch of a passage that shows best why it was found."""

from __future__ import annotations

import re
from dataclasses import dataclass

from trivec.search.explain import Explanation
from trivec.search.hits import Hit

LENGTH = 200
_SLACK = 20
"""How far a cut may move to fall between words."""


@dataclass(frozen=True)
class Mark:
    """Characters ``start`` to ``end`` of a text that match the query, and how much they count."""

    start: int
    end: int
    weight: float


@dataclass(frozen=True)
class Snippet:
    """Part of a text; ``marks`` are places in ``text``."""

    text: str
    marks: tuple[Mark, ...]


def snippet(hit: Hit, explanation: Explanation, length: int = LENGTH) -> Snippet:
    """About ``length`` characters of the hit's passage around what matches most of the query."""
    marks = find_marks(hit, explanation)
    start, end = best_window(hit.text, marks, length)
    inside = tuple(Mark(m.start - start, m.end - start, m.weight) for m in marks if m.start >= start and m.end <= end)
    before, after = "… " if start > 0 else "", " …" if end < len(hit.text) else ""
    shifted = tuple(Mark(m.start + len(before), m.end + len(before), m.weight) for m in inside)
    return Snippet(before + hit.text[start:end] + after, shifted)


def find_marks(hit: Hit, explanation: Explanation) -> list[Mark]:
    """The query's words wherever they stand, and the words of the text that are aligned with the query.

    Without alignments, every matched word counts, also one that shares only a piece with a word of the query.
    """
    asked = explanation.query.casefold()
    matched = [word for word in explanation.words if not explanation.alignments or word.word.casefold() in asked]
    total = sum(word.weight for word in matched) or 1.0
    words = [
        Mark(*found.span(), word.weight / total)
        for word in matched
        for found in re.finditer(_whole(word.word), hit.text, re.IGNORECASE)
    ]
    offset, count = hit.passage.start, len(explanation.alignments)
    aligned = [
        Mark(pair.document_start - offset, pair.document_end - offset, max(0.0, pair.similarity) / count)
        for pair in explanation.alignments
        if pair.field == "text"
    ]
    return sorted([*words, *aligned], key=lambda mark: (mark.start, mark.end))


def _whole(word: str) -> str:
    """A pattern for the word, not as a part of a longer one where words are set apart by blanks."""
    left = r"(?<![^\W\d_])" if word[:1].isascii() and word[:1].isalnum() else ""
    right = r"(?![^\W\d_])" if word[-1:].isascii() and word[-1:].isalnum() else ""
    return f"{left}{re.escape(word)}{right}"


def best_window(text: str, marks: list[Mark], length: int) -> tuple[int, int]:
    """Where the stretch of this length with the heaviest marks begins and ends."""
    if len(text) <= length:
        return 0, len(text)
    first, last, heaviest = 0, 0, -1.0
    tail, weight = 0, 0.0
    for mark in marks:
        weight += mark.weight
        while marks[tail].start < mark.end - length and marks[tail] is not mark:
            weight -= marks[tail].weight
            tail += 1
        if weight > heaviest + 1e-9:
            first, last, heaviest = marks[tail].start, mark.end, weight
    start = min(max(0, (first + last - length) // 2), len(text) - length)
    return _between_words(text, start, start + length)


def _between_words(text: str, start: int, end: int) -> tuple[int, int]:
    if start > 0:
        blank = re.search(r"\s", text[start : start + _SLACK])
        start += blank.end() if blank else 0
    if end < len(text):
        blanks = list(re.finditer(r"\s", text[end - _SLACK : end]))
        end -= _SLACK - blanks[-1].start() if blanks else 0
    return start, end
