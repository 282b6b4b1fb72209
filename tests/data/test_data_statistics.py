"""Counts of training data against hand-worked numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from trivec.data import Example, describe, prepare, write_examples
from trivec.data.statistics import Lengths, describe_examples, table

EXAMPLES = [
    Example("a b", ("x y z", "w"), ("n",), (1.0, 0.5), (0.1,), extra={"lang": "en"}),
    Example("a b", ("x y z", "w"), prompt="to: ", extra={"lang": "en"}),  # a duplicate
    Example("a b", ("other",), positive_scores=(1.0,), kind="symmetric_class", extra={"language": "de"}),
    Example("c", ("w", "w"), ("n", "m"), (1.0, 1.0), extra={"lang": None}),
]


def count_words(texts: Sequence[str]) -> list[int]:
    return [len(text.split()) for text in texts]


def test_hand_counted() -> None:
    found = describe_examples("set", EXAMPLES, count_words)
    assert (found.name, found.examples, found.positives, found.negatives) == ("set", 4, 7, 3)
    assert (found.with_negatives, found.with_scores, found.with_prompt, found.own_group_only) == (2, 2, 1, 1)
    assert (found.duplicates, found.repeated_queries, found.repeated_positives) == (1, 2, 3)
    assert found.kinds == {"symmetric_class": 1}
    assert found.languages == {"en": 2, "de": 1}
    assert found.query_tokens == Lengths(median=2, p95=2, longest=2, total=7)
    assert found.positive_tokens == Lengths(median=1, p95=3, longest=3, total=11)
    assert found.negative_tokens == Lengths(median=1, p95=1, longest=1, total=3)


def test_texts_are_told_apart_where_they_are_joined() -> None:
    examples = [Example("q", ("ab", "c")), Example("q", ("a", "bc")), Example("qa", ("b", "c"))]
    assert describe_examples("set", examples, None).duplicates == 0


def test_each_data_set_and_all_together(tmp_path: Path) -> None:
    write_examples(tmp_path / "d" / "a.jsonl", EXAMPLES)
    write_examples(tmp_path / "d" / "b.jsonl", EXAMPLES[:1] * 100)
    first, second, whole = describe(prepare([tmp_path / "d"], tmp_path / "cache"), count_words)
    assert first == describe_examples("a", EXAMPLES, count_words)
    assert second == describe_examples("b", EXAMPLES[:1] * 100, count_words)
    assert whole == describe_examples("all", EXAMPLES + EXAMPLES[:1] * 100, count_words)
    assert (first.duplicates, second.duplicates, whole.duplicates) == (1, 99, 101)


def test_without_a_tokenizer_nothing_is_said_of_lengths() -> None:
    assert describe_examples("set", EXAMPLES, None).query_tokens is None
    assert describe_examples("set", [Example("q", ("p",))], count_words).negative_tokens == Lengths(0, 0, 0, 0)


@given(st.lists(st.integers(1, 40), min_size=1, max_size=200))
def test_quantiles_are_those_of_the_sorted_lengths(lengths: list[int]) -> None:
    examples = [Example("w " * length, ("p",)) for length in lengths]
    found = describe_examples("set", examples, count_words).query_tokens
    expected = [int(np.quantile(lengths, share, method="inverted_cdf")) for share in (0.5, 0.95)]
    assert found == Lengths(expected[0], expected[1], max(lengths), sum(lengths))


def test_the_table_has_a_line_for_each() -> None:
    lines = list(table([describe_examples("set", EXAMPLES, count_words), describe_examples("other", [], None)]))
    assert lines[0].split()[:2] == ["data", "set"]
    assert lines[1].split() == ["set", "4", "7", "3", "2", "2", "1", "2", "/", "2", "1", "/", "3", "en,", "de"]
    assert lines[2].split() == ["other", "0", "0", "0", "0", "0", "0"]
