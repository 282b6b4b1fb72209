"""Which stretch of a long document is read."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec.encode.tokenizer import TextTokenizer
from trivec.rerank.cutting import best_start, cut_pairs

IDS = st.lists(st.integers(3, 12), max_size=40)


def worth(query: list[int], stretch: list[int]) -> float:
    return sum(math.log(2 + token) for token in sorted(set(query) & set(stretch)))


def test_what_is_shared_stands_in_the_middle() -> None:
    document = [100] * 20 + [7, 100, 9] + [100] * 20
    start = best_start([7, 8, 9], document, 9)
    assert document[start : start + 9] == [100] * 3 + [7, 100, 9] + [100] * 3


def test_a_rare_token_outweighs_frequent_ones() -> None:
    document = [3, 4] + [50] * 30 + [90_000] + [50] * 30
    assert 90_000 in document[best_start([3, 4, 90_000], document, 5) :][:5]
    assert math.log(2 + 90_000) > math.log(5) + math.log(6)


def test_a_repeated_token_counts_once() -> None:
    document = [7, 7, 7, 7] + [50] * 20 + [7, 9]
    assert best_start([7, 9], document, 4) == len(document) - 4


def test_without_anything_shared_it_is_the_start() -> None:
    assert best_start([3], [50] * 30, 10) == 0
    assert best_start([], [50] * 30, 10) == 0


@given(IDS, IDS, st.integers(1, 20))
def test_no_stretch_shares_more(query: list[int], document: list[int], length: int) -> None:
    start = best_start(query, document, length)
    last = max(0, len(document) - length)
    assert 0 <= start <= last
    best = max(worth(query, document[at : at + length]) for at in range(last + 1))
    assert worth(query, document[start : start + length]) == pytest.approx(best)


def test_pairs_keep_the_best_stretch_or_the_start(
    tiny: Callable[[str], Path], caplog: pytest.LogCaptureFixture
) -> None:
    tiny_tokenizer = TextTokenizer.from_file(tiny("m3") / "tokenizer.json")
    (encoding,) = tiny_tokenizer.pieces(["water boils"])
    document = "the cat sat on the mat " * 10 + "water boils" + " the cat sat on the mat" * 10
    (whole,) = tiny_tokenizer.pieces([document])
    room = len(encoding.ids) + 6
    ((query, best),) = cut_pairs(tiny_tokenizer, [("water boils", document)], 20, room + 6, "best")
    assert not caplog.records
    ((_, start),) = cut_pairs(tiny_tokenizer, [("water boils", document)], 20, room + 6)
    assert query == encoding.ids
    assert len(best) == len(start) == 12
    assert start == whole.ids[:12]
    assert set(encoding.ids) - set(start) and set(encoding.ids) <= set(best)
    ((_, short),) = cut_pairs(tiny_tokenizer, [("water", "boils")], 20, 30, "best")
    assert short == tiny_tokenizer.pieces(["boils"])[0].ids
