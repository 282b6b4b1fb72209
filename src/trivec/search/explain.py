"""Why a passage was found: matched words with their weights, token alignments, and each signal's contribution."""

from __future__ import annotations

import bisect
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

import numpy as np
import scipy.sparse as sp

from trivec.embeddings import Embeddings
from trivec.encode.tokenizer import fold_case
from trivec.index.queries import row_weights
from trivec.search.words import weigh_words
from trivec.types import Passage, Signal

if TYPE_CHECKING:
    from trivec.search.collection import Collection
    from trivec.search.hits import Hit

Span: TypeAlias = tuple[int, int]
"""Start and end in characters."""

_MAX_ALIGNMENTS = 12


@dataclass(frozen=True)
class SignalShare:
    """One signal's raw score, and what it added to the hit's score."""

    signal: Signal
    score: float
    contribution: float | None


@dataclass(frozen=True)
class MatchedWord:
    """A word of the passage that the query has too, with what its pieces added to the lexical score."""

    word: str
    weight: float
    signal: Literal["sparse", "bm25"]


@dataclass(frozen=True)
class Alignment:
    """A word of the query and the word of the document that is most like it.

    The similarity is that of their closest tokens; the words are those that the two tokens stand in. Offsets are
    characters: of the query; and of the document's title or text, as ``field`` says.
    """

    query_word: str
    query_start: int
    query_end: int
    document_word: str
    field: Literal["title", "text"]
    document_start: int
    document_end: int
    similarity: float


@dataclass(frozen=True)
class Explanation:
    """Everything that made a passage a hit.

    Attributes:
        words: matched words, heaviest first; the weights of a signal add up to its raw score.
        alignments: strongest first, one for each word of the query.
    """

    query: str
    document_id: str
    score: float
    signals: tuple[SignalShare, ...]
    words: tuple[MatchedWord, ...]
    alignments: tuple[Alignment, ...]

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


