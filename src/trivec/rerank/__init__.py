"""Rerankers: a query and a document read together, and one number for how well the one answers the other.

`load_reranker` finds out which kind a folder holds. A kind is a `PairScorer`; everything that users ask for stands in
`Reranker`, the same for all kinds.
"""

from trivec.rerank.loading import load_reranker
from trivec.rerank.reranker import Pair, PairScorer, Ranked, Reranker

__all__ = ["Pair", "PairScorer", "Ranked", "Reranker", "load_reranker"]
