"""What a store of passages must do. Fusion and re-ranking live above it: every store gives the same hits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from trivec.embeddings import Embeddings
from trivec.index.filters import Filter
from trivec.index.proposals import Proposals
from trivec.index.ranking import Ranking
from trivec.types import FloatArray, Passage, Signal


@dataclass(frozen=True)
class Capabilities:
    """What a store does by itself, for people and for the planner."""

    name: str
    durable: bool
    exact_dense: bool
    """Whether `search` by dense vectors is exact; if not, it is approximate above some size."""
    concurrent_readers: bool
    atomic: bool
    """Whether an `upsert` is done as a whole or not at all, whatever its size and whenever the process ends."""
    multi_first_stage: bool = False
    """Whether `search` by multi-vectors scores only what something faster has proposed."""


@dataclass(frozen=True)
class StoreStats:
    """Size of a store: documents and passages, and bytes on disk (0 for one that lives in memory)."""

    documents: int
    """How many passages have number 0."""
    passages: int
    bytes: int


class Store(Protocol):
    """Passages with their vectors, searchable by each signal.

    A passage is named by `Passage.id`. ``query`` is always the `Embeddings` of one text. All writes are
    durable when the call returns, for stores whose capabilities say so. Scores are those of `trivec.scoring`,
    and BM25 as `trivec.index.bm25` defines it over all passages in the store, filtered or not.
    """

    @property
    def capabilities(self) -> Capabilities:
        """What this store does by itself."""
        ...

    @property
    def signals(self) -> tuple[Signal, ...]:
        """Signals that the stored vectors allow."""
        ...

    def upsert(self, passages: Sequence[Passage], vectors: Embeddings, remove: Sequence[str] = ()) -> None:
        """Add passages, or replace those with the same id. One row of ``vectors`` a passage.

        The first call settles the heads and widths of the store. If an id comes twice, the last one counts.

        Args:
            passages: what to add.
            vectors: of the passages, in the same order.
            remove: ids of passages that go with this step; unknown ids, and those of ``passages``, are ignored.
                A store that is not atomic removes them after it has added.

        Raises:
            InputError: numbers of rows differ, or a value cannot be stored; nothing was written.
            LibraryMismatchError: heads or widths are not those of the store; nothing was written.
        """
        ...

    def delete(self, ids: Sequence[str]) -> None:
        """Remove passages. Unknown ids are ignored."""
        ...

    def select(self, where: Filter | None = None) -> Iterator[Passage]:
        """All passages that pass a filter, ordered by id, without their vectors."""
        ...

    def count(self, where: Filter | None = None) -> int:
        """How many passages pass a filter."""
        ...

    def fetch(self, ids: Sequence[str]) -> list[Passage | None]:
        """Passages by id, in the order asked; None for an unknown id."""
        ...

    def vectors(self, ids: Sequence[str]) -> Embeddings:
        """Stored vectors of known passages, in the order asked.

        Raises:
            InputError: an id is unknown.
        """
        ...

    def search(self, signal: Signal, query: Embeddings, k: int, where: Filter | None = None) -> Ranking:
        """The best k passages by one signal. A store without passages gives an empty ranking.

        ``sparse`` and ``bm25`` leave out passages that share no term with the query. ``multi`` scores every
        passage that passes the filter.

        Raises:
            MissingHeadError: the query or the store has no vectors for the signal.
            LibraryMismatchError: the query's vectors have another width.
        """
        ...

    def score(self, signal: Signal, query: Embeddings, ids: Sequence[str]) -> FloatArray:
        """Exact scores of passages by one signal, shape (len(ids),).

        0 where no term is shared, and for an id that is not there: another thread may just have deleted it.
        """
        ...

    def propose(
        self, signals: Sequence[Signal], query: Embeddings, k: int, where: Filter | None = None, complete: bool = True
    ) -> Proposals:
        """The best k passages by each of several signals, together.

        Args:
            signals: as for `search`, at least one.
            query: of one text, with vectors for all of them.
            k: for each signal.
            where: which passages may be proposed.
            complete: score every passage by every one of the signals, and not only by those that proposed it.

        Raises:
            MissingHeadError, LibraryMismatchError: as `search`.
        """
        ...

    def term_weights(self, query: Embeddings) -> dict[int, float]:
        """The weight of each query term in BM25: idf times its count in the query."""
        ...

    def optimize(self) -> None:
        """Build or tidy search structures now."""
        ...

    def flush(self) -> None:
        """Make everything durable."""
        ...

    def snapshot(self, target: Path) -> None:
        """Copy the store, as of now, to a folder that does not exist yet."""
        ...

    def stats(self) -> StoreStats:
        """How much is stored."""
        ...

    def close(self) -> None:
        """Make everything durable, release files and locks. The store can only be closed again, which does nothing."""
        ...
