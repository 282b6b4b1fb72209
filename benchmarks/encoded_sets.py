"""Sets with their vectors, and every signal's scores as whole matrices: what several of the benchmarks begin with.

Documents are cut, encoded and mixed exactly as a library does it: passages of the model's window, candidates by each
signal that has a weight, MaxSim over the best of their union, each document at its best passage.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import ir_measures
import numpy as np
from ir_measures import R, nDCG

from trivec import Embeddings, Encoder
from trivec.evaluate import ranking
from trivec.index import Bm25Index
from trivec.index.queries import term_counts
from trivec.scoring import dense_scores, maxsim_scores, sparse_scores
from trivec.search.fusion import Fusion
from trivec.search.options import SearchOptions
from trivec.search.passages import PassageSplitter
from trivec.types import FloatArray, Head, Passage, Signal

from common import EvaluationSet

SYSTEMS = ("dense", "sparse", "bm25", "multi", "hybrid")
MEASURES = (nDCG @ 10, R @ 100)


@dataclass(frozen=True)
class EncodedSet:
    """Passages of a corpus, and the vectors of both sides."""

    passages: list[Passage]
    documents: Embeddings
    queries: Embeddings


def encode_set(encoder: Encoder, data: EvaluationSet, cache: Path | None) -> EncodedSet:
    """Cut and encode a set, or take the vectors from the cache."""
    splitter = PassageSplitter.for_encoder(encoder)
    passages = [passage for document in data.documents for passage in splitter.split(document)]
    documents = _cached(encoder, [splitter.content(passage) for passage in passages], "documents", cache)
    return EncodedSet(passages, documents, _cached(encoder, list(data.queries.values()), "queries", cache))


def _cached(encoder: Encoder, texts: Sequence[str], kind: str, cache: Path | None) -> Embeddings:
    encode = encoder.encode_queries if kind == "queries" else encoder.encode_documents
    if cache is None:
        return encode(texts)
    key = hashlib.sha256("\x00".join([encoder.fingerprint.digest, kind, *texts]).encode()).hexdigest()[:24]
    path = cache / f"{key}.safetensors"
    if not path.is_file():
        encode(texts, progress=True).save(path)
    return Embeddings.load(path)


def signal_scores(encoded: EncodedSet) -> dict[Signal, FloatArray]:
    """Every signal of every query and passage, (queries, passages) each; BM25 as a share of the query's most.

    Of the heads, those that the model has.
    """
    index = Bm25Index()
    names = [passage.id for passage in encoded.passages]
    assert encoded.documents.terms is not None
    index.add(names, encoded.documents.terms)
    bm25 = np.zeros((len(encoded.queries), len(names)), np.float32)
    for row, query in zip(bm25, encoded.queries, strict=True):
        counts = term_counts(query)
        most = sum(index.weights(counts).values())
        row[:] = index.score_passages(counts, names) / (most or 1.0)
    scorers: dict[Head, Callable[[Embeddings, Embeddings], FloatArray]] = {
        "dense": dense_scores,
        "sparse": sparse_scores,
        "multi": maxsim_scores,
    }
    there = [head for head in scorers if head in encoded.documents.heads]
    return {"bm25": bm25, **{head: scorers[head](encoded.queries, encoded.documents) for head in there}}


def system_scores(system: str, row: dict[Signal, FloatArray], options: SearchOptions) -> FloatArray:
    """One query's scores by one system; -inf for passages that are not listed."""
    rule = options.rule()
    if system in ("dense", "sparse", "bm25"):
        return row[system]  # type: ignore[index]
    first_stage = {name: scores for name, scores in row.items() if name != "multi" and rule.weights.get(name)}
    proposed = np.zeros(len(row["dense"]), bool)
    for scores in first_stage.values():
        proposed[np.argsort(-scores, kind="stable")[: options.candidates]] = True
    total = np.where(proposed, _total(rule, first_stage), -np.inf)
    kept = np.argsort(-total, kind="stable")[: options.shortlist]
    result = np.full(len(total), -np.inf, np.float32)
    if system == "multi":
        result[kept] = row["multi"][kept]
    else:
        result[kept] = _total(rule, {name: scores[kept] for name, scores in row.items()})
    return result


def _total(rule: Fusion, signals: dict[Signal, FloatArray]) -> FloatArray:
    return np.sum(list(rule.contributions(signals).values()), axis=0)


def evaluate(data: EvaluationSet, encoded: EncodedSet, options: SearchOptions) -> dict[str, dict[str, float]]:
    """Measures by system."""
    signals = signal_scores(encoded)
    names = [passage.document_id for passage in encoded.passages]
    results = {}
    for system in _systems(encoded):
        run = {}
        for number, query in enumerate(data.queries):
            row = {name: scores[number] for name, scores in signals.items()}
            run[query] = best_documents(system_scores(system, row, options), names)
        aggregated = ir_measures.calc_aggregate(MEASURES, data.qrels, run)
        results[system] = {str(measure): round(value, 4) for measure, value in aggregated.items()}
    return results


def _systems(encoded: EncodedSet) -> list[str]:
    return [system for system in SYSTEMS if system != "sparse" or encoded.documents.sparse is not None]


def best_documents(scores: FloatArray, names: Sequence[str], depth: int = 100) -> dict[str, float]:
    """Scores by document, each by its best passage."""
    listed = np.flatnonzero(np.isfinite(scores))
    return ranking.best_documents(listed, scores[listed], names, depth, None)
