"""Queries drawn from the documents of a library, for tuning without judgements: titles, first and telling sentences.

Each is taken to be answered by its document. They are no questions of users: they share their words with the document,
so they favour lexical signals, and nothing that is found with them says how good a search is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from trivec.embeddings import Embeddings
from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedQuery, hashed
from trivec.index.bm25 import Bm25Index
from trivec.index.queries import term_counts
from trivec.search.collection import Collection
from trivec.search.sentences import sentence_ends
from trivec.types import Document

_LETTERS = (15, 200)
"""A query has at least and at most so many."""


@dataclass(frozen=True)
class PseudoQueries:
    """Queries, and the document that each was drawn from as its answer."""

    queries: Sequence[JudgedQuery]
    relevance: dict[str, dict[str, int]]


def draw_queries(library: Collection, count: int = 200, seed: int = 0) -> PseudoQueries:
    """One query from each of ``count`` documents, in turn a title, a first sentence, and the most telling sentence.

    Args:
        library: whose documents are read.
        count: documents that are drawn; fewer if there are fewer.
        seed: of the draw.

    Raises:
        InputError: ``count`` is less than 1.
    """
    if count < 1:
        raise InputError(f"{count} queries cannot be drawn: give at least 1")
    drawn = sorted(library.documents(), key=lambda document: hashed(f"{seed}\0{document.id}"))[:count]
    sentences = [_sentences(document.text) for document in drawn]
    telling = _Telling(library, [sentence for own in sentences for sentence in own])
    queries, relevance = [], {}
    for number, (document, own) in enumerate(zip(drawn, sentences, strict=True)):
        text = _query(document, own, number % 3, telling)
        if text is not None:
            queries.append(JudgedQuery(f"pseudo-{number}", text))
            relevance[f"pseudo-{number}"] = {document.id: 1}
    return PseudoQueries(queries, relevance)


def _query(document: Document, sentences: Sequence[str], kind: int, telling: _Telling) -> str | None:
    """A title, a first or a telling sentence; the next kind where there is none."""
    title = [document.title] if len(document.title) >= _LETTERS[0] else []
    kinds = [title, list(sentences[:1]), sorted(sentences, key=telling.value, reverse=True)[:1]]
    return next((found[0] for found in (*kinds[kind:], *kinds[:kind]) if found), None)


class _Telling:
    """How much sentences tell apart: the weight of their terms by BM25 among all sentences, for their length."""

    def __init__(self, library: Collection, sentences: Sequence[str]) -> None:
        texts = list(dict.fromkeys(sentences))
        terms = Embeddings(terms=library.encoder.count_terms(texts))
        index = Bm25Index()
        assert terms.terms is not None
        index.add([str(number) for number in range(len(texts))], terms.terms)
        self._values: dict[str, float] = {
            text: sum(index.weights(term_counts(row)).values()) / math.sqrt(1 + len(text))
            for text, row in zip(texts, terms, strict=True)
        }

    def value(self, sentence: str) -> float:
        """The larger, the more it tells."""
        return self._values[sentence]


def _sentences(text: str) -> list[str]:
    """The sentences of a text that make a query."""
    ends = [end.position for end in sentence_ends(text)]
    starts = [0, *ends]
    found = [" ".join(text[start:end].split()) for start, end in zip(starts, [*ends, len(text)], strict=True)]
    least, most = _LETTERS
    return [sentence for sentence in found if least <= len(sentence) <= most]
