"""What a library's signals find for queries, deep enough to try every way of searching on it afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from trivec.embeddings import Embeddings
from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedQuery
from trivec.evaluate.proposals import Proposed
from trivec.search.collection import Collection
from trivec.search.retrieval import with_bm25_share
from trivec.types import HEAD_OF_SIGNAL, FloatArray, IntArray, Signal, document_of


@dataclass(frozen=True, eq=False)
class FoundInLibrary:
    """The proposals for one query.

    Attributes:
        proposed: passages numbered from 0, in the order of their ids.
        owners: document id of each passage.
    """

    proposed: Proposed
    owners: Sequence[str]


def propose_from(library: Collection, queries: Sequence[JudgedQuery], depth: int) -> Iterator[FoundInLibrary]:
    """Ask a library by every signal that it has.

    Args:
        library: what is searched.
        queries: what for; their own prompts are not used, as a search does not.
        depth: passages that each of dense, sparse and BM25 proposes. MaxSim scores all of them.

    Raises:
        InputError: the library is empty.
    """
    signals = library.store.signals
    first = [signal for signal in signals if signal != "multi"]
    if not first:
        raise InputError("the library has no passages that could be proposed: add documents")
    heads = [HEAD_OF_SIGNAL[signal] for signal in signals]
    vectors = library.compression.queries(library.encoder.encode_queries([query.text for query in queries], heads))
    for vector in vectors:
        yield _found(library, vector, first, "multi" in signals, depth)


def _found(
    library: Collection, query: Embeddings, first: Sequence[Signal], has_multi: bool, depth: int
) -> FoundInLibrary:
    proposals = library.store.propose(first, query, depth, None, True)
    names = list(proposals.ids)
    order = np.asarray(sorted(range(len(names)), key=names.__getitem__), np.int64)
    found = with_bm25_share(library.store, query, proposals)
    scores: dict[Signal, FloatArray] = {signal: found[signal][order] for signal in first}
    if has_multi:
        scores["multi"] = proposals.score("multi", order)
    lists = {signal: _best(scores[signal], depth, signal) for signal in first}
    owners = [document_of(names[place]) for place in order.tolist()]
    everything: IntArray = np.arange(len(names))
    return FoundInLibrary(Proposed(everything, scores, lists, dict.fromkeys(scores, -np.inf)), owners)


def _best(scores: FloatArray, depth: int, signal: Signal) -> IntArray:
    """Places by score, best first; lexical signals list only passages that share a term with the query."""
    places = np.argsort(-scores, kind="stable")[:depth]
    return places[scores[places] > 0] if signal in ("sparse", "bm25") else places
