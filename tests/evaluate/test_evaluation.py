"""All systems of a model on a set, against every score of every pair."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trivec import Encoder
from trivec.errors import InputError
from trivec.evaluate import set_vectors
from trivec.evaluate.evaluation import evaluate
from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.measures import measure
from trivec.evaluate.options import EvaluateOptions
from trivec.evaluate.set_vectors import SetEncoder
from trivec.index.bm25 import Bm25Index
from trivec.index.queries import term_counts
from trivec.scoring import dense_scores, maxsim_scores, sparse_scores
from trivec.search.long_documents import LongDocuments
from trivec.search.passages import PassageSplitter
from trivec.types import FloatArray, Signal

SYSTEMS = ("dense", "sparse", "bm25", "multi", "dense+sparse", "dense+sparse+multi", "hybrid", "dense=1,bm25=0.5")
WEIGHTS: dict[str, dict[Signal, float]] = {
    **{signal: {signal: 1.0} for signal in ("dense", "sparse", "bm25", "multi")},  # type: ignore[dict-item]
    "dense+sparse": {"dense": 1.0, "sparse": 0.3},
    "dense+sparse+multi": {"dense": 1.0, "sparse": 0.3, "multi": 1.0},
    "hybrid": {"dense": 1.0, "sparse": 0.3, "multi": 1.0},
    "dense=1,bm25=0.5": {"dense": 1.0, "bm25": 0.5},
}


def brute_force(encoder: Encoder, judged: JudgedSet) -> dict[str, dict[str, dict[str, float]]]:
    """Rankings by system: every score of every pair, documents at their best passage."""
    splitter = PassageSplitter.for_encoder(encoder)
    passages = [passage for document in judged.documents for passage in splitter.split(document)]
    assert len(passages) > len(judged.documents)
    vectors = encoder.encode_documents([splitter.content(passage) for passage in passages])
    queries = encoder.encode_queries([query.text for query in judged.queries])
    assert vectors.terms is not None
    index = Bm25Index()
    index.add([passage.id for passage in passages], vectors.terms)
    counts = [term_counts(query) for query in queries]
    signals: dict[Signal, FloatArray] = {
        "dense": dense_scores(queries, vectors),
        "sparse": sparse_scores(queries, vectors),
        "bm25": np.stack([index.score(own) / (sum(index.weights(own).values()) or 1) for own in counts]),
        "multi": maxsim_scores(queries, vectors),
    }
    found: dict[str, dict[str, dict[str, float]]] = {}
    for system, weights in WEIGHTS.items():
        total = sum(np.float32(weight) * signals[signal] for signal, weight in weights.items())
        assert isinstance(total, np.ndarray)
        lists_all = system not in ("sparse", "bm25")
        for query, row in zip(judged.queries, total, strict=True):
            ranking = found.setdefault(system, {}).setdefault(query.id, {})
            for passage, score in zip(passages, row.tolist(), strict=True):
                if lists_all or score > 0:
                    ranking[passage.document_id] = max(score, ranking.get(passage.document_id, -9.0))
    return found


@pytest.mark.parametrize("passages_a_part", [2048, 7])
def test_all_systems_equal_brute_force(
    passages_a_part: int, judged: JudgedSet, load_tiny: Callable[..., Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(set_vectors, "_PART", passages_a_part)
    encoder = load_tiny("m3")
    found = evaluate(encoder, judged, EvaluateOptions(SYSTEMS))
    expected = brute_force(encoder, judged)
    assert list(found.systems) == list(SYSTEMS)
    for system, result in found.systems.items():
        assert result.uncertain == 0
        for query, ranking in expected[system].items():
            assert result.run.rankings[query] == pytest.approx(ranking, abs=1e-5)
        for name, values in measure(expected[system], judged.relevance, ["nDCG@10", "R@100", "RR@10"]).values.items():
            assert result.measured.values[name] == pytest.approx(values, abs=1e-9)


def test_default_systems_are_those_that_the_model_has(judged: JudgedSet, load_tiny: Callable[..., Encoder]) -> None:
    names = list(evaluate(load_tiny("m3"), judged).systems)
    assert names == ["dense", "sparse", "bm25", "multi", "dense+sparse", "dense+sparse+multi", "hybrid"]
    assert list(evaluate(load_tiny("st-mean"), judged).systems) == ["dense", "bm25", "hybrid"]


def test_a_query_can_be_kept_from_finding_itself(judged: JudgedSet, load_tiny: Callable[..., Encoder]) -> None:
    queries = [replace(query, id=f"d{3 * number}") for number, query in enumerate(judged.queries)]
    relevance = {query.id: {f"d{3 * number + 1}": 1} for number, query in enumerate(queries)}
    themselves = JudgedSet("set", queries, judged.documents, relevance)
    encoder = load_tiny("m3")
    with_self = evaluate(encoder, themselves, EvaluateOptions(["bm25"], ["R@1"]))
    without = evaluate(encoder, themselves, EvaluateOptions(["bm25"], ["R@1"], without_self=True))
    for query in queries:
        assert query.id in with_self.systems["bm25"].run.rankings[query.id]
        assert query.id not in without.systems["bm25"].run.rankings[query.id]


def test_vectors_are_kept_and_a_stopped_run_goes_on(
    judged: JudgedSet, load_tiny: Callable[..., Encoder], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(set_vectors, "_PART", 7)
    encoder = load_tiny("m3")
    encode, calls = LongDocuments.encode, 0

    def encode_and_stop(self: LongDocuments, *arguments: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise KeyboardInterrupt
        return encode(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(LongDocuments, "encode", encode_and_stop)
    with pytest.raises(KeyboardInterrupt):
        evaluate(encoder, judged, cache=tmp_path)
    assert len(list(tmp_path.glob("*.safetensors"))) == 2
    first = evaluate(encoder, judged, cache=tmp_path)
    kept = len(list(tmp_path.glob("*.safetensors")))
    assert calls == 3 + kept - 2
    again = evaluate(encoder, judged, cache=tmp_path)
    assert calls == 3 + kept - 2
    assert again.cost.encoded == 0
    assert again.cost.passages_per_s is None
    assert first.cost.encoded == first.cost.passages - sum(
        map(len, SetEncoder(encoder, []).split(judged.documents)[:2])
    )
    for system, result in first.systems.items():
        assert result.run == again.systems[system].run
        assert result.run.rankings == evaluate(encoder, judged).systems[system].run.rankings


@pytest.mark.parametrize("step", [1, 8])
def test_a_ranking_that_more_candidates_would_change_is_told(
    step: int, judged: JudgedSet, load_tiny: Callable[..., Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trivec.evaluate.all_scores._MOST", 0)  # as a set that is too large for them
    monkeypatch.setattr("trivec.evaluate.options._LEAST_DEPTH", 6)
    encoder = load_tiny("m3")
    relevance = {query: {"d0": 1} for query in judged.relevance}
    few = replace(judged, documents=judged.documents[::step], relevance=relevance)
    told = []
    for candidates in (6, 9, 12, 1000):
        options = EvaluateOptions(["dense+sparse", "hybrid"], ["R@6"], candidates=candidates)
        found = evaluate(encoder, few, options)
        exact = evaluate(encoder, few, replace(options, candidates=1000))
        for name, result in found.systems.items():
            rankings = exact.systems[name].run.rankings
            assert sum(own != rankings[query] for query, own in result.run.rankings.items()) <= result.uncertain
        told.append(sum(result.uncertain for result in found.systems.values()))
    assert told[0] > told[1] >= told[2] >= told[3] == 0


def test_values_by_language(judged: JudgedSet, load_tiny: Callable[..., Encoder]) -> None:
    found = evaluate(load_tiny("m3"), judged, EvaluateOptions(["dense"]))
    values = found.systems["dense"].measured.values["nDCG@10"]
    by_language = found.by_language("nDCG@10")
    assert by_language["de"]["dense"] == pytest.approx(values[::3].mean())
    assert 8 * by_language["en"]["dense"] + 4 * by_language["de"]["dense"] == pytest.approx(12 * values.mean())


def test_documents_that_are_judged_and_not_there_are_counted(
    judged: JudgedSet, load_tiny: Callable[..., Encoder]
) -> None:
    relevance = {**judged.relevance, "q0": {"d0": 1, "lost": 1, "unjudged": 0}}
    found = evaluate(load_tiny("m3"), replace(judged, relevance=relevance), EvaluateOptions(["dense"]))
    assert found.unknown_documents == 1
    nowhere = {query: {f"x{document}": 1 for document in grades} for query, grades in judged.relevance.items()}
    with pytest.raises(InputError, match="none of the 24 documents that set judges as relevant is in its corpus"):
        evaluate(load_tiny("m3"), replace(judged, relevance=nowhere))


def test_a_set_without_relevant_documents_is_refused(judged: JudgedSet, load_tiny: Callable[..., Encoder]) -> None:
    nothing = {query: dict.fromkeys(grades, 0) for query, grades in judged.relevance.items()}
    with pytest.raises(InputError, match="set judges no document as relevant"):
        evaluate(load_tiny("m3"), replace(judged, relevance=nothing))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"systems": ["nonsense"]}, "there is no system 'nonsense'"),
        ({"systems": ["dense", "dense"]}, "a system is named twice"),
        ({"systems": ["dense=1,nonsense=2"]}, "'nonsense=2' in weights 'dense=1,nonsense=2' is no weight of a signal"),
        ({"systems": ["sparse"]}, "the system 'sparse' needs sparse, and the model gives dense, bm25"),
        ({"measures": ["nonsense"]}, "there is no measure 'nonsense'"),
        ({"candidates": 0}, "candidates must be at least 1"),
    ],
)
def test_bad_options_are_refused(
    options: dict[str, object], message: str, judged: JudgedSet, load_tiny: Callable[..., Encoder]
) -> None:
    with pytest.raises(InputError, match=message):
        evaluate(load_tiny("st-mean"), judged, EvaluateOptions(**options))  # type: ignore[arg-type]
