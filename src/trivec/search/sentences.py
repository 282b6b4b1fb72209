"""Where sentences, paragraphs and characters end, in any script: rules and a few lists, no model.

A sentence ends
    - after 。 ！ ？ । ۔ ። ။ ។ and other marks that mean nothing else, wherever they stand;
    - after . ! ? … if white space follows, or after ! ? ． also beside a letter of a script without spaces;
    - at a blank line, which ends the paragraph too.
Closing quotes, brackets and footnote numbers such as [3] stay with the sentence, and so does the white space behind.

The marks of the second line end nothing before a lower-case letter or a comma. A full stop ends nothing after a
single letter (J. Smith), after a few abbreviations, and after a number that opens its line (1. First). A point
between digits (3.14) has no white space behind it.
"""

from __future__ import annotations

import itertools
import re
import unicodedata
from dataclasses import dataclass

_ALWAYS = "。！？｡।॥۔؟\u037e։።፧፨။។៕༎᠃᠉᙮⁇⁈⁉‼"
_CLOSING = "\"'”’»›)\\]}」』】〉》）］｝〕〗〙〛｣༽"
_FOOTNOTES = r"(?:\[\d{1,3}\])*+"
_ENDS = re.compile(
    rf"(?P<always>[{_ALWAYS}][.!?…{_ALWAYS}]*+)[{_CLOSING}]*+{_FOOTNOTES}(?P<behind>\s*+)"
    rf"|(?P<often>[.!?…．]++)[{_CLOSING}“]*+{_FOOTNOTES}(?P<space>\s*+)"
    r"|(?P<gap>[\n\u2029]\s*+)"
)
_WORD_BEFORE = re.compile(r"(?:\A|[^\w.])([\w.]+)\Z")
_LIST_NUMBER = re.compile(r"(?:\A|\n)[ \t]*\d{1,3}\Z")
_ABBREVIATION = re.compile(
    "mrs?|ms|dr|prof|st|vs|no|figs?|cf|ca|bzw|nr|sra?|mme|mlle|ул|jan|feb|apr|aug|sept|oct|nov|dec", re.IGNORECASE
)
_GOES_ON = tuple(",;:%)")
_LETTER_OF_UNSPACED_SCRIPT = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\U00020000-\U0003ffff]"
)
_VIRAMA = 9
_JOINERS = "\u200c\u200d"


@dataclass(frozen=True, slots=True)
class End:
    """A position between two sentences, behind the white space; ``paragraph`` if a paragraph ends there too."""

    position: int
    paragraph: bool


def split_sentences(text: str) -> list[tuple[int, int]]:
    """Spans (start, end) of the sentences; they tile the text exactly."""
    cuts = [0, *(end.position for end in sentence_ends(text)), len(text)]
    return [(start, end) for start, end in itertools.pairwise(cuts) if start < end]


def sentence_ends(text: str) -> list[End]:
    """All ends inside the text in order, its own start and end left out. Takes time linear in the length."""
    ends = []
    for match in _ENDS.finditer(text):
        position = match.end()
        space = match["gap"] or match["behind"] or match["space"] or ""
        paragraph = space.count("\n") > 1 or "\u2029" in space
        ends_here = paragraph or match["always"] or (match["often"] and _ends_sentence(text, match))
        if ends_here and position < len(text) and starts_character(text, position):
            ends.append(End(position, paragraph))
    return ends


def _ends_sentence(text: str, match: re.Match[str]) -> bool:
    """Whether . ! ? or … ends a sentence here."""
    mark, following = match["often"], text[match.end() : match.end() + 1]
    if not match["space"]:
        beside = text[max(0, match.start() - 1) : match.start()] + following
        return mark[-1] in "!?．" and _LETTER_OF_UNSPACED_SCRIPT.search(beside) is not None
    if following.islower() or following in _GOES_ON:
        return False
    return mark != "." or not _is_abbreviation(text, match.start())


def _is_abbreviation(text: str, stop: int) -> bool:
    """Whether the full stop at this position belongs to the word or number before it."""
    before = text[max(0, stop - 12) : stop]
    word = _WORD_BEFORE.search(before)
    if word is None:
        return False
    last = word[1].rpartition(".")[2]
    single_letter = len(last) == 1 and last.lower() != last.upper()
    return single_letter or _ABBREVIATION.fullmatch(last) is not None or _LIST_NUMBER.search(before) is not None


def starts_character(text: str, position: int) -> bool:
    """Whether a character, as a reader sees it, may begin here: not at a mark, joiner, modifier or second half."""
    if not 0 < position < len(text):
        return True
    before, after = text[position - 1], text[position]
    if before < "\u0300" and after < "\u0300":
        return not (before == "\r" and after == "\n")
    return not (
        unicodedata.category(after).startswith("M")
        or unicodedata.combining(before) == _VIRAMA
        or before == "\u200d"
        or after in _JOINERS
        or _continues(before, after)
        or (_is_flag_half(after) and _flag_halves_before(text, position) % 2 == 1)
    )


def _continues(before: str, after: str) -> bool:
    """Skin tones and emoji tags, vowels and finals of decomposed Hangul, and the second of a pair of surrogates."""
    return (
        "\U0001f3fb" <= after <= "\U0001f3ff"
        or "\U000e0020" <= after <= "\U000e007f"
        or "\u1160" <= after <= "\u11ff"
        or "\ud7b0" <= after <= "\ud7fb"
        or ("\ud800" <= before <= "\udbff" and "\udc00" <= after <= "\udfff")
    )


def _is_flag_half(character: str) -> bool:
    return "\U0001f1e6" <= character <= "\U0001f1ff"


def _flag_halves_before(text: str, position: int) -> int:
    """Counted for 500 flags at most: nobody can tell them apart, and time stays linear."""
    start = position
    while start > max(0, position - 1000) and _is_flag_half(text[start - 1]):
        start -= 1
    return position - start
