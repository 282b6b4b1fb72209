"""Scores and reasons for passages that are named: whether a search found them or not, and by every signal there is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from trivec.embeddings import Embeddings
from trivec.search.explain import Explainer, Explanation
from trivec.search.hits import Hit
from trivec.search.options import SearchOptions
from trivec.types import Passage, Signal

if TYPE_CHECKING:
    from trivec.search.collection import Collection


def every_signal(library: Collection) -> SearchOptions:
    """Options under which a query is encoded for all signals of a library."""
    return SearchOptions(weights=dict.fromkeys(library.store.signals, 1.0))


def explain_named(
    library: Collection, query: str, vectors: Embeddings, names: Sequence[str]
) -> list[Explanation | None]:
    """Explanations of passages, in order, with their scores by every signal and no contributions.

    Args:
        library: that holds them.
        query: what they are compared with.
        vectors: of the query, by `every_signal`.
        names: `Passage.id` of each; one that is not there has no explanation.
    """
    explain = Explainer(library, query, vectors)
    found = library.store.fetch(names)
    known = [passage.id for passage in found if passage is not None]
    scores = {signal: _scores(library, signal, vectors, known) for signal in library.store.signals}
    place = {name: row for row, name in enumerate(known)}

    def explained(passage: Passage) -> Explanation:
        signals = {signal: values[place[passage.id]] for signal, values in scores.items()}
        content = library.splitter.content(passage)
        return explain(Hit(1, sum(signals.values()), passage, signals, {}, explain, content=content))

    return [None if passage is None else explained(passage) for passage in found]


def _scores(library: Collection, signal: Signal, vectors: Embeddings, names: Sequence[str]) -> list[float]:
    """As a search gives them: BM25 as a share of the most that the query could bring."""
    scores: list[float] = library.store.score(signal, vectors, names).tolist()
    if signal != "bm25":
        return scores
    most = sum(library.store.term_weights(vectors).values())
    return [score / most if most > 0 else score for score in scores]
