"""Another store under the same search: one that counts and times what is asked of it.

    python examples/custom_store.py [MODEL]        # a name that trivec models lists, or a folder; default m3-small

A library keeps its passages in a store, which may be any object that follows `trivec.index.Store`. This one hands
everything on to a store in memory and keeps a log. A store of your own answers the same calls from your own engine.
"""

from __future__ import annotations

import sys
import time
from collections import defaultdict
from collections.abc import Sequence

import trivec
from trivec import Document, Embeddings
from trivec.index import Filter, MemoryStore, Ranking
from trivec.search.collection import Collection
from trivec.search.manifest import Manifest
from trivec.types import FloatArray, Signal

DOCUMENTS = [
    Document("boiling", "Water boils at 100 °C at sea level, and earlier on a mountain."),
    Document("rhein", "Der Rhein fließt aus den Alpen in die Nordsee."),
    Document("zucker", "Pflanzen machen aus Licht, Wasser und Kohlendioxid Zucker."),
]


class WatchedStore(MemoryStore):
    """A store in memory that knows how often and how long it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds: dict[str, list[float]] = defaultdict(list)

    def search(self, signal: Signal, query: Embeddings, k: int, where: Filter | None = None) -> Ranking:
        """As `trivec.index.Store` says."""
        started = time.perf_counter()
        ranking = super().search(signal, query, k, where)
        self.seconds[f"search by {signal}"].append(time.perf_counter() - started)
        return ranking

    def score(self, signal: Signal, query: Embeddings, ids: Sequence[str]) -> FloatArray:
        """As `trivec.index.Store` says."""
        started = time.perf_counter()
        scores = super().score(signal, query, ids)
        self.seconds[f"score by {signal}"].append(time.perf_counter() - started)
        return scores


def main() -> None:
    """A library over the watched store."""
    encoder = trivec.load(sys.argv[1] if len(sys.argv) > 1 else "m3-small")
    store = WatchedStore()
    manifest = Manifest({"model": encoder.name}, encoder.fingerprint, "watched", search=encoder.checkpoint.settings)
    with Collection(None, store, manifest, encoder) as library:
        library.add(DOCUMENTS)
        store.seconds.clear()
        for hit in library.search("how do plants make sugar?", k=2):
            print(f"{hit.rank}. {hit.id}  {hit.score:.3f}")
        for call, times in store.seconds.items():
            print(f"{call:18} {len(times)} x  {1000 * sum(times):.2f} ms")


if __name__ == "__main__":
    main()
