"""trivec: one encoder, three kinds of vectors; from raw text to explained hybrid search.

    import trivec
    encoder = trivec.load("m3-small")
    vectors = encoder.encode_documents(["..."])                          # Embeddings
    scores = trivec.score(encoder.encode_queries(["..."]), vectors)      # dense, sparse, multi, hybrid
    library = trivec.open("library", model="m3-small")                   # Collection
    library.add(documents); hits = library.search("...", k=10); hits[0].explain()

Names are imported on first use, so ``import trivec`` costs next to nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trivec.client.asynchronous import AsyncClient
    from trivec.client.synchronous import Client
    from trivec.embeddings import Embeddings
    from trivec.encode.encoder import Encoder
    from trivec.encode.loading import load
    from trivec.errors import TrivecError
    from trivec.fingerprint import Fingerprint
    from trivec.ragged import Ragged
    from trivec.rerank.loading import load_reranker
    from trivec.rerank.reranker import Reranker
    from trivec.scoring import score, score_pairs
    from trivec.search.collection import Collection
    from trivec.search.hits import Hit
    from trivec.search.opening import open_collection as open
    from trivec.types import Document

__version__ = "0.1.0"

_HOMES = {
    "AsyncClient": "trivec.client.asynchronous:AsyncClient",
    "Client": "trivec.client.synchronous:Client",
    "Collection": "trivec.search.collection:Collection",
    "Document": "trivec.types:Document",
    "Embeddings": "trivec.embeddings:Embeddings",
    "Encoder": "trivec.encode.encoder:Encoder",
    "Fingerprint": "trivec.fingerprint:Fingerprint",
    "Hit": "trivec.search.hits:Hit",
    "Ragged": "trivec.ragged:Ragged",
    "Reranker": "trivec.rerank.reranker:Reranker",
    "TrivecError": "trivec.errors:TrivecError",
    "load": "trivec.encode.loading:load",
    "load_reranker": "trivec.rerank.loading:load_reranker",
    "open": "trivec.search.opening:open_collection",
    "score": "trivec.scoring:score",
    "score_pairs": "trivec.scoring:score_pairs",
}

__all__ = [
    "AsyncClient",
    "Client",
    "Collection",
    "Document",
    "Embeddings",
    "Encoder",
    "Fingerprint",
    "Hit",
    "Ragged",
    "Reranker",
    "TrivecError",
    "load",
    "load_reranker",
    "open",
    "score",
    "score_pairs",
]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'trivec' has no attribute {name!r}")
    module, attribute = _HOMES[name].split(":")
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
