"""What an example is, how rows become examples, and what is refused."""

from __future__ import annotations

import math
import pickle
import subprocess
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec.data import Example, to_json
from trivec.data.rows import example_of
from trivec.errors import InputError


def test_a_line_of_flagembedding_with_all_its_fields() -> None:
    row = {
        "query": "q",
        "pos": ["a", "b"],
        "neg": ["c"],
        "pos_scores": [3, 2.5],
        "neg_scores": [-1.0],
        "prompt": "Find: ",
        "type": "only_1neg",
        "query_id": 7,
        "pos_ids": ["1", 2],
        "neg_ids": ["3"],
        "lang": "en",
        "batch_size": 4,
        "nothing": None,
    }
    example = example_of(row, "f.jsonl:1")
    assert example == Example(
        query="q",
        positives=("a", "b"),
        negatives=("c",),
        positive_scores=(3.0, 2.5),
        negative_scores=(-1.0,),
        prompt="Find: ",
        kind="only_1neg",
        query_id="7",
        positive_ids=("1", "2"),
        negative_ids=("3",),
        extra={"lang": "en", "batch_size": 4, "nothing": None},
    )
    assert example.place == "f.jsonl:1"
    assert to_json(example) == row | {"query_id": "7", "pos_ids": ["1", "2"]}


