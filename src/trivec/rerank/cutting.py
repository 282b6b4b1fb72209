"""Where a query and a document are cut to fit a row together: the document gives way first."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from trivec.encode.tokenizer import TextTokenizer

logger = logging.getLogger(__name__)


def cut_pairs(
    tokenizer: TextTokenizer, pairs: Sequence[tuple[str, str]], query_room: int, room: int
) -> list[tuple[list[int], list[int]]]:
    """Tokens of both texts of each pair, without special ones; what is cut is told in the log.

    A text that stands in several pairs is split into tokens once.

    Args:
        tokenizer: that of the model.
        pairs: of query and document, with whatever is put before them.
        query_room: tokens of a query at most.
        room: tokens of both together at most.
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
        cut_documents += len(document) > left
        cut.append((query, document[:left]))
    if cut_queries:
        logger.warning("%d queries are longer than %d tokens and were cut there", len(cut_queries), query_room)
    if cut_documents:
        logger.warning("%d of %d documents had no room for all of their tokens and were cut", cut_documents, len(cut))
    return cut


def _pieces(tokenizer: TextTokenizer, texts: Sequence[str]) -> dict[str, list[int]]:
    different = list(dict.fromkeys(texts))
    encodings = tokenizer.pieces(different)
    return {text: encoding.ids for text, encoding in zip(different, encodings, strict=True)}
