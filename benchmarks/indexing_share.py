"""What part of indexing is the store's: reading, cutting and encoding documents against writing them.

    python benchmarks/indexing_share.py --data DATA/train --out benchmarks/results/indexing_share.json

Distinct positives of the training pairs are added to new libraries, one with each kind of store, and the time inside
the store is set against the whole.
"""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import trivec
from trivec import Document
from trivec.search.stores import KINDS

from common import environment, write_result
from store_corpus import distinct_texts


def main() -> None:
    """Measure and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--documents", type=int, default=1500)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    texts = random.Random(1).sample(distinct_texts(arguments.data)[0], arguments.documents)
    documents = [Document(str(number), text) for number, text in enumerate(texts)]
    encoder = trivec.load("m3-small")
    shares = {kind: _share(encoder, kind, documents) for kind in KINDS}
    result = {"environment": environment("qdrant-edge-py"), "documents": len(documents), "stores": shares}
    print(shares)
    write_result(arguments.out, result)


def _share(encoder: trivec.Encoder, kind: str, documents: list[Document]) -> dict[str, float]:
    inside = 0.0

    def timed(call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*values: Any, **named: Any) -> Any:
            nonlocal inside
            start = time.perf_counter()
            try:
                return call(*values, **named)
            finally:
                inside += time.perf_counter() - start

        return wrapper

    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        with trivec.open(Path(folder) / "library", model=encoder, store=kind) as library:
            for name in ("upsert", "delete", "fetch", "optimize", "flush", "close"):
                setattr(library.store, name, timed(getattr(library.store, name)))
            library.add(documents)
            library.optimize()
        whole = time.perf_counter() - start
    return {"seconds": round(whole, 2), "in the store": round(inside, 2), "share": round(inside / whole, 4)}


if __name__ == "__main__":
    main()
