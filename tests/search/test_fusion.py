from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trivec.errors import InputError
from trivec.search.fusion import FUSIONS, Fusion, MinMax, ReciprocalRank, WeightedSum, ZScore, make_fusion
from trivec.types import SIGNALS

NAN = math.nan
each_rule = pytest.mark.parametrize("name", FUSIONS)
ONES = dict.fromkeys(SIGNALS, 1.0)

signals = st.integers(1, 7).flatmap(
    lambda candidates: st.dictionaries(
        st.sampled_from(SIGNALS),
        st.lists(st.integers(-4, 4) | st.just(NAN), min_size=candidates, max_size=candidates),
        min_size=1,
    )
)
weights = st.dictionaries(st.sampled_from(SIGNALS), st.integers(0, 4), min_size=1).filter(lambda w: any(w.values()))


def arrays(values: Mapping[str, list[float]]) -> dict[str, np.ndarray]:
    return {name: np.asarray(scores, np.float32) for name, scores in values.items()}


def contributions(rule: Fusion, **values: list[float]) -> dict[str, list[float]]:
    """The rule's answer as lists, rounded as far as float32 goes."""
    parts = rule.contributions(arrays(values))
    return {name: [pytest.approx(float(x), abs=1e-6) for x in part] for name, part in parts.items()}


def test_weighted_sum_by_hand() -> None:
    rule = WeightedSum({"dense": 2.0, "sparse": 0.5})
    assert contributions(rule, dense=[0.5, -1, NAN], sparse=[4, NAN, 3], multi=[9, 9, 9]) == {
        "dense": [1, -2, 0],
        "sparse": [2, 0, 1.5],
    }


def test_weighted_sum_has_the_weights_of_m3() -> None:
    assert WeightedSum().weights == {"dense": 1.0, "sparse": 0.3, "multi": 1.0}
    assert contributions(WeightedSum(), dense=[1], sparse=[10], bm25=[7], multi=[0.5]) == {
        "dense": [1],
        "sparse": [3],
        "multi": [0.5],
    }


def test_reciprocal_rank_by_hand() -> None:
    # ranks: dense 1, 3, 2; bm25 1, 1, none: equal scores share the better rank
    rule = ReciprocalRank({"dense": 1.0, "bm25": 2.0})
    assert contributions(rule, dense=[0.9, 0.1, 0.5], bm25=[7, 7, NAN]) == {
        "dense": [1 / 61, 1 / 63, 1 / 62],
        "bm25": [2 / 61, 2 / 61, 0],
    }


def test_the_rank_behind_a_tie_counts_the_tied() -> None:
    assert contributions(ReciprocalRank({"dense": 1.0}, k=0), dense=[5, 5, 4, NAN, 1]) == {
        "dense": [1, 1, 1 / 3, 0, 1 / 4]
    }


def test_z_score_by_hand() -> None:
    # 1, 3, 5: mean 3, standard deviation sqrt(8/3)
    high = 2 / math.sqrt(8 / 3)
    assert contributions(ZScore({"dense": 1.0, "multi": 0.5}), dense=[1, 3, 5], multi=[5, 1, 3]) == {
        "dense": [-high, 0, high],
        "multi": [high / 2, -high / 2, 0],
    }


def test_z_score_puts_a_missing_score_level_with_the_lowest() -> None:
    # 1 and 3 are present: mean 2, standard deviation 1
    assert contributions(ZScore({"dense": 1.0}), dense=[NAN, 3, 1, NAN]) == {"dense": [-1, 1, -1, -1]}


def test_min_max_by_hand() -> None:
    rule = MinMax({"dense": 1.0, "bm25": 3.0})
    assert contributions(rule, dense=[-1, 0, 1], bm25=[2, NAN, 6]) == {"dense": [0, 0.5, 1], "bm25": [0, 0, 3]}


@pytest.mark.parametrize("rule", [ZScore(ONES), MinMax(ONES)])
@pytest.mark.parametrize("scores", [[5, 5, 5], [0.1, 0.1, 0.1], [7, NAN, 7], [3], [NAN, 2]])
def test_a_constant_signal_tells_nothing(rule: Fusion, scores: list[float]) -> None:
    assert contributions(rule, dense=scores) == {"dense": [0] * len(scores)}


def test_rounding_noise_is_no_deviation() -> None:
    """The same similarity, computed in another order, may differ in its last bit."""
    noisy = np.array([0.1, 0.1, 0.1 + 1e-17, np.nextafter(0.1, 1)])
    assert ZScore(ONES).contributions({"dense": noisy})["dense"].tolist() == [0, 0, 0, 0]


@each_rule
def test_a_signal_that_nobody_has_contributes_nothing(name: str) -> None:
    parts = contributions(make_fusion(name, ONES), dense=[NAN, NAN], bm25=[1, 2])
    assert parts["dense"] == [0, 0]


