"""Comparing queries with documents: dense dot product, lexical match, masked MaxSim, and their mix.

All functions take `Embeddings` and know nothing of models. Notation: q queries, d documents; N_i and M_j the
numbers of vectors of query i and document j. M3-Embedding (Chen et al. 2024, 2402.03216) section 3:

    s_dense = <e_q, e_p>
    s_lex   = sum over t in q and p of w_q(t) w_p(t)
    s_mul   = 1/N sum_i max_j <E_q[i], E_p[j]>
    s       = w_1 s_dense + w_2 s_lex + w_3 s_mul

Multi-vectors are ragged, so the maximum sees real tokens only: a pair scores the same alone and in any batch,
also when all its similarities are negative.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from trivec.embeddings import Embeddings
from trivec.errors import InputError
from trivec.ragged import Ragged
from trivec.types import FloatArray, IntArray

M3_WEIGHTS: Mapping[str, float] = {"dense": 1.0, "sparse": 0.3, "multi": 1.0}
"""Weights of the hybrid score in M3-Embedding, equation (2)."""

_BLOCK = 1 << 20
"""Similarities held at once, in float32 values: 4 MB, which a core's cache keeps until their maximum is taken."""


@dataclass(frozen=True, eq=False)
class Scores:
    """Scores of every query against every document, (q, d), or of pairs, (n,). None: a head is missing."""

    dense: FloatArray | None
    sparse: FloatArray | None
    multi: FloatArray | None
    hybrid: FloatArray


def score(
    queries: Embeddings,
    documents: Embeddings,
    weights: Mapping[str, float] = M3_WEIGHTS,
    average: bool = False,
) -> Scores:
    """Every query against every document, by all heads that both sides have.

    Args:
        queries: q texts.
        documents: d texts.
        weights: of the heads in the hybrid sum. Heads that are not there take no part.
        average: divide the hybrid by the sum of the weights used, as FlagEmbedding prints it. The order of the
            documents is the same.

    Raises:
        InputError: no head with a weight is on both sides, or a weight names no head.
    """
    return _mix(queries, documents, weights, average, dense_scores, sparse_scores, maxsim_scores)


def score_pairs(
    queries: Embeddings,
    documents: Embeddings,
    weights: Mapping[str, float] = M3_WEIGHTS,
    average: bool = False,
) -> Scores:
    """Query i against document i, in time and memory proportional to the number of pairs.

    Raises:
        InputError: the sides have different lengths, or as in `score`.
    """
    if len(queries) != len(documents):
        raise InputError(f"{len(queries)} queries and {len(documents)} documents make no pairs: give as many of each")
    return _mix(queries, documents, weights, average, dense_pair_scores, sparse_pair_scores, maxsim_pair_scores)


_Scorer = Callable[[Embeddings, Embeddings], FloatArray]


def _mix(
    queries: Embeddings,
    documents: Embeddings,
    weights: Mapping[str, float],
    average: bool,
    dense: _Scorer,
    sparse: _Scorer,
    multi: _Scorer,
) -> Scores:
    scorers: dict[str, _Scorer] = {"dense": dense, "sparse": sparse, "multi": multi}
    unknown = set(weights) - set(scorers)
    if unknown:
        raise InputError(f"unknown head in weights: {', '.join(sorted(unknown))}; the heads are {', '.join(scorers)}")
    shared = [head for head in scorers if head in queries.heads and head in documents.heads]
    weighted = [head for head in shared if weights.get(head)]
    if not weighted:
        raise InputError(
            f"nothing to mix: queries have {queries.heads}, documents {documents.heads}, weights {dict(weights)}"
        )
    parts = {head: scorers[head](queries, documents) for head in shared}
    hybrid = np.zeros_like(parts[weighted[0]])
    for head in weighted:
        hybrid += np.float32(weights[head]) * parts[head]
    if average:
        hybrid /= np.float32(sum(weights[head] for head in weighted))
    return Scores(parts.get("dense"), parts.get("sparse"), parts.get("multi"), hybrid)


def dense_scores(queries: Embeddings, documents: Embeddings) -> FloatArray:
    """s_dense of all pairs, shape (q, d)."""
    queries.require("dense")
    documents.require("dense")
    assert queries.dense is not None and documents.dense is not None
    return queries.dense @ documents.dense.T


def dense_pair_scores(queries: Embeddings, documents: Embeddings) -> FloatArray:
    """s_dense of pair i, shape (n,)."""
    queries.require("dense")
    documents.require("dense")
    assert queries.dense is not None and documents.dense is not None
    scores: FloatArray = np.einsum("nd,nd->n", queries.dense, documents.dense)
    return scores


def sparse_scores(queries: Embeddings, documents: Embeddings) -> FloatArray:
    """s_lex of all pairs, shape (q, d)."""
    queries.require("sparse")
    documents.require("sparse")
    assert queries.sparse is not None and documents.sparse is not None
    return np.asarray((queries.sparse @ documents.sparse.T).toarray(), np.float32)


def sparse_pair_scores(queries: Embeddings, documents: Embeddings) -> FloatArray:
    """s_lex of pair i, shape (n,)."""
    queries.require("sparse")
    documents.require("sparse")
    assert queries.sparse is not None and documents.sparse is not None
    return np.asarray(queries.sparse.multiply(documents.sparse).sum(axis=1), np.float32).reshape(-1)


