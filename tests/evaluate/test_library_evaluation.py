"""A library that is small enough to score everything answers as its model does."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

import trivec
from trivec import Encoder
from trivec.errors import InputError
from trivec.evaluate.evaluation import evaluate
from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.library_evaluation import evaluate_library
from trivec.evaluate.options import EvaluateOptions


def test_a_small_library_answers_as_its_model_scores(
    judged: JudgedSet, load_tiny: Callable[..., Encoder], tmp_path: Path
) -> None:
    encoder = load_tiny("m3")
    expected = evaluate(encoder, judged)
    with trivec.open(tmp_path / "library", encoder) as library:
        library.add(judged.documents)
        found = evaluate_library(library, replace(judged, documents=[]))
    assert list(found.systems) == list(expected.systems)
    for name, system in found.systems.items():
        assert system.weights == expected.systems[name].weights
        for query, ranking in system.run.rankings.items():
            own = expected.systems[name].run.rankings[query]
            # a store keeps learned weights and token vectors in fewer bits
            assert {document: own[document] for document in ranking} == pytest.approx(dict(ranking), abs=1e-2)
        assert system.measured.means() == pytest.approx(expected.systems[name].measured.means(), abs=0.02)
        assert system.latency is not None and 0 < system.latency.p50 <= system.latency.p95
    assert found.cost.passages == expected.cost.passages
    assert found.cost.library_bytes > 0


def test_a_query_can_be_kept_from_finding_itself(
    judged: JudgedSet, load_tiny: Callable[..., Encoder], tmp_path: Path
) -> None:
    queries = [replace(query, id=f"d{3 * number}") for number, query in enumerate(judged.queries)]
    relevance = {query.id: {f"d{3 * number + 1}": 1} for number, query in enumerate(queries)}
    themselves = JudgedSet("set", queries, [], relevance)
    with trivec.open(tmp_path / "library", load_tiny("m3")) as library:
        library.add(judged.documents)
        found = evaluate_library(library, themselves, EvaluateOptions(["bm25"], ["R@100"], without_self=True))
        with pytest.raises(InputError, match="measure its model"):
            evaluate_library(
                library, replace(themselves, answers={"q": ["x"]}), EvaluateOptions(measures=["Success@5"])
            )
    for query in queries:
        assert query.id not in found.systems["bm25"].run.rankings[query.id]
