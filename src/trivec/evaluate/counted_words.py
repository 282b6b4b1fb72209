"""The words of a text in any script, as a lexical baseline counts them.

A word is a run of letters, digits and marks in lower case. Chinese, Japanese, Korean, Thai, Lao, Khmer and Burmese are
written without blanks between words, or with endings on them, so their runs count as pairs of neighbouring characters.
Nothing is stemmed, and no word is too common to count.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from itertools import groupby, pairwise

_IN_PAIRS = re.compile(
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff"  # Thai, Lao; Burmese; Khmer
    "\u1100-\u11ff\u3040-\u30ff\u3130-\u318f\uac00-\ud7af"  # Korean, Japanese
    "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003134f]"  # Chinese
)


def words(text: str) -> list[str]:
    """The words and pairs of a text, in order."""
    found: list[str] = []
    for kind, run in _runs(text.lower()):
        if kind == "pairs" and len(run) > 1:
            found += [first + second for first, second in pairwise(run)]
        else:
            found.append(run)
    return found


def _runs(text: str) -> Iterator[tuple[str, str]]:
    return ((kind, "".join(letters)) for kind, letters in groupby(text, _kind) if kind)


@cache
def _kind(letter: str) -> str:
    """``word``, ``pairs``, or empty for what separates."""
    if unicodedata.category(letter)[0] not in "LNM":
        return ""
    return "pairs" if _IN_PAIRS.match(letter) else "word"
