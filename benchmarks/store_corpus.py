"""The passages that stores are measured on: real ones, and mixtures of them up to any number.

Real: the first N distinct positives of the training files under DATA, a share of each file, encoded by m3-small
(dense, multi, terms); the queries are those of other pairs. A synthetic passage is made of two real ones drawn at
random: its dense vector is a random convex mixture of theirs plus noise of a tenth of its length, scaled to 1; its
tokens are a random half of the tokens of each, with noise of a twentieth, scaled to 1; its terms are a random
half of the terms of each. The model has no learned sparse head: sparse weights here are ln(1 + count) x idf / 10
of the terms. Every passage has a ``bucket`` of 0 to 999 at random, so ``bucket < b`` passes b thousandths.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import scipy.sparse as sp

import trivec
from trivec.embeddings import Embeddings
from trivec.ragged import Ragged
from trivec.types import FloatArray, Passage

_STEP = 512
"""Passages written at a time."""


@dataclass(frozen=True, eq=False)
class Corpus:
    """Vectors of ``count`` passages, made piece by piece and always the same, and real queries."""

    real: Embeddings
    texts: list[str]
    queries: Embeddings
    count: int

    def batches(self) -> Iterator[tuple[list[Passage], Embeddings]]:
        """Passages with their vectors, some hundreds at a time."""
        for start in range(0, self.count, _STEP):
            rows = range(start, min(start + _STEP, self.count))
            yield [self._passage(row) for row in rows], self._vectors(rows)

    def _passage(self, row: int) -> Passage:
        text = self.texts[row % len(self.texts)]
        bucket = int(np.random.default_rng((1, row)).integers(1000))
        metadata = {"bucket": bucket, "lang": ["de", "en", "ja"][row % 3]}
        return Passage(f"{row:08d}", text, metadata=metadata, end=len(text), content_hash="0")

    def _vectors(self, rows: range) -> Embeddings:
        known = len(self.real)
        parts = []
        if rows.start < known:
            parts.append(self.real[rows.start : min(rows.stop, known)])
        if rows.stop > known:
            parts.append(self._mixed(rows.stop - max(rows.start, known), np.random.default_rng((2, rows.start))))
        return with_sparse(Embeddings.concatenate(parts), self.idf)

    def _mixed(self, count: int, rng: np.random.Generator) -> Embeddings:
        real = self.real
        assert real.dense is not None and real.multi is not None and real.terms is not None
        pairs = rng.integers(len(real), size=(count, 2))
        share = rng.uniform(0.2, 0.8, (count, 1)).astype(np.float32)
        dense = share * real.dense[pairs[:, 0]] + (1 - share) * real.dense[pairs[:, 1]]
        dense = _unit(dense + _noise(rng, dense.shape, 0.1))
        tokens = [np.concatenate([_half(real.multi[int(row)], rng) for row in pair]) for pair in pairs]
        multi = Ragged.from_rows(tokens, real.multi.width)
        multi = replace(multi, values=_unit(multi.values + _noise(rng, multi.values.shape, 0.05)))
        both = sp.csr_array(real.terms[pairs[:, 0]] + real.terms[pairs[:, 1]])
        both.data *= rng.random(len(both.data)) < 0.5
        both.eliminate_zeros()
        return Embeddings(dense, None, multi, sp.csr_array(both, dtype=np.float32))

    @property
    def idf(self) -> FloatArray:
        """Inverse document frequency of every term among the real passages."""
        terms = self.real.terms
        assert terms is not None
        found = np.bincount(terms.indices, minlength=terms.shape[1])
        return np.asarray(np.log1p((len(self.real) - found + 0.5) / (found + 0.5)), np.float32)


def with_sparse(vectors: Embeddings, idf: FloatArray) -> Embeddings:
    """The same with sparse weights made of the terms."""
    terms = vectors.terms
    assert terms is not None
    weights = np.log1p(terms.data) * idf[terms.indices] / 10
    sparse = sp.csr_array((weights.astype(np.float32), terms.indices, terms.indptr), shape=terms.shape)
    return replace(vectors, sparse=sparse, fingerprint=None)


def make_corpus(data: Path, cache: Path, count: int, real: int, queries: int = 100) -> Corpus:
    """Read, encode (once: the vectors are kept under ``cache``) and top up."""
    texts, questions = _texts(data, real, queries)
    real_vectors = _encoded(cache, texts, "documents")
    query_vectors = _encoded(cache, questions, "queries")
    corpus = Corpus(replace(real_vectors, fingerprint=None), texts, query_vectors, count)
    return replace(corpus, queries=with_sparse(query_vectors, corpus.idf))


def _texts(data: Path, real: int, queries: int) -> tuple[list[str], list[str]]:
    texts, questions = distinct_texts(data)
    chooser = random.Random(0)
    if len(texts) < real:
        raise SystemExit(f"{data} has {len(texts)} distinct passages, not {real}: ask for fewer with --real")
    return chooser.sample(texts, real), chooser.sample(questions, queries)


def distinct_texts(data: Path) -> tuple[list[str], list[str]]:
    """Distinct positives and queries of the question and title files under a folder of training pairs."""
    texts: dict[str, None] = {}
    questions: dict[str, None] = {}
    for path in sorted(data.glob("qa.*.jsonl.gz")) + sorted(data.glob("title.*.jsonl.gz")):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            for line in lines:
                pair = json.loads(line)
                texts.update(dict.fromkeys(pair["pos"]))
                questions[pair["query"]] = None
    return list(texts), list(questions)


def _encoded(cache: Path, texts: list[str], kind: str) -> Embeddings:
    digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]
    path = cache / f"m3-small-{kind}-{digest}.safetensors"
    if not path.is_file():
        encoder = trivec.load("m3-small")
        encode = encoder.encode_documents if kind == "documents" else encoder.encode_queries
        encode(texts, progress=True).save(path)
    return Embeddings.load(path)


def _half(tokens: FloatArray, rng: np.random.Generator) -> FloatArray:
    return tokens[rng.random(len(tokens)) < 0.5]


def _noise(rng: np.random.Generator, shape: tuple[int, ...], length: float) -> FloatArray:
    return rng.standard_normal(shape, np.float32) * np.float32(length / np.sqrt(shape[-1]))


def _unit(values: FloatArray) -> FloatArray:
    return np.asarray(values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), 1e-12), np.float32)
