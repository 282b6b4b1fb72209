"""`Hit`: one result of a search, with every signal that made it one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Any

from trivec.rerank.reranking import Reranking
from trivec.types import Metadata, Passage, Signal

if TYPE_CHECKING:
    from trivec.search.explain import Explanation


@dataclass(frozen=True)
class Hit:
    """A passage that answers a query, and the document it stands in.

    Attributes:
        rank: from 1.
        score: the sum of ``contributions``; in a mode of one signal, that signal's score.
        passage: what was matched, with its place in the document (``start``, ``end`` in characters).
        signals: the raw score by each signal that was computed; ``dense`` and ``multi`` lie in [-1, 1].
        contributions: what each signal added to the score under the fusion rule.
        reranking: what a reranker thought of it, and where it stood before; None without one. With one, ``score`` is
            the reranker's, and ``contributions`` add up to ``reranking.first_score``.
        content: title and text as the model read them, and as a reranker does.
    """

    rank: int
    score: float
    passage: Passage
    signals: Mapping[Signal, float]
    contributions: Mapping[Signal, float]
    explainer: Callable[[Hit], Explanation] = field(repr=False, compare=False)
    reranking: Reranking | None = None
    content: str = field(kw_only=True, repr=False)

    @property
    def id(self) -> str:
        """Id of the document."""
        return self.passage.document_id

    @property
    def title(self) -> str:
        """Title of the document."""
        return self.passage.title

    @property
    def text(self) -> str:
        """Text of the passage."""
        return self.passage.text

    @property
    def metadata(self) -> Metadata:
        """Metadata of the document."""
        return self.passage.metadata

    def explain(self) -> Explanation:
        """Why it was found: matched words, token alignments, contributions."""
        return self.explainer(self)

    def moved(self, rank: int, score: float, reranking: Reranking) -> Hit:
        """The same hit where a reranker puts it."""
        return replace(self, rank=rank, score=score, reranking=reranking)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        passage = self.passage
        return {
            "rank": self.rank,
            "score": self.score,
            "id": passage.document_id,
            "title": passage.title,
            "text": passage.text,
            "metadata": dict(passage.metadata),
            "passage": {
                "number": passage.number,
                "count": passage.count,
                "start": passage.start,
                "end": passage.end,
            },
            "signals": dict(self.signals),
            "contributions": dict(self.contributions),
            **({} if self.reranking is None else {"reranking": asdict(self.reranking)}),
        }
