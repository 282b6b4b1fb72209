"""Rules against false negatives, each by a hand-worked example, and options that cannot be used."""

from __future__ import annotations

from typing import Any

import pytest

from trivec.data.mining import MiningOptions, Source
from trivec.data.mining.filters import Excluded, Limits
from trivec.errors import InputError


def verdict(score: float, positives: list[float], **options: Any) -> str | None:
    found = Limits.of(positives, MiningOptions(**options)).verdict(score)
    return None if found is None else found[0]


def test_percent_of_the_positive() -> None:
    # 0.95 x 0.8 = 0.76
    assert verdict(0.7599, [0.8]) is None
    assert verdict(0.7601, [0.8]) == "above-percent"
    assert verdict(0.7601, [0.8], percent=None) is None


def test_the_lowest_positive_counts() -> None:
    assert verdict(0.5, [0.9, 0.5]) == "above-percent"
    assert verdict(0.47, [0.9, 0.5]) is None  # 0.475
    assert verdict(0.45, [0.9, 0.5], percent=None, margin=0.04) is None
    assert verdict(0.47, [0.9, 0.5], percent=None, margin=0.04) == "within-margin"


@pytest.mark.parametrize("positive", [0.0, -0.4])
def test_a_share_of_nothing_gives_way_to_a_margin(positive: float) -> None:
    limits = Limits.of([0.9, positive], MiningOptions())
    assert limits.fell_back
    assert limits.verdicts == (("within-margin", pytest.approx(positive - 0.05)),)
    assert verdict(positive - 0.04, [positive]) == "within-margin"
    assert verdict(positive - 0.06, [positive]) is None
    assert verdict(positive - 0.06, [positive], margin=0.1) == "within-margin"
    assert not Limits.of([positive], MiningOptions(percent=None)).fell_back


def test_margin_and_percent_together() -> None:
    assert verdict(0.71, [0.8], margin=0.1) == "within-margin"
    assert verdict(0.69, [0.8], margin=0.1) is None
    assert verdict(0.19, [0.2], margin=0.0) == "above-percent"


def test_the_absolute_threshold() -> None:
    assert verdict(0.6, [0.9], below=0.6) == "above-threshold"
    assert verdict(0.59, [0.9], below=0.6) is None


def test_excluded_texts() -> None:
    excluded = Excluded(query=3, positives=frozenset({1, 2}), given=frozenset({4}))
    assert [excluded.verdict(number) for number in range(1, 6)] == ["positive", "positive", "query", "given", None]


@pytest.mark.parametrize(
    ("shares", "negatives", "expected"),
    [
        ({"dense": 1.0}, 7, {"dense": 7}),
        ({"dense": 50, "bm25": 25, "random": 25}, 8, {"dense": 4, "bm25": 2, "random": 2}),
        # 3.5, 1.75, 1.75: the two missing go to the largest remainders
        ({"dense": 50, "bm25": 25, "random": 25}, 7, {"dense": 3, "bm25": 2, "random": 2}),
        ({"dense": 1, "bm25": 1, "sparse": 1}, 2, {"dense": 1, "bm25": 1, "sparse": 0}),
    ],
)
def test_quotas_are_shares_by_largest_remainder(
    shares: dict[Any, float], negatives: int, expected: dict[str, int]
) -> None:
    sources = tuple(Source(by, share) for by, share in shares.items())
    assert MiningOptions(sources=sources, negatives=negatives).quotas == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"ranks": (5, 5)}, "hold no candidate"),
        ({"ranks": (-1, 5)}, "hold no candidate"),
        ({"negatives": 0}, "at least 1"),
        ({"sampling": "some"}, "no sampling 'some'"),
        ({"percent": 1.5}, "percent = 1.5"),
        ({"near_duplicate": 0.0}, "near_duplicate = 0.0"),
        ({"margin": float("nan")}, "margin = nan"),
        ({"sources": ()}, "first source"),
        ({"sources": (Source("random"),)}, "first source"),
        ({"sources": (Source("dense"), Source("dense", 2))}, "name one twice"),
        ({"weights": {"dense": 1.0}}, "not among the sources"),
        ({"graph_from": 0}, "graph_from"),
    ],
)
def test_options_that_cannot_be_used(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        MiningOptions(**options)


def test_sources_that_cannot_be_used() -> None:
    with pytest.raises(InputError, match="no source 'google'"):
        Source("google")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="share of dense is 0"):
        Source("dense", 0)
    with pytest.raises(InputError, match="not searched for"):
        Source("random").mode