class Explainer:
    """Explains the hits of one query. The query is not encoded again; stored vectors are read for the hit alone."""

    def __init__(self, library: Collection, query: str, vectors: Embeddings) -> None:
        self._library = library
        self._query = query
        self._vectors = vectors

    def __call__(self, hit: Hit) -> Explanation:
        """The explanation of one of the query's hits."""
        passage = hit.passage
        stored = self._library.store.vectors([passage.id])
        shares = (SignalShare(name, score, hit.contributions.get(name)) for name, score in hit.signals.items())
        return Explanation(
            query=self._query,
            document_id=hit.id,
            score=hit.score,
            signals=tuple(shares),
            words=tuple(self._words(hit, stored)),
            alignments=tuple(self._alignments(passage, stored)) if "multi" in hit.signals else (),
        )

    # -- words ---------------------------------------------------------------------------------------------

    def _words(self, hit: Hit, stored: Embeddings) -> list[MatchedWord]:
        words: list[MatchedWord] = []
        content = self._library.splitter.content(hit.passage)
        if "sparse" in hit.signals and self._vectors.sparse is not None and stored.sparse is not None:
            products = _row(self._vectors.sparse.multiply(stored.sparse))
            folds = self._library.encoder.tokenizer.sparse_terms == "folded"
            words += self._joined(fold_case(content) if folds else content, products, "sparse")
        if "bm25" in hit.signals and self._vectors.terms is not None:
            words += self._joined(fold_case(content), self._bm25_terms(hit.passage), "bm25")
        return sorted(words, key=lambda match: (-match.weight, match.word))

    def _bm25_terms(self, passage: Passage) -> dict[int, float]:
        """What each term of the query added to the passage's share of BM25."""
        store, counts = self._library.store, self._vectors.terms
        assert counts is not None
        most = sum(store.term_weights(self._vectors).values())
        terms = {}
        for term, count in _row(counts).items():
            alone = sp.csr_array(([np.float32(count)], ([0], [term])), shape=counts.shape)
            (score,) = store.score("bm25", replace(self._vectors, terms=alone), [passage.id])
            terms[term] = float(score) / most if most else 0.0
        return terms

    def _joined(
        self, content: str, weights: Mapping[int, float], signal: Literal["sparse", "bm25"]
    ) -> list[MatchedWord]:
        """Weights of ids as weights of whole words.

        An id goes to the words of the query that it stands in; if there are none, all its words share it.
        """
        (encoding,) = self._library.encoder.tokenizer.pieces([content])
        asked = {fold_case(self._query[slice(*span)]) for span in self._word_spans(self._query)}
        totals: dict[str, float] = {}
        for term, weight in weights.items():
            found = weigh_words(content, encoding, {term: 1.0}) if weight > 0 else []
            words = {fold_case(match.text) for match in found if match.weight}
            words = words & asked or words
            for word in words:
                totals[word] = totals.get(word, 0.0) + weight / len(words)
        return [MatchedWord(word, weight, signal) for word, weight in totals.items()]

    # -- alignments ----------------------------------------------------------------------------------------

    def _alignments(self, passage: Passage, stored: Embeddings) -> list[Alignment]:
        assert self._vectors.multi is not None and stored.multi is not None
        library, checkpoint = self._library, self._library.encoder.checkpoint
        content = library.splitter.content(passage)
        tokenizer, limit = library.encoder.tokenizer, checkpoint.max_length
        query_spans = tokenizer.vector_spans(self._query, limit, checkpoint.query_prompt)
        document_spans = tokenizer.vector_spans(content, limit, checkpoint.document_prompt)
        query_words, document_words = self._word_spans(self._query), self._word_spans(content)
        tokens = stored.multi[0]
        if len(tokens) != len(document_spans):  # pooled, or encoded in a wider context: no row stands for one token
            whole = library.encoder.encode_documents([content], ["multi"]).multi
            assert whole is not None
            tokens = whole[0]
        similarities = self._vectors.multi[0] @ tokens.T
        title_length = len(content) - len(passage.text)
        best: dict[Span, Alignment] = {}
        for query_span, row in zip(query_spans, similarities, strict=True):
            document_span = document_spans[int(row.argmax())]
            if query_span is None or document_span is None:
                continue
            query_word, word = _word_around(query_span, query_words), _word_around(document_span, document_words)
            alignment = _alignment(self._query, query_word, content, word, title_length, passage, float(row.max()))
            if _is_word(alignment.query_word) and best.get(query_word, alignment).similarity <= alignment.similarity:
                best[query_word] = alignment
        return sorted(best.values(), key=lambda alignment: -alignment.similarity)[:_MAX_ALIGNMENTS]

    def _word_spans(self, text: str) -> list[Span]:
        (encoding,) = self._library.encoder.tokenizer.pieces([text])
        return [(word.start, word.end) for word in weigh_words(text, encoding, {})]


def _word_around(span: Span, words: Sequence[Span]) -> Span:
    """The word that a token stands in; the token itself if it is none."""
    place = bisect.bisect_right(words, (span[0], sys.maxsize)) - 1
    return words[place] if place >= 0 and span[0] < words[place][1] else span


def _alignment(
    query: str, query_span: Span, content: str, span: Span, title_length: int, passage: Passage, similarity: float
) -> Alignment:
    in_title = span[0] < title_length
    shift = 0 if in_title else passage.start - title_length
    return Alignment(
        query_word=query[slice(*query_span)],
        query_start=query_span[0],
        query_end=query_span[1],
        document_word=content[slice(*span)],
        field="title" if in_title else "text",
        document_start=span[0] + shift,
        document_end=span[1] + shift,
        similarity=similarity,
    )


def _row(matrix: sp.csr_array) -> dict[int, float]:
    return dict(zip(*row_weights(sp.csr_array(matrix), 0), strict=True))


def _is_word(token: str) -> bool:
    return any(character.isalnum() for character in token)
