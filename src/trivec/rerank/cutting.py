"""Where a query and a document are cut to fit a row together: the document gives way first."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Literal, TypeAlias

from trivec.encode.tokenizer import TextTokenizer

logger = logging.getLogger(__name__)

Kept: TypeAlias = Literal["start", "best"]
"""What is kept of a document that is too long: its start, or the stretch that shares most with the query."""


def cut_pairs(
    tokenizer: TextTokenizer, pairs: Sequence[tuple[str, str]], query_room: int, room: int, kept: Kept = "start"
) -> list[tuple[list[int], list[int]]]:
    """Tokens of both texts of each pair, without special ones; what is cut at its end is told in the log.

    A text that stands in several pairs is split into tokens once.

    Args:
        tokenizer: that of the model.
        pairs: of query and document, with whatever is put before them.
        query_room: tokens of a query at most.
        room: tokens of both together at most.
        kept: of a document.
    """
    pieces = {place: _pieces(tokenizer, [pair[place] for pair in pairs]) for place in (0, 1)}
    cut = []
    cut_queries, cut_documents = set[str](), 0
    for query_text, document_text in pairs:
        query, document = pieces[0][query_text], pieces[1][document_text]
        if len(query) > query_room:
            cut_queries.add(query_text)
            query = query[:query_room]
        left = room - len(query)
        first = best_start(query, document, left) if kept == "best" else 0
        cut_documents += len(document) > left and kept == "start"  # the best stretch is what was asked for
        cut.append((query, document[first : first + left]))
    if cut_queries:
        logger.warning("%d queries are longer than %d tokens and were cut there", len(cut_queries), query_room)
    if cut_documents:
        logger.warning("%d of %d documents had no room for all of their tokens and were cut", cut_documents, len(cut))
    return cut


def best_start(query: Sequence[int], document: Sequence[int], length: int) -> int:
    """Where the stretch of a document begins that shares most with a query.

    Shared tokens count once, and more the rarer they are: vocabularies begin with what is frequent, and by Zipf's law
    the n-th has a share of about 1 / n, so the logarithm of its number is its weight. What is shared stands in the
    middle of the stretch; the first of equal ones is taken, and the start if nothing is shared.

    Args:
        query: its tokens.
        document: its tokens.
        length: of the stretch, in tokens.
    """
    worth = {token: math.log(2 + token) for token in query}
    places = [place for place, token in enumerate(document) if token in worth]
    most, first, last = 0.0, 0, 0
    for number, begin in enumerate(places):
        seen, end = set[int](), begin
        for place in places[number:]:
            if place >= begin + length:
                break
            if document[place] not in seen:
                seen.add(document[place])
                end = place
        shared = sum(worth[token] for token in sorted(seen))
        if shared > most:
            most, first, last = shared, begin, end
    return max(0, min((first + last + 1 - length) // 2, len(document) - length))


def _pieces(tokenizer: TextTokenizer, texts: Sequence[str]) -> dict[str, list[int]]:
    different = list(dict.fromkeys(texts))
    encodings = tokenizer.pieces(different)
    return {text: encoding.ids for text, encoding in zip(different, encodings, strict=True)}
