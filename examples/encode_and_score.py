"""Encode texts and compare them: three kinds of vectors from one pass, and what each of them says.

    python examples/encode_and_score.py [MODEL]        # a name that trivec models lists, or a folder; default m3-small

Questions and sentences are in different languages on purpose.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np

import trivec
from trivec import Embeddings
from trivec.scoring import search

QUESTIONS = ["How do plants make sugar?", "Wie hoch ist der Kilimandscharo?"]
SENTENCES = [
    "Grüne Pflanzen bauen aus Licht, Wasser und Kohlendioxid Zucker auf.",
    "Kilimanjaro is 5,895 metres high.",
    "Le Rhin prend sa source dans les Alpes.",
]


def main() -> None:
    """Encode, score, keep."""
    encoder = trivec.load(sys.argv[1] if len(sys.argv) > 1 else "m3-small")
    questions = encoder.encode_queries(QUESTIONS)
    sentences = encoder.encode_documents(SENTENCES)
    print(f"{encoder.name}: {', '.join(encoder.heads)}")
    describe(sentences)

    scores = trivec.score(questions, sentences)
    for name in ("dense", "sparse", "multi", "hybrid"):
        matrix = getattr(scores, name)
        if matrix is not None:
            print(f"\n{name}\n{np.round(matrix, 3)}")

    best, values = search(questions, sentences, k=1)
    print()
    for question, row, value in zip(QUESTIONS, best[:, 0], values[:, 0], strict=True):
        print(f"{question}  ->  {SENTENCES[row]}  ({value:.3f})")

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sentences.safetensors"
        sentences.save(path)
        again = Embeddings.load(path)
        print(f"\nsaved and mapped again: {len(again)} texts in {path.stat().st_size:,} bytes")


def describe(vectors: Embeddings) -> None:
    """Shapes of what was made."""
    if vectors.dense is not None:
        print(f"dense: {vectors.dense.shape[0]} vectors of {vectors.dense.shape[1]}")
    if vectors.sparse is not None:
        print(f"sparse: {vectors.sparse.nnz} weights over {vectors.sparse.shape[1]} tokens")
    if vectors.multi is not None:
        print(f"multi: {vectors.multi.lengths.tolist()} vectors of {vectors.multi.width}")


if __name__ == "__main__":
    main()
