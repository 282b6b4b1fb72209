"""The stretch of a text that is shown."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from trivec.cli.snippet import Mark, best_window, find_marks, snippet
from trivec.search.explain import Alignment, Explanation, MatchedWord
from trivec.search.hits import Hit
from trivec.types import Passage


def hit(text: str, start: int = 0) -> Hit:
    passage = Passage("id", text, start=start, end=start + len(text))
    return Hit(1, 1.0, passage, {}, {}, lambda hit: explanation(), content=text)


def explanation(
    query: str = "q", words: tuple[MatchedWord, ...] = (), alignments: tuple[Alignment, ...] = ()
) -> Explanation:
    return Explanation(query, "id", 1.0, (), words, alignments)


def test_a_short_text_is_shown_whole() -> None:
    assert snippet(hit("one two"), explanation()).text == "one two"


def test_the_window_holds_the_matched_words() -> None:
    text = "a " * 300 + "needle in hay" + " b" * 300
    shown = snippet(hit(text), explanation(words=(MatchedWord("needle", 1.0, "bm25"),)))
    assert "needle" in shown.text
    assert shown.text.startswith("… a")
    assert shown.text.endswith("b …")
    assert len(shown.text) <= 204
    assert [shown.text[mark.start : mark.end] for mark in shown.marks] == ["needle"]


def test_a_word_is_not_marked_inside_another() -> None:
    marks = find_marks(hit("he sees the sea"), explanation(words=(MatchedWord("se", 1.0, "bm25"),)))
    assert marks == []
    assert find_marks(hit("東京は首都"), explanation(words=(MatchedWord("京", 1.0, "bm25"),))) == [Mark(1, 2, 1.0)]


def test_alignments_count_from_the_document() -> None:
    pair = Alignment("q", 0, 1, "two", "text", 104, 107, 0.5)
    titled = Alignment("q", 0, 1, "title", "title", 0, 5, 0.9)
    marks = find_marks(hit("one two", start=100), explanation(alignments=(pair, titled)))
    assert marks == [Mark(4, 7, 0.25)]


@given(st.text(max_size=600), st.lists(st.tuples(st.integers(0, 600), st.integers(1, 30), st.floats(0, 1))))
def test_the_window_lies_in_the_text_and_is_not_longer_than_asked(
    text: str, places: list[tuple[int, int, float]]
) -> None:
    marks = sorted(
        (Mark(start, start + length, weight) for start, length, weight in places if start + length <= len(text)),
        key=lambda mark: (mark.start, mark.end),
    )
    start, end = best_window(text, marks, 100)
    assert 0 <= start <= end <= len(text)
    assert end - start <= 100
    assert end - start >= min(len(text), 60)
