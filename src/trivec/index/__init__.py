"""From vectors to something searchable: stores of passages, filters, and BM25.

Here belongs everything that keeps `Embeddings` beside their passages and finds them again by one signal at a
time. `store.Store` says what a store must do; `native` is a folder on disk in our own files,
`embedded` one on Qdrant Edge, `memory` the exact reference.
Mixing signals, re-ranking and everything about documents live one floor up, in `trivec.search`.
"""

from trivec.index.bm25 import Bm25Index, Bm25Options
from trivec.index.embedded import EmbeddedStore
from trivec.index.embedded_shard import EmbeddedOptions
from trivec.index.filters import Filter, FilterLike, parse_filter
from trivec.index.memory import MemoryStore
from trivec.index.native.settings import NativeOptions
from trivec.index.native.store import NativeStore
from trivec.index.ranking import Ranking
from trivec.index.schema import VectorSchema
from trivec.index.store import Capabilities, Store, StoreStats

__all__ = [
    "Bm25Index",
    "Bm25Options",
    "Capabilities",
    "EmbeddedOptions",
    "EmbeddedStore",
    "Filter",
    "FilterLike",
    "MemoryStore",
    "NativeOptions",
    "NativeStore",
    "Ranking",
    "Store",
    "StoreStats",
    "VectorSchema",
    "parse_filter",
]
