"""Published protocols, against brute force over whole cut documents."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from trivec import Encoder
from trivec.errors import InputError
from trivec.evaluate import ranking
from trivec.evaluate.evaluation import evaluate
from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.presets import PRESETS, preset
from trivec.scoring import dense_scores, maxsim_scores, sparse_scores
from trivec.types import join_title

WEIGHTS = {"m3-miracl": ((1, 0.3), (1, 0.3, 1)), "m3-mldr": ((0.2, 0.8), (0.15, 0.5, 0.35))}


@pytest.mark.parametrize("name", ["m3-miracl", "m3-mldr"])
def test_the_protocol_of_m3(
    name: str, judged: JudgedSet, load_tiny: Callable[..., Encoder], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ranking, "SHORTLIST", 9)
    monkeypatch.setattr("trivec.evaluate.options._LEAST_DEPTH", 15)
    encoder = load_tiny("m3")
    options = preset(name, candidates=15, measures=["nDCG@10"], max_length=32)
    found = evaluate(encoder, judged, options)
    shorter = encoder.shortened(32)
    documents = shorter.encode_documents([join_title(document.title, document.text) for document in judged.documents])
    queries = shorter.encode_queries([query.text for query in judged.queries])
    dense, sparse, multi = (score(queries, documents) for score in (dense_scores, sparse_scores, maxsim_scores))
    names = np.asarray([document.id for document in judged.documents])
    (pair_dense, pair_sparse), (w1, w2, w3) = WEIGHTS[name]
    for row, query in enumerate(judged.queries):
        by_dense = np.argsort(-dense[row], kind="stable")
        by_sparse = np.argsort(-sparse[row], kind="stable")[:15]
        first, shortlist = by_dense[:15], by_dense[:9]
        pair = dict.fromkeys(names[np.union1d(first, by_sparse)].tolist(), 0.0)
        for place in first:
            pair[names[place]] += pair_dense * dense[row, place]
        for place in by_sparse:
            pair[names[place]] += pair_sparse * sparse[row, place]
        all_three = w1 * dense[row] + w2 * sparse[row] + w3 * multi[row]
        expected = {
            "dense": {names[place]: dense[row, place] for place in first},
            "multi": {names[place]: multi[row, place] for place in shortlist},
            "dense+sparse": dict(sorted(pair.items(), key=lambda one: -one[1])[:15]),
            "dense+sparse+multi": {names[place]: all_three[place] for place in shortlist},
        }
        for system, own in expected.items():
            scores = found.systems[system].run.rankings[query.id]
            assert sorted(scores.values()) == pytest.approx(sorted(map(float, own.values())), abs=1e-5), system
    assert all(result.uncertain == 0 for result in found.systems.values())
    assert found.fingerprint == shorter.fingerprint.digest != encoder.fingerprint.digest


def test_what_is_said_beside_a_preset_goes_first() -> None:
    assert preset("m3-mldr", measures=["R@5"], candidates=None).measures == ["R@5"]
    assert preset("m3-mldr").candidates == 1000
    assert preset(None).systems == ()


def test_presets_have_measures_that_there_are(judged: JudgedSet, load_tiny: Callable[..., Encoder]) -> None:
    encoder = load_tiny("m3")
    for name, options in PRESETS.items():
        if "mkqa" not in name:
            assert evaluate(encoder, judged, options).systems, name


def test_there_is_no_such_preset() -> None:
    with pytest.raises(InputError, match="there is no preset 'nonsense': choose one of m3-miracl, m3-mkqa"):
        preset("nonsense")
