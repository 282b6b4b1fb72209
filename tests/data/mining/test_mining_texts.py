"""Normal forms, near-duplicates, draws."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec.data.mining.bounded_cache import BoundedCache
from trivec.data.mining.near_duplicates import NearDuplicates, jaccard, shingles
from trivec.data.mining.sampling import Draw
from trivec.data.texts import normalised, text_key


def test_case_blanks_and_compatible_letters_make_no_difference() -> None:
    assert normalised("  Straße\n\u00a0ＡＢＣ  ①") == "strasse abc 1"
    assert text_key("Water  boils") == text_key("water boils\n")
    assert text_key("water boils") != text_key("water boiled")
    assert len(text_key("\ud800")) == 16


def stretches(text: str) -> set[str]:
    letters = normalised(text)
    return {letters[i : i + 5] for i in range(len(letters) - 4)} or {letters}


@given(st.text(max_size=60), st.text(max_size=60))
def test_jaccard_is_that_of_sets_of_five_letters(first: str, second: str) -> None:
    one, two = stretches(first), stretches(second)
    assert len(shingles(first)) == len(one)
    assert jaccard(shingles(first), shingles(second)) == pytest.approx(len(one & two) / len(one | two))


def test_near_duplicates_by_hand() -> None:
    near = NearDuplicates(0.5)
    texts = {1: "abcdefghij", 2: "abcdefgh", 3: "klmnopqrst", 4: "abcdef klmnop abcdefghij"}
    original = [shingles("ABCDEFGHIJ")]
    # abcdefgh has 4 of the 6 stretches of abcdefghij; the last has 6 of its 20, with those 6 shared
    assert near.unknown([1, 2]) == [1, 2]
    assert near.similarities([1, 2, 3, 4], texts, original) == {1: 1.0, 2: pytest.approx(4 / 6)}
    assert near.unknown([1, 2, 3, 4]) == []
    assert near.similarities([3], {}, [shingles("klmnopqrst")]) == {3: 1.0}


def test_the_cache_drops_what_was_used_longest_ago() -> None:
    cache: BoundedCache[str, int] = BoundedCache(10)
    for name, weight in (("a", 4), ("b", 4)):
        cache.put(name, weight, weight)
    assert cache.get("a") == 4
    cache.put("c", 4, 4)
    assert (cache.get("a"), cache.get("b"), cache.get("c")) == (4, None, 4)
    cache.put("large", 1, 99)
    assert cache.get("large") == 1 and cache.get("c") is None


@given(st.integers(1, 300), st.integers(0, 5), st.text(max_size=5))
def test_a_walk_visits_every_text_once(count: int, seed: int, query: str) -> None:
    assert sorted(Draw(seed, query).walk(count)) == list(range(count))


def test_an_order_depends_on_seed_and_query_and_not_on_what_else_is_there() -> None:
    order = Draw(1, "query").order(range(50))
    assert sorted(order) == list(range(50)) and order != list(range(50))
    assert Draw(1, "query").order(range(49, -1, -1)) == order
    assert Draw(1, "query").order([7, 30, 2]) == [number for number in order if number in (7, 30, 2)]
    assert Draw(2, "query").order(range(50)) != order != Draw(1, "other").order(range(50))
    assert list(Draw(0, "query").walk(0)) == []


def test_draws_are_even() -> None:
    first = Counter(Draw(0, f"query {number}").order(range(10))[0] for number in range(4000))
    walks = Counter(next(Draw(0, f"query {number}").walk(10)) for number in range(4000))
    for counts in (first, walks):
        squares = sum((counts[number] - 400) ** 2 / 400 for number in range(10))
        assert squares < 27.9  # chi-square of nine degrees of freedom, 0.1 %
    assert np.isclose(sum(first.values()), 4000)