@each_rule
def test_no_candidates(name: str) -> None:
    parts = make_fusion(name, ONES).contributions(arrays({"dense": [], "bm25": []}))
    assert {part: len(values) for part, values in parts.items()} == {"dense": 0, "bm25": 0}


@each_rule
@given(values=signals, weights=weights)
def test_contributions_are_finite_and_of_the_weighted_signals(
    name: str, values: Mapping[str, list[float]], weights: Mapping[str, float]
) -> None:
    parts = make_fusion(name, weights).contributions(arrays(values))
    assert set(parts) == {signal for signal in values if weights.get(signal)}
    for signal, part in parts.items():
        assert part.dtype == np.float32
        assert part.shape == (len(values[signal]),)
        assert np.isfinite(part).all()


@each_rule
@given(values=signals, weights=weights, data=st.data())
def test_the_order_of_the_candidates_does_not_matter(
    name: str, values: Mapping[str, list[float]], weights: Mapping[str, float], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(range(len(next(iter(values.values()))))))
    rule, given_order = make_fusion(name, weights), arrays(values)
    shuffled = {signal: scores[np.asarray(order)] for signal, scores in given_order.items()}
    expected, parts = rule.contributions(given_order), rule.contributions(shuffled)
    for signal, part in parts.items():
        np.testing.assert_allclose(part, expected[signal][np.asarray(order)], atol=1e-6)


@each_rule
@given(values=signals)
def test_a_higher_score_never_contributes_less(name: str, values: Mapping[str, list[float]]) -> None:
    parts = make_fusion(name, ONES).contributions(arrays(values))
    for signal, part in parts.items():
        present = [(score, got) for score, got in zip(values[signal], part, strict=True) if not math.isnan(score)]
        for (low, less), (_, more) in itertools.pairwise(sorted(present)):
            assert less <= more or math.isclose(less, more, abs_tol=1e-6), low


@each_rule
@given(values=signals, weights=weights)
def test_twice_the_weight_contributes_twice(
    name: str, values: Mapping[str, list[float]], weights: Mapping[str, float]
) -> None:
    once = make_fusion(name, weights).contributions(arrays(values))
    twice = make_fusion(name, {signal: 2 * weight for signal, weight in weights.items()}).contributions(arrays(values))
    for signal, part in once.items():
        np.testing.assert_allclose(twice[signal], 2 * part, atol=1e-6)


@pytest.mark.parametrize("rule", [ReciprocalRank(ONES), ZScore(ONES), MinMax(ONES)])
@given(values=signals, scale=st.sampled_from([0.5, 2.0, 1024.0]), shift=st.integers(-8, 8))
def test_scale_and_origin_of_a_signal_do_not_matter(
    rule: Fusion, values: Mapping[str, list[float]], scale: float, shift: int
) -> None:
    expected = rule.contributions(arrays(values))
    moved = {signal: [score * scale + shift for score in scores] for signal, scores in values.items()}
    for signal, part in rule.contributions(arrays(moved)).items():
        np.testing.assert_allclose(part, expected[signal], atol=1e-4)


@each_rule
def test_the_signals_given_are_left_as_they_are(name: str) -> None:
    given_arrays = arrays({"dense": [3, NAN, 1]})
    make_fusion(name, ONES).contributions(given_arrays)
    np.testing.assert_array_equal(given_arrays["dense"], np.asarray([3, NAN, 1], np.float32))


@each_rule
@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({"dense": 1.0, "terms": 1.0}, "no signal 'terms' to weigh: the signals are dense, sparse, bm25, multi"),
        ({"dense": -0.5}, "weight of dense must be 0 or more, got -0.5"),
        ({"bm25": NAN}, "weight of bm25 must be 0 or more, got nan"),
        ({"bm25": math.inf}, "weight of bm25 must be 0 or more, got inf"),
        ({"dense": 0.0, "multi": 0.0}, "all weights are 0"),
        ({}, "all weights are 0"),
    ],
)
def test_bad_weights_are_refused(name: str, weights: Mapping[str, float], message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_fusion(name, weights)


@pytest.mark.parametrize("k", [-1.0, NAN])
def test_reciprocal_rank_refuses_a_bad_k(k: float) -> None:
    with pytest.raises(InputError, match="k of reciprocal rank fusion must be 0 or more"):
        ReciprocalRank(k=k)


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(InputError, match="no fusion rule 'sum': choose one of weighted-sum, rrf, z-score, min-max"):
        make_fusion("sum")


@each_rule
def test_rules_have_weights_of_their_own(name: str) -> None:
    assert make_fusion(name) == FUSIONS[name]()
    assert make_fusion(name, {"bm25": 1.0}).weights == {"bm25": 1.0}
