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
    from trivec.embeddings import Embeddings as Embeddings
    from trivec.embeddings import Fingerprint as Fingerprint
    from trivec.encode.encoder import Encoder as Encoder
    from trivec.encode.loading import load as load
    from trivec.errors import TrivecError as TrivecError
    from trivec.ragged import Ragged as Ragged
    from trivec.scoring import score as score
    from trivec.scoring import score_pairs as score_pairs
    from trivec.search.collection import Collection as Collection
    from trivec.search.collection import open_collection as open  # noqa: F401
    from trivec.search.hits import Hit as Hit
    from trivec.types import Document as Document

__version__ = "0.1.0"

_HOMES = {
    "Collection": "trivec.search.collection:Collection",
    "Document": "trivec.types:Document",
    "Embeddings": "trivec.embeddings:Embeddings",
    "Encoder": "trivec.encode.encoder:Encoder",
    "Fingerprint": "trivec.embeddings:Fingerprint",
    "Hit": "trivec.search.hits:Hit",
    "Ragged": "trivec.ragged:Ragged",
    "TrivecError": "trivec.errors:TrivecError",
    "load": "trivec.encode.loading:load",
    "open": "trivec.search.collection:open_collection",
    "score": "trivec.scoring:score",
    "score_pairs": "trivec.scoring:score_pairs",
}

__all__ = sorted(_HOMES)  # pyright: ignore


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module 'trivec' has no attribute {name!r}")
    module, attribute = _HOMES[name].split(":")
    value = getattr(importlib.import_module(module), attribute)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*globals(), *__all__]
