"""BM25 over whole documents, against the formula worked out."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from trivec import Encoder
from trivec.errors import InputError
from trivec.evaluate.counted_words import words
from trivec.evaluate.evaluation import evaluate
from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.options import EvaluateOptions
from trivec.types import join_title


def bm25(query: str, documents: Sequence[Sequence[str]]) -> list[float]:
    """Lucene's formula in float64, k1 = 0.9 and b = 0.4."""
    mean = sum(map(len, documents)) / len(documents)
    scores = [0.0] * len(documents)
    for term in words(query):
        holding = sum(term in document for document in documents)
        idf = math.log(1 + (len(documents) - holding + 0.5) / (holding + 0.5))
        for place, document in enumerate(documents):
            count = Counter(document)[term]
            if count:
                scores[place] += idf * count / (count + 0.9 * (1 - 0.4 + 0.4 * len(document) / mean))
    return scores


@pytest.mark.parametrize("depth", ["R@3", "R@100"])
def test_words_of_whole_documents(depth: str, judged: JudgedSet, load_tiny: Callable[..., Encoder]) -> None:
    result = evaluate(load_tiny("m3"), judged, EvaluateOptions(["bm25-words"], [depth]))
    [(name, found)] = result.systems.items()
    assert (name, found.weights, found.fusion, result.cost.passages) == ("bm25-words", {}, "", 0)
    texts = [words(join_title(document.title, document.text)) for document in judged.documents]
    for query in judged.queries:
        scores = dict(zip([document.id for document in judged.documents], bm25(query.text, texts), strict=True))
        expected = {document: score for document, score in scores.items() if score}
        assert found.run.rankings[query.id] == pytest.approx(expected, rel=1e-5)


def test_beside_other_systems(judged: JudgedSet, load_tiny: Callable[..., Encoder]) -> None:
    found = evaluate(load_tiny("m3"), judged, EvaluateOptions(["bm25-documents", "default", "bm25-words"]))
    assert list(found.systems)[-2:] == ["bm25-documents", "bm25-words"]
    assert len(found.systems) == 9
    assert found.worst  # of the last mix, for baselines say nothing of signals
    by_documents, by_passages = (found.systems[name].run.rankings["q1"] for name in ("bm25-documents", "bm25"))
    assert set(by_documents) == set(by_passages)


def test_a_query_can_be_kept_from_finding_itself(judged: JudgedSet, load_tiny: Callable[..., Encoder]) -> None:
    queries = [replace(query, id=f"d{3 * number}") for number, query in enumerate(judged.queries)]
    relevance = {query.id: {f"d{3 * number + 1}": 1} for number, query in enumerate(queries)}
    themselves = JudgedSet("set", queries, judged.documents, relevance)
    found = evaluate(load_tiny("m3"), themselves, EvaluateOptions(["bm25-words"], without_self=True))
    assert all(query not in ranking for query, ranking in found.systems["bm25-words"].run.rankings.items())


def test_twice_is_refused(judged: JudgedSet, load_tiny: Callable[..., Encoder]) -> None:
    with pytest.raises(InputError, match="a system is named twice in dense, bm25-words, bm25-words"):
        evaluate(load_tiny("m3"), judged, EvaluateOptions(["bm25-words", "dense", "bm25-words"]))
