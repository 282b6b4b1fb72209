"""Passages that hold an answer, as MKQA is measured: the answer's tokens stand in the passage one after the other.

Passages are cleaned first, and what is cleaned is what is encoded and indexed. Both sides are then decomposed (NFD) and
cut into tokens: runs of letters, digits and marks, or any other single character that is seen. M3-Embedding (Chen et
al. 2024, 2402.03216), appendix; the matching is that of DPR (Karpukhin et al. 2020, 2004.04906).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from itertools import groupby

from trivec.evaluate.measures import Ranking

_SAME = {
    "-": "\u2010\u2011\u2012\u2013\u2014\u2015\u2212\u02d7\ufe58\ufe63\uff0d",
    "'": "\u2018\u2019\u201a\u201b\u2032\u2035\u02b9\u02bb\u02bc\u02c8\u00b4\u0060\uff07",
    '"': "\u201c\u201d\u201e\u201f\u2033\u2036\u00ab\u00bb\uff02",
    "/": "\u2044\u2215\u29f8\uff0f",
    "...": "\u2026",
    "": "\u00ad",
}
_REPLACED = str.maketrans({variant: plain for plain, variants in _SAME.items() for variant in variants})
_BLANKS = str.maketrans("\t\n\r", "   ")
_ANSWERED = "(a passage with an answer)"
"""Stands for the answer that every query has, so that one without a hit counts 0."""


def clean(text: str) -> str:
    """A passage as it is indexed: lower case, one kind of dash, quote and slash, no control characters."""
    visible = "".join(" " if letter in "\t\n\r" else letter for letter in text)
    kept = "".join(
        letter for letter in visible if not unicodedata.category(letter).startswith("C") or letter == "\u00ad"
    )
    return kept.translate(_REPLACED).lower()


def tokens(text: str) -> list[str]:
    """Runs of letters, digits and marks, and other single characters, in lower case."""
    found = []
    for kind, letters in groupby(unicodedata.normalize("NFD", text), _kind):
        run = "".join(letters).lower()
        found += [run] if kind == "word" else list(run) if kind == "sign" else []
    return found


def _kind(letter: str) -> str:
    category = unicodedata.category(letter)
    if category[0] in "LNM":
        return "word"
    return "blank" if category[0] in "ZC" else "sign"


def holds_answer(passage: Sequence[str], answers: Sequence[Sequence[str]]) -> bool:
    """Whether the tokens of an answer stand in those of a passage; an answer without tokens is none."""
    return any(_contains(passage, answer) for answer in answers if answer)


def _contains(passage: Sequence[str], answer: Sequence[str]) -> bool:
    first, length = answer[0], len(answer)
    return any(
        token == first and list(passage[place : place + length]) == list(answer) for place, token in enumerate(passage)
    )


def judge(
    rankings: Sequence[Mapping[str, Ranking]], texts: Mapping[str, str], answers: Mapping[str, Sequence[str]]
) -> dict[str, dict[str, int]]:
    """Grades of all documents that were found: 1 for those that hold an answer.

    Args:
        rankings: of each system, by query id.
        texts: of documents, cleaned.
        answers: by query id.

    Returns:
        By query id and document id; every query has one relevant document more that nobody finds, so that recall is
        not defined, and success is.
    """
    wanted = {query: [tokens(answer) for answer in own] for query, own in answers.items()}
    known: dict[str, list[str]] = {}
    relevance: dict[str, dict[str, int]] = {query: {_ANSWERED: 1} for query in answers}
    for ranking in rankings:
        for query, found in ranking.items():
            for document in found:
                if document not in relevance[query]:
                    own = known.setdefault(document, tokens(texts[document]))
                    relevance[query][document] = int(holds_answer(own, wanted[query]))
    return relevance
