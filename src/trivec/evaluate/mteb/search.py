"""A model and a system as mteb's ``SearchProtocol``: every passage is scored, by all signals of the system."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from trivec.encode.encoder import Encoder
from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedQuery, JudgedSet
from trivec.evaluate.mteb.candidates import CandidateScores
from trivec.evaluate.mteb.model_meta import describe
from trivec.evaluate.proposals import Proposed
from trivec.evaluate.ranking import rank_queries
from trivec.evaluate.scoring_pass import propose
from trivec.evaluate.set_vectors import SetEncoder
from trivec.evaluate.systems import Baseline, System, find_one, signals_of
from trivec.evaluate.whole_documents import rank_documents
from trivec.search.long_documents import LongDocuments
from trivec.types import HEAD_OF_SIGNAL, Document, Head, Signal

if TYPE_CHECKING:
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.models import ModelMeta
    from mteb.types import CorpusDatasetType, QueryDatasetType

logger = logging.getLogger(__name__)

_KINDS: Mapping[str, tuple[str, str]] = {
    "dense": ("dense", "cosine"),
    "sparse": ("sparse", "dot"),
    "bm25": ("sparse", "custom"),
    "multi": ("late-interaction", "MaxSim"),
}
"""What mteb calls a single signal, and how it compares."""
_TOLD = 100
"""Documents of a ranking for which it is told if they may not be the best."""


@dataclass
class MtebSearch:
    """Ranks documents for mteb's tasks of retrieval and reranking, as `trivec.evaluate.evaluate` does.

    Attributes:
        encoder: the model.
        system: a name or weights, see `trivec.evaluate.systems`.
        long_documents: how documents become passages; each document counts by its best one.
        candidates: passages that each signal lists for a mix; at least as many as documents are asked for.
        cache: folder that keeps the vectors of passages.
        kept_heads: those whose vectors are kept there for other systems as well; the system's own always are.

    Example:
        >>> hybrid = MtebSearch(trivec.load("m3-small"), "hybrid")                  # doctest: +SKIP
        >>> mteb.evaluate(hybrid, mteb.get_tasks(["BelebeleRetrieval"]))            # doctest: +SKIP
    """

    encoder: Encoder
    system: str = "hybrid"
    long_documents: LongDocuments = field(default_factory=LongDocuments)
    candidates: int = 1000
    cache: Path | None = None
    kept_heads: Sequence[Head] = ()

    def __post_init__(self) -> None:
        self._found = find_one(self.system, self.encoder)
        self._documents: list[Document] = []
        if self.candidates < 1:
            raise InputError(f"candidates must be at least 1, got {self.candidates}")

    @cached_property
    def mteb_model_meta(self) -> ModelMeta:
        """What mteb records of the model; the system is an experiment with it."""
        signals = self._found.signals if isinstance(self._found, System) else ("bm25",)
        kind, similarity = _KINDS[signals[0]] if len(signals) == 1 else ("hybrid", "custom")
        if kind == "dense" and not self.encoder.checkpoint.normalize:
            similarity = "dot"
        settings = {"system": self._found.name}
        if self.long_documents != LongDocuments():
            settings["long_documents"] = str(self.long_documents)
        return describe(self.encoder, kind, similarity, settings)

    @property
    def heads(self) -> list[Head]:
        """The vectors that the system compares."""
        return [HEAD_OF_SIGNAL[signal] for signal in self._signals if signal != "bm25"]

    @property
    def _signals(self) -> tuple[Signal, ...]:
        if isinstance(self._found, Baseline):
            return ()
        available = signals_of(self.encoder.heads)
        return tuple(signal for signal in self._found.signals if signal in available)

    def index(self, corpus: CorpusDatasetType, **task: object) -> None:
        """Take the documents; they are encoded when the queries come, in one pass.

        Args:
            corpus: rows with id, text and, if they have one, a title.
            task: the task and its options, on which nothing depends.
        """
        titles: Iterable[str | None] = corpus["title"] if "title" in corpus.column_names else [None] * len(corpus)
        rows = zip(corpus["id"], corpus["text"], titles, strict=True)
        self._documents = [Document(name, text or "", title or "") for name, text, title in rows]

    def search(
        self,
        queries: QueryDatasetType,
        *,
        task_metadata: TaskMetadata,
        top_k: int,
        encode_kwargs: Mapping[str, object],
        top_ranked: Mapping[str, Sequence[str]] | None = None,
        **task: object,
    ) -> dict[str, dict[str, float]]:
        """The best documents of every query, with their scores.

        Args:
            queries: rows with id and text, or a conversation, and if they have one, an instruction, which stands
                after the text.
            task_metadata: of the task.
            top_k: documents at most.
            encode_kwargs: whether to show a bar.
            top_ranked: for reranking: the documents of each query that are ranked, all of them, and no others.
            task: the split, the subset and options on which nothing depends.
        """
        judged = JudgedSet(task_metadata.name, _queries(queries, task_metadata), self._documents, {})
        show_progress = bool(encode_kwargs.get("show_progress_bar"))
        if top_ranked is not None:
            there = {document.id for document in self._documents}
            candidates = {query: [name for name in own if name in there] for query, own in top_ranked.items()}
            return self._rerank(judged, candidates, top_k, show_progress)
        if isinstance(self._found, Baseline):
            return _plain(rank_documents(self._found, self.encoder, judged, top_k, without_self=False))
        vectors = self._vectors(show_progress)
        found = propose(vectors, judged, self._signals, max(self.candidates, top_k))
        return self._rank(self._found, judged, found.proposals, found.owners, top_k)

    def _rerank(
        self, judged: JudgedSet, candidates: Mapping[str, Sequence[str]], top_k: int, show_progress: bool
    ) -> dict[str, dict[str, float]]:
        if isinstance(self._found, Baseline):
            everything = len(judged.documents)
            rankings = _plain(rank_documents(self._found, self.encoder, judged, everything, without_self=False))
        else:
            scores = CandidateScores(self._vectors(show_progress), judged, candidates, self._signals)
            rankings = self._rank(self._found, judged, scores, scores.owners, len(judged.documents))
        return {query: _only(ranking, candidates.get(query, ()), top_k) for query, ranking in rankings.items()}

    def _vectors(self, show_progress: bool) -> SetEncoder:
        kept = {*self.heads, *self.kept_heads}
        heads: list[Head] = [head for head in self.encoder.heads if head in kept]
        return SetEncoder(self.encoder, heads, self.long_documents, self.cache, show_progress)

    def _rank(
        self, system: System, judged: JudgedSet, proposals: Iterable[Proposed], owners: Sequence[str], depth: int
    ) -> dict[str, dict[str, float]]:
        rankings, uncertain = rank_queries([system], judged.queries, proposals, owners, depth, told=_TOLD)
        if uncertain[system.name]:
            logger.warning(
                "%s: more candidates than %d could change the first %d documents of %s for %d of %d queries",
                judged.name, max(self.candidates, depth), min(_TOLD, depth), system.name, uncertain[system.name],
                len(judged.queries),
            )  # fmt: skip
        return _plain(rankings[system.name])


def _queries(queries: QueryDatasetType, task_metadata: TaskMetadata) -> list[JudgedQuery]:
    """The queries with their texts as mteb gives them to encoders: with instructions, and conversations in one text."""
    from mteb._create_dataloaders import create_dataloader
    from mteb.types import PromptType

    batches = create_dataloader(queries, task_metadata=task_metadata, prompt_type=PromptType.query)
    texts = (text for batch in batches for text in batch["text"])
    return [JudgedQuery(name, text) for name, text in zip(queries["id"], texts, strict=True)]


def _plain(rankings: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    return {query: dict(ranking) for query, ranking in rankings.items()}


def _only(ranking: Mapping[str, float], candidates: Sequence[str], top_k: int) -> dict[str, float]:
    """The candidates as they are ranked, and after them those that share no term with the query, at 0."""
    wanted = set(candidates)
    found = {name: score for name, score in ranking.items() if name in wanted}
    return dict(list((found | {name: 0.0 for name in candidates if name not in found}).items())[:top_k])
