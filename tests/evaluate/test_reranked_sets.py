"""Rankings that a reranker has read, against the same by hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

import trivec
from trivec import Encoder, Reranker
from trivec.errors import InputError
from trivec.evaluate.evaluation import evaluate
from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.library_evaluation import evaluate_library
from trivec.evaluate.options import EvaluateOptions
from trivec.evaluate.reporting import write_report
from trivec.evaluate.reranked_sets import RerankingOptions, reordered
from trivec.evaluate.results import Results, to_dict
from trivec.rerank.calibration import Calibration
from trivec.rerank.mixing import mixed_scores
from trivec.rerank.reranker import Pair
from trivec.search.second_stage import TunedReranker
from trivec.types import FloatArray


class SharedLetters:
    """Counts letters of the query in the document, and remembers what it read."""

    name, layers = "letters", ()

    def __init__(self) -> None:
        self.read: list[Pair] = []

    def score(self, pairs: Sequence[Pair]) -> FloatArray:
        self.read += pairs
        shared = [len(set(pair.query) & set(pair.document)) - 0.01 * len(pair.document) for pair in pairs]
        return np.asarray(shared, np.float32)[:, None]


def test_by_hand() -> None:
    logits = np.array([0.0, 2.0, 1.0, 9.0], np.float32)
    assert reordered(["a", "b", "c", "d"], logits, 3) == {"b": 2.0, "c": 1.0, "a": 0.0, "d": -1.0}
    assert list(reordered(["a", "b", "c", "d"], logits, 4)) == ["d", "b", "c", "a"]
    assert list(reordered(["a", "b"], np.zeros(2, np.float32), 5)) == ["a", "b"]
    assert reordered([], np.zeros(0, np.float32), 5) == {}


def test_every_depth_equals_reading_so_many(judged: JudgedSet, load_tiny: Callable[..., Encoder]) -> None:
    encoder, scorer = load_tiny("m3"), SharedLetters()
    options = EvaluateOptions(["dense", "hybrid"])
    found = evaluate(encoder, judged, options, reranking=RerankingOptions(Reranker(scorer), (3, 8)))
    assert list(found.systems) == ["dense", "hybrid", "hybrid+rerank@3", "hybrid+rerank@8"]
    assert len(scorer.read) == 8 * len(judged.queries)
    before = found.systems["hybrid"].run.rankings
    place = 0
    for query in judged.queries:
        names, pairs = list(before[query.id])[:8], scorer.read[place : place + 8]
        place += 8
        assert {pair.query for pair in pairs} == {query.text}
        for name, pair in zip(names, pairs, strict=True):
            assert pair.document[:40] in judged.texts[name] or judged.texts[name].find(pair.document[-40:]) >= 0
        logits = SharedLetters().score(pairs)[:, 0]
        for depth in (3, 8):
            ranking = found.systems[f"hybrid+rerank@{depth}"].run.rankings[query.id]
            assert list(ranking) == [
                *[names[row] for row in np.argsort(-logits[:depth], kind="stable")],
                *names[depth:],
            ]
            assert list(ranking.values()) == sorted(ranking.values(), reverse=True)
    assert found.systems["hybrid+rerank@8"].rerank_ms is not None
    assert found.systems["hybrid"].rerank_ms is None


def test_a_mix_has_the_arithmetic_of_search(judged: JudgedSet, load_tiny: Callable[..., Encoder]) -> None:
    encoder = load_tiny("m3")
    reranking = RerankingOptions(Reranker(SharedLetters()), (8,), first_stages=(0.0, 0.5, 0.5))
    found = evaluate(encoder, judged, EvaluateOptions(["hybrid"]), reranking=reranking)
    assert list(found.systems) == ["hybrid", "hybrid+rerank@8", "hybrid+rerank@8,first-stage=0.5"]
    assert found.systems["hybrid+rerank@8,first-stage=0.5"].first_stage == 0.5
    alone = found.systems["hybrid+rerank@8"].run.rankings
    mixed = found.systems["hybrid+rerank@8,first-stage=0.5"].run.rankings
    assert mixed != alone
    for query in judged.queries:
        before = dict(list(found.systems["hybrid"].run.rankings[query.id].items())[:8])
        logits = np.asarray([alone[query.id][name] for name in before], np.float32)
        totals = mixed_scores(logits, np.asarray(list(before.values()), np.float32), 0.5)
        expected = dict(zip(before, totals.tolist(), strict=True))
        assert dict(mixed[query.id]) == pytest.approx(expected)
        assert list(mixed[query.id].values()) == sorted(expected.values(), reverse=True)


def test_a_library_is_measured_with_its_reranker(
    judged: JudgedSet, load_tiny: Callable[..., Encoder], tmp_path: Path
) -> None:
    reranker = Reranker(SharedLetters(), Calibration("platt", (1.0,), (0.0,)), identity="letters")
    options = EvaluateOptions(["bm25", "hybrid"])
    with trivec.open(tmp_path / "library", load_tiny("m3")) as library:
        library.add(judged.documents)
        library.known_reranker(reranker)
        asked = evaluate_library(library, judged, options, reranking=RerankingOptions(reranker, (6,), "bm25"))
        library.configure_reranker(reranker, TunedReranker("letters", 7, 0.5, {}))
        library.configure(library.search_options.changed(reranker="letters"))
        own = evaluate_library(library, judged, options)
        hits = {query.id: library.search(query.text, 7) for query in judged.queries}
    assert list(asked.systems) == ["bm25", "hybrid", "bm25+rerank@6"]
    assert list(own.systems) == ["bm25", "hybrid", "hybrid+rerank@7,first-stage=0.5"]
    assert (own.reranker, own.calibration) == ("letters", "platt")
    for query, ranking in own.systems["hybrid+rerank@7,first-stage=0.5"].run.rankings.items():
        assert dict(ranking) == pytest.approx({hit.id: hit.score for hit in hits[query]})
    for query, ranking in asked.systems["bm25+rerank@6"].run.rankings.items():
        assert set(ranking) == set(list(asked.systems["bm25"].run.rankings[query])[:6])


def test_the_system_that_is_read_can_be_named(judged: JudgedSet, load_tiny: Callable[..., Encoder]) -> None:
    reranking = RerankingOptions(Reranker(SharedLetters()), (2,), "bm25")
    found = evaluate(load_tiny("m3"), judged, EvaluateOptions(["bm25", "dense"]), reranking=reranking)
    assert list(found.systems) == ["bm25", "dense", "bm25+rerank@2"]
    for query, ranking in found.systems["bm25+rerank@2"].run.rankings.items():
        assert set(ranking) == set(list(found.systems["bm25"].run.rankings[query])[:2])


def test_logits_are_kept(judged: JudgedSet, load_tiny: Callable[..., Encoder], tmp_path: Path) -> None:
    encoder, scorer = load_tiny("m3"), SharedLetters()
    options = EvaluateOptions(["dense"])
    first = evaluate(
        encoder, judged, options, tmp_path, reranking=RerankingOptions(Reranker(scorer, digest="one"), (5,))
    )
    again = evaluate(
        encoder, judged, options, tmp_path, reranking=RerankingOptions(Reranker(scorer, digest="one"), (5,))
    )
    assert len(scorer.read) == 5 * len(judged.queries)
    assert first.systems["dense+rerank@5"].run == again.systems["dense+rerank@5"].run
    assert again.systems["dense+rerank@5"].rerank_ms is None
    for digest in ("two", ""):
        evaluate(encoder, judged, options, tmp_path, reranking=RerankingOptions(Reranker(scorer, digest=digest), (5,)))
    assert len(scorer.read) == 15 * len(judged.queries)


def test_results_and_report_tell_the_time(judged: JudgedSet, load_tiny: Callable[..., Encoder], tmp_path: Path) -> None:
    options = EvaluateOptions(["dense"])
    results = Results(options)
    results.add(
        evaluate(load_tiny("m3"), judged, options, reranking=RerankingOptions(Reranker(SharedLetters()), (2, 4)))
    )
    (told,) = to_dict(results)["results"]
    assert told["reranker"] == "letters"
    assert told["systems"]["dense+rerank@4"]["first_stage"] == 0
    assert "calibration" not in told
    assert told["systems"]["dense+rerank@4"]["rerank_ms"] >= told["systems"]["dense+rerank@2"]["rerank_ms"] >= 0
    write_report(tmp_path / "report.html", results)
    assert "Quality and time of reranking" in (tmp_path / "report.html").read_text("utf-8")


def test_the_weight_that_a_reranker_came_with_counts_where_none_is_named() -> None:
    own = RerankingOptions(Reranker(SharedLetters(), first_stage=0.5), (2, 4))
    assert [str(order) for order in own.orders] == ["rerank@2,first-stage=0.5", "rerank@4,first-stage=0.5"]
    named = RerankingOptions(Reranker(SharedLetters(), first_stage=0.5), (2,), first_stages=(0.0, 1.0))
    assert [str(order) for order in named.orders] == ["rerank@2", "rerank@2,first-stage=1"]


def test_what_cannot_be_reranked(judged: JudgedSet, load_tiny: Callable[..., Encoder]) -> None:
    reranker = Reranker(SharedLetters())
    with pytest.raises(InputError, match="depths must be numbers of at least 1, got \\[0\\]"):
        RerankingOptions(reranker, (0,))
    with pytest.raises(InputError, match="first_stage must be a weight of at least 0, got -1"):
        RerankingOptions(reranker, first_stages=(0.5, -1.0))
    for systems, base in ((["dense"], "hybrid"), (["bm25-words"], "")):
        with pytest.raises(InputError, match="what is reranked must be one of the systems that mix signals"):
            evaluate(
                load_tiny("m3"), judged, EvaluateOptions(systems), reranking=RerankingOptions(reranker, (2,), base)
            )
