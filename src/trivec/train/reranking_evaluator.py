"""How well a reranker under training puts a few candidates of each query in order.

Candidates of a query are the documents that were judged for it, right ones first, and those that BM25 ranks highest,
so most of them share words with the query. BM25's own order of the same candidates stands beside, and no training
moves it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from trivec.encode.encoder import Encoder
from trivec.errors import InputError, require
from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.measures import measure
from trivec.index.bm25 import Bm25Index
from trivec.index.queries import row_weights
from trivec.rerank.cross_encoder import CrossEncoder
from trivec.rerank.pair_rows import PairRows
from trivec.rerank.reranker import Pair
from trivec.train.live_encoder import LiveModel
from trivec.train.pair_batches import prompted
from trivec.train.quiet import without_warnings
from trivec.train.reranker_options import RerankerEvaluationFields

_FROM_BM25, _MOST = 20, 100
"""Candidates of a query: by BM25, and in all."""

_TOGETHER = 4096
"""Pairs that are sorted by length together."""

Scored = dict[str, dict[str, float]]
"""Scores by query id and document id."""


class RerankingEvaluator:
    """Measures rerankers on one set, by the logit of their last layer. Candidates are looked for once.

    Args:
        judged: the set.
        rows: makes a row of a pair.

    Raises:
        InputError: nothing is judged as right in the set.
    """

    def __init__(self, judged: JudgedSet, rows: PairRows) -> None:
        require("ir_measures", "eval", "measuring reranking")
        if not any(grade > 0 for grades in judged.relevance.values() for grade in grades.values()):
            raise InputError(f"{judged.name} judges no document as relevant: nothing can be measured on it")
        self.judged = judged
        self._rows = rows
        self._bm25: Scored | None = None

    def measure_live(self, model: LiveModel) -> dict[str, float]:
        """Values by order and measure: ``rerank nDCG@10``, ``bm25 nDCG@10`` and so on."""
        if self._bm25 is None:
            self._bm25 = _candidates(self.judged, model.encoder)
        scorer = CrossEncoder(model.trained.checkpoint, model.runtime, self._rows)
        texts = self.judged.texts
        asked = {query.id: prompted(query.text, query.prompt) for query in self.judged.queries}
        places = [(query, document) for query, found in self._bm25.items() for document in found]
        reranked: Scored = {query: {} for query in self._bm25}
        for some in _blocks(places):
            with without_warnings("trivec.rerank"):
                logits = scorer.score([Pair(asked[query], texts[document]) for query, document in some])
            for (query, document), logit in zip(some, logits[:, -1].tolist(), strict=True):
                reranked[query][document] = logit
        return self._values("rerank", reranked) | self._values("bm25", self._bm25)

    def _values(self, name: str, run: Scored) -> dict[str, float]:
        means = measure(run, self.judged.relevance, RerankerEvaluationFields.MEASURES).means()
        return {f"{name} {which}": value for which, value in means.items()}


def _candidates(judged: JudgedSet, encoder: Encoder) -> Scored:
    """BM25's score of every candidate of every query."""
    texts = judged.texts
    names = list(texts)
    index = Bm25Index()
    index.add(names, encoder.count_terms(list(texts.values())))
    counts = encoder.count_terms([query.text for query in judged.queries])
    rows = {name: row for row, name in enumerate(names)}
    found: Scored = {}
    for number, query in enumerate(judged.queries):
        scores = index.score(dict(zip(*row_weights(counts, number), strict=True)))
        grades = judged.relevance.get(query.id, {})
        best = [names[row] for row in np.argsort(-scores, kind="stable")[:_FROM_BM25].tolist() if scores[row] > 0]
        chosen = list(dict.fromkeys([*_by_grade(grades, rows), *best]))[:_MOST]
        found[query.id] = {name: float(scores[rows[name]]) for name in chosen}
    return found


def _by_grade(grades: Mapping[str, int], there: Mapping[str, int]) -> list[str]:
    """Judged documents that are there, the best first, with room for some of BM25's."""
    judged = sorted((name for name in grades if name in there), key=lambda name: -grades[name])
    return judged[: _MOST - _FROM_BM25]


def _blocks(places: Sequence[tuple[str, str]]) -> Iterator[Sequence[tuple[str, str]]]:
    return (places[start : start + _TOGETHER] for start in range(0, len(places), _TOGETHER))