def test_the_least_that_an_example_needs() -> None:
    example = example_of({"query": "q", "pos": ["p"]})
    assert example == Example("q", ("p",))
    assert to_json(example) == {"query": "q", "pos": ["p"], "neg": []}
    assert example_of({"query": "q", "pos": ["p"], "neg": None, "prompt": None, "pos_scores": None}) == example


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"anchor": "q", "positive": "p"}, Example("q", ("p",))),
        ({"question": "q", "answer": "p", "id": 3}, Example("q", ("p",), extra={"id": 3})),
        ({"query": "q", "positive": "p", "negative": "n"}, Example("q", ("p",), ("n",))),
        ({"query": "q", "positives": ["p", "r"], "negatives": ["n", "m"]}, Example("q", ("p", "r"), ("n", "m"))),
        (
            {"anchor": "q", "negative_10": "z", "positive": "p", "negative_2": "b", "negative_1": "a"},
            Example("q", ("p",), ("a", "b", "z")),
        ),
        ({"anchor": "q", "positive": "p", "negative_1": "a", "negative_2": None}, Example("q", ("p",), ("a",))),
        ({"anchor": "q", "positive": "p", "score": 0.5}, Example("q", ("p",), (), (0.5,))),
        (
            {"anchor": "q", "positive": "p", "negative": "n", "scores": [0.9, 0.1]},
            Example("q", ("p",), ("n",), (0.9,), (0.1,)),
        ),
        (
            {"query": "q", "positive": "p", "negative": "n", "positive_scores": 0.9, "negative_scores": [0.1]},
            Example("q", ("p",), ("n",), (0.9,), (0.1,)),
        ),
        ({"query": "q", "question": "other", "pos": ["p"]}, Example("q", ("p",), extra={"question": "other"})),
        (
            {"query": "q", "pos": ["p"], "answer": "x", "label": 1},
            Example("q", ("p",), extra={"answer": "x", "label": 1}),
        ),
    ],
)
def test_columns_of_other_layouts(row: dict[str, Any], expected: Example) -> None:
    assert example_of(row) == expected
    assert example_of(to_json(expected)) == expected


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (["q"], r"not an object .* a list \['q'\]: give one object"),
        ({"pos": ["p"]}, "no query: there are 'pos'; name a column 'query' or 'anchor' or 'question'"),
        ({}, "no query: there are no columns"),
        ({"query": "q", "text": "p"}, "no positives: there are 'query', 'text'; name a column 'pos' or"),
        ({"query": "q", "pos": "p"}, r"'pos' is text 'p', not a list: write a list of texts, such as \{"),
        ({"query": "q", "pos": ["p"], "neg": "n"}, "'neg' is text 'n', not a list"),
        ({"query": "q", "pos": {"a": 1}}, "'pos' is an object"),
        ({"query": "q", "pos": ["p", 5]}, "item 2 of 'pos' is a number 5, not text"),
        ({"query": "q", "pos": [["p"]]}, "item 1 of 'pos' is a list"),
        ({"query": "q", "pos": []}, "no positives: give at least one text in 'pos'"),
        ({"query": "q", "pos": None}, "no positives"),
        ({"query": "q", "pos": ["p", " \n"]}, "text 2 of 'pos' is empty"),
        ({"query": "q", "pos": ["p"], "neg": [""]}, "text 1 of 'neg' is empty"),
        ({"query": "  ", "pos": ["p"]}, "the query is empty"),
        ({"query": None, "pos": ["p"]}, "'query' is null"),
        ({"query": 3, "pos": ["p"]}, "'query' is a number 3, not text: make it a string"),
        ({"query": "q", "pos": ["p"], "pos_scores": [1, 2]}, "'pos' has 1 texts and 2 scores: give one score"),
        ({"query": "q", "pos": ["p"], "neg": ["n"], "neg_scores": []}, "'neg' has 1 texts and 0 scores"),
        ({"query": "q", "pos": ["p"], "pos_scores": [math.nan]}, "score 1 of 'pos' is nan: give a finite number"),
        ({"query": "q", "pos": ["p"], "neg": ["n"], "neg_scores": [-math.inf]}, "score 1 of 'neg' is -inf"),
        ({"query": "q", "pos": ["p"], "pos_scores": ["1"]}, "item 1 of 'pos_scores' is text '1': give a number"),
        ({"query": "q", "pos": ["p"], "pos_scores": [True]}, "item 1 of 'pos_scores' is a truth value"),
        ({"query": "q", "pos": ["p"], "pos_scores": [10**400]}, "too large for a score"),
        ({"anchor": "q", "positive": "p", "negative": "n", "scores": [1, 2, 3]}, "'scores' has 3 numbers for 1 pos"),
        ({"anchor": "q", "positive": "p", "label": 0}, "pairs with a 'label' do not say which text is right"),
        ({"query": "q", "pos": ["p"], "prompt": 1}, "'prompt' is a number 1, not text"),
        ({"query": "q", "pos": ["p"], "type": ["a"]}, "'type' is a list"),
        ({"query": "q", "pos": ["p"], "query_id": 1.5}, "'query_id' is a number 1.5: make it a string or a whole"),
        ({"query": "q", "pos": ["p"], "pos_ids": "1"}, "'pos_ids' is text '1', not a list"),
        ({"query": "q", "pos": ["p"], "pos_ids": ["1", "2"]}, "'pos' has 1 texts and 2 ids"),
        ({"query": "q", "pos": ["p"], "pos_ids": [None]}, "item 1 of 'pos_ids' is null"),
        ({"query": "q", "pos": ["p"], "in_batch_negatives": "no"}, "'in_batch_negatives' is text 'no'"),
    ],
)  # fmt: skip
def test_rows_that_are_refused(row: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        example_of(row)


@pytest.mark.parametrize(
    ("kind", "in_batch", "prompts_passages", "most"),
    [
        ("", True, False, None),
        ("retrieval", True, False, None),
        ("only_1neg", True, False, 1),
        ("no_in_batch_neg", False, False, None),
        ("symmetric_sts", True, True, None),
        ("symmetric_class", False, False, 3),
        ("symmetric_clustering", False, True, None),
    ],
)
def test_what_kinds_mean(kind: str, in_batch: bool, prompts_passages: bool, most: int | None) -> None:
    example = Example("q", ("p",), ("a", "b", "c"), kind=kind)
    assert example.in_batch_negatives is in_batch
    assert example.prompts_passages is prompts_passages
    assert example.most_negatives == most


def test_a_single_example_can_keep_to_its_own_group() -> None:
    example = example_of({"query": "q", "pos": ["p"], "in_batch_negatives": False})
    assert not example.in_batch_negatives
    assert to_json(example)["in_batch_negatives"] is False
    assert example_of({"query": "q", "pos": ["p"], "in_batch_negatives": True}).in_batch_negatives
    assert not example_of({"query": "q", "pos": ["p"]}, own_group_only=True).in_batch_negatives


def test_the_place_is_no_part_of_the_value() -> None:
    first, second = (Example("q", ("p",), place=place) for place in ("a:1", "b:2"))
    assert first == second
    assert hash(first) == hash(second)
    assert pickle.loads(pickle.dumps(first)).place == "a:1"


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1).filter(str.strip)
numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(texts, st.lists(st.tuples(texts, numbers), min_size=1), st.lists(st.tuples(texts, numbers)), st.booleans())
def test_written_and_read_it_is_the_same(query: str, right: list[Any], wrong: list[Any], scored: bool) -> None:
    example = Example(
        query=query,
        positives=tuple(text for text, _ in right),
        negatives=tuple(text for text, _ in wrong),
        positive_scores=tuple(score for _, score in right) if scored else None,
        negative_scores=tuple(score for _, score in wrong) if scored else None,
        extra={"lang": query},
    )
    assert example_of(to_json(example)) == example


def test_reading_data_imports_nothing_heavy() -> None:
    script = "import sys, trivec.data; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert {"torch", "transformers", "pyarrow", "zstandard", "onnxruntime"}.isdisjoint(loaded)
