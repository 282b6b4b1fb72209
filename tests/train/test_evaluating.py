"""Measures of judged sets, against rankings made by hand and by brute force."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import ir_measures
import numpy as np
import pytest
from copy_task import rows, write, write_beir
from ir_measures import RR, R, nDCG

import trivec
from trivec.data.examples import Example
from trivec.evaluate.judged_sets import JudgedQuery, JudgedSet, from_examples, held_out
from trivec.evaluate.layouts import read_judged
from trivec.evaluate.set_vectors import encode_queries
from trivec.index.bm25 import Bm25Index
from trivec.index.queries import term_counts
from trivec.scoring import score
from trivec.train.comparing import comparison
from trivec.train.evaluating import Evaluator
from trivec.types import Document

HEADS = ("dense", "sparse", "multi")


def brute_force(judged: JudgedSet, encoder: trivec.Encoder) -> dict[str, float]:
    """Every score of every pair, ranked by ir-measures itself."""
    ids, texts = list(judged.texts), list(judged.texts.values())
    queries = encoder.encode_queries([query.text for query in judged.queries], [*HEADS, "terms"])
    passages = encoder.encode_documents(texts, [*HEADS, "terms"])
    scores = score(queries, passages)
    index = Bm25Index()
    assert passages.terms is not None
    index.add(ids, passages.terms)
    bm25 = np.stack([index.score(term_counts(query)) for query in queries])
    systems = {"dense": scores.dense, "sparse": scores.sparse, "multi": scores.multi, "hybrid": scores.hybrid,
               "bm25": bm25}  # fmt: skip
    values = {}
    for system, matrix in systems.items():
        assert matrix is not None
        listed = system not in ("sparse", "bm25")
        run = {
            query.id: {name: float(value) for name, value in zip(ids, row, strict=True) if value > 0 or listed}
            for query, row in zip(judged.queries, matrix, strict=True)
        }
        found = ir_measures.calc_aggregate([nDCG @ 10, R @ 100, RR @ 10], dict(judged.relevance), run)
        values |= {f"{system} {measure}": value for measure, value in found.items()}
    return values


def test_all_systems_equal_brute_force(load_tiny: Callable[..., trivec.Encoder], tmp_path: Path) -> None:
    judged = read_judged(write_beir(tmp_path / "beir"))
    assert (judged.name, len(judged.queries), len(judged.documents)) == ("beir", 20, 20)
    encoder = load_tiny("m3")
    found = Evaluator(judged).measure(encoder, HEADS)
    expected = brute_force(judged, encoder)
    assert found.keys() == expected.keys()
    assert found == pytest.approx(expected, abs=1e-6)


def test_only_the_heads_asked_for_are_measured(load_tiny: Callable[..., trivec.Encoder], tmp_path: Path) -> None:
    evaluator = Evaluator(read_judged(write_beir(tmp_path / "beir")))
    systems = {name.split()[0] for name in evaluator.measure(load_tiny("m3"), ("dense",))}
    assert systems == {"dense", "hybrid", "bm25"}


def test_a_query_has_its_own_prompt(load_tiny: Callable[..., trivec.Encoder]) -> None:
    encoder = load_tiny("m3")
    queries = [JudgedQuery("a", "the city", "in the book "), JudgedQuery("b", "the city"), JudgedQuery("c", "water")]
    documents = [Document("p", "the city"), Document("q", "water")]
    judged = JudgedSet("set", queries, documents, {"a": {"p": 1}, "b": {"p": 1}, "c": {"q": 1}})
    encoded = encode_queries(encoder, judged.queries, HEADS)
    for row, (query, prompt) in enumerate([("the city", "in the book "), ("the city", ""), ("water", "")]):
        alone = encoder.encode([query], HEADS, prompt)
        np.testing.assert_allclose(encoded.select([row]).dense, alone.dense, atol=1e-5)


def test_examples_become_a_set_of_their_different_texts() -> None:
    examples = [
        Example("q", ("a", "b"), ("c",)),
        Example("q", ("d",)),
        Example("q", ("a",), prompt="other: "),
    ]
    judged = from_examples("set", examples, ["c", "e"])
    assert list(judged.texts.values()) == ["a", "b", "c", "d", "e"]
    assert [(query.text, query.prompt) for query in judged.queries] == [("q", None), ("q", "other: ")]
    assert judged.relevance == {"q0": {"p0": 1, "p1": 1, "p3": 1}, "q1": {"p0": 1}}


def test_a_file_of_examples_is_a_set(tmp_path: Path) -> None:
    judged = read_judged(write(tmp_path / "dev.jsonl", rows(5, negatives=1)))
    assert (len(judged.queries), len(judged.documents)) == (5, 10)


def test_a_query_is_held_out_with_all_its_examples_whatever_else_there_is() -> None:
    queries = [f"query {number % 50}" for number in range(100)]
    out = held_out(queries, 0.3, 1000)
    assert 10 <= len(out) <= 50
    assert {number % 50 for number in out} == {number for number in out if number < 50}
    more = [*queries, *(f"new {number}" for number in range(50))]
    assert held_out(more, 0.3, 1000) >= out
    assert len(held_out(queries, 0.9, 3)) == 6
    assert held_out(queries, 0.9, 3) <= held_out(queries, 0.9, 9)


def test_before_is_the_first_measurement_and_after_the_final_one() -> None:
    records = [
        {"kind": "measurement", "step": 0, "set": "dev", "values": {"dense R@100": 0.25}},
        {"kind": "step", "step": 1, "loss": {}},
        {"kind": "measurement", "step": 1, "set": "dev", "values": {"dense R@100": 0.5}},
        {"kind": "final", "step": 2, "set": "dev", "values": {"dense R@100": 0.75}},
    ]
    assert comparison(json.loads(json.dumps(records))) == [
        {"set": "dev", "measure": "dense R@100", "before": 0.25, "after": 0.75, "change": 0.5}
    ]