def maxsim_scores(queries: Embeddings, documents: Embeddings) -> FloatArray:
    """s_mul of all pairs, shape (q, d). Works in blocks of about 64 MB."""
    queries.require("multi")
    documents.require("multi")
    assert queries.multi is not None and documents.multi is not None
    return maxsim(queries.multi, documents.multi)


def maxsim_pair_scores(queries: Embeddings, documents: Embeddings) -> FloatArray:
    """s_mul of pair i, shape (n,)."""
    queries.require("multi")
    documents.require("multi")
    assert queries.multi is not None and documents.multi is not None
    pairs = zip(queries.multi, documents.multi, strict=True)
    return np.asarray([_one_maxsim(query, document) for query, document in pairs], np.float32)


def _one_maxsim(query_NC: FloatArray, document_MC: FloatArray) -> float:
    if not len(query_NC) or not len(document_MC):
        return 0.0
    return float((query_NC @ document_MC.T).max(axis=1).mean())


def maxsim(queries: Ragged, documents: Ragged) -> FloatArray:
    """s_mul of every query against every document, shape (q, d). A text without vectors scores 0."""
    result = np.zeros((len(queries), len(documents)), np.float32)
    for rows in _row_blocks(queries.lengths, max(1, _BLOCK // 4096)):
        query = queries.select(slice(rows[0], rows[-1] + 1))
        budget = max(1, _BLOCK // max(1, len(query.values)))
        for columns in _row_blocks(documents.lengths, budget):
            block = documents.select(slice(columns[0], columns[-1] + 1))
            result[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] = _maxsim_block(query, block)
    return result


def _maxsim_block(queries: Ragged, documents: Ragged) -> FloatArray:
    result = np.zeros((len(queries), len(documents)), np.float32)
    rows, columns = np.flatnonzero(queries.lengths), np.flatnonzero(documents.lengths)
    if not len(rows) or not len(columns):
        return result
    similarities = queries.values @ documents.values.T
    best = np.maximum.reduceat(similarities, documents.offsets[columns], axis=1)
    total = np.add.reduceat(best, queries.offsets[rows], axis=0)
    result[np.ix_(rows, columns)] = total / queries.lengths[rows, None].astype(np.float32)
    return result


def _row_blocks(lengths: IntArray, budget: int) -> list[IntArray]:
    """Runs of consecutive rows whose lengths add up to at most ``budget``, or single longer rows."""
    blocks: list[IntArray] = []
    ends = np.cumsum(lengths)
    start = 0
    while start < len(lengths):
        before = ends[start - 1] if start else 0
        stop = max(start + 1, int(np.searchsorted(ends, before + budget, side="right")))
        blocks.append(np.arange(start, stop))
        start = stop
    return blocks


def top_k(scores: FloatArray, k: int) -> tuple[IntArray, FloatArray]:
    """The k best columns of each row, best first, equal scores by lower column.

    Args:
        scores: (q, d), or (d,) for one query.
        k: at least 1; cut to d.

    Returns:
        Columns and their scores, both (q, k), or (k,) for one query.
    """
    if k < 1:
        raise InputError(f"k must be at least 1, got {k}")
    if scores.ndim == 1:
        columns, values = top_k(scores[None], k)
        return columns[0], values[0]
    chosen = np.empty((len(scores), min(k, scores.shape[1])), np.int64)
    for row, values in zip(chosen, scores, strict=True):
        row[:] = _best(values, len(row))
    return chosen, np.take_along_axis(scores, chosen, axis=1)


def _best(values: FloatArray, k: int) -> IntArray:
    if k == 0:
        return np.zeros(0, np.int64)
    threshold = np.partition(values, len(values) - k)[len(values) - k]
    above = np.flatnonzero(values > threshold)
    level = np.flatnonzero(values == threshold)[: k - len(above)]
    candidates = np.sort(np.concatenate([above, level]))
    return candidates[np.argsort(-values[candidates], kind="stable")]


def search(
    queries: Embeddings,
    documents: Embeddings,
    k: int,
    by: str = "hybrid",
    weights: Mapping[str, float] = M3_WEIGHTS,
    block: int = 8192,
) -> tuple[IntArray, FloatArray]:
    """Exact k best documents for each query, scored in blocks of documents.

    Args:
        queries: q texts.
        documents: d texts.
        k: how many to keep; cut to d.
        by: "dense", "sparse", "multi" or "hybrid".
        weights: of the heads, for "hybrid".
        block: documents scored at once.

    Returns:
        Document numbers and scores, both (q, k), best first, equal scores by lower number.
    """
    scorers: dict[str, _Scorer] = {
        "dense": dense_scores,
        "sparse": sparse_scores,
        "multi": maxsim_scores,
        "hybrid": lambda q, d: score(q, d, weights).hybrid,
    }
    if by not in scorers:
        raise InputError(f"cannot search by {by!r}: choose one of {', '.join(scorers)}")
    numbers = np.zeros((len(queries), 0), np.int64)
    best = np.zeros((len(queries), 0), np.float32)
    for start in range(0, len(documents), block):
        found, values = top_k(scorers[by](queries, documents[start : start + block]), k)
        numbers = np.concatenate([numbers, found + start], axis=1)
        best = np.concatenate([best, values], axis=1)
        kept, best = top_k(best, k)
        numbers = np.take_along_axis(numbers, kept, axis=1)
    return numbers, best
