"""An encoder as a reranker, and several rerankers as one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import trivec
from trivec.errors import InputError, MissingHeadError
from trivec.rerank.calibration import Calibration
from trivec.rerank.ensemble import Ensemble
from trivec.rerank.maxsim import MaxSim
from trivec.rerank.reranker import Reranker
from trivec.scoring import maxsim_scores


def test_maxsim_is_that_of_the_encoder(
    tiny: Callable[[str], Path], load_tiny: Callable[..., trivec.Encoder], pairs: list[tuple[str, str]]
) -> None:
    reranker, encoder = trivec.load_reranker(tiny("m3")), load_tiny("m3")
    assert reranker.name == "m3 by MaxSim"
    queries, documents = (list(dict.fromkeys(texts)) for texts in zip(*pairs, strict=True))
    table = maxsim_scores(encoder.encode_queries(queries), encoder.encode_documents(documents))
    expected = [table[queries.index(query), documents.index(document)] for query, document in pairs]
    np.testing.assert_allclose(reranker.score_pairs(pairs), expected, atol=1e-5)
    with pytest.raises(MissingHeadError):
        MaxSim(load_tiny("bert"))


def test_an_ensemble_is_the_mean_of_log_odds(
    reranker_folder: Callable[[str], Path], pairs: list[tuple[str, str]]
) -> None:
    first, second = (trivec.load_reranker(reranker_folder(kind)) for kind in ("xlm-roberta", "bert"))
    a, b = first.score_pairs(pairs), second.score_pairs(pairs)
    both = Reranker(Ensemble([first, second]))
    np.testing.assert_allclose(both.score_pairs(pairs), (a + b) / 2, atol=1e-5)
    second.calibration = Calibration("platt", (3.0,), (-1.0,))
    weighed = Reranker(Ensemble([first, second], [1.0, 3.0]))
    np.testing.assert_allclose(weighed.score_pairs(pairs), (a + 3 * (3 * b - 1)) / 4, atol=1e-3)
    assert weighed.name == "xlm-roberta+bert"


def test_an_ensemble_by_names(reranker_folder: Callable[[str], Path], pairs: list[tuple[str, str]]) -> None:
    folders = [reranker_folder(kind) for kind in ("xlm-roberta", "bert")]
    both = trivec.load_reranker("+".join(map(str, folders)))
    each = [trivec.load_reranker(folder) for folder in folders]
    np.testing.assert_allclose(both.score_pairs(pairs), sum(one.score_pairs(pairs) for one in each) / 2, atol=1e-5)
    assert len({both.digest, *(one.digest for one in each)}) == 3


@pytest.mark.parametrize("weights", [[1.0], [0.0, 0.0], [-1.0, 2.0], [float("nan"), 1.0]])
def test_weights_that_fit_nothing(weights: list[float], reranker_folder: Callable[[str], Path]) -> None:
    reranker = trivec.load_reranker(reranker_folder("bert"))
    with pytest.raises(InputError, match="2 rerankers with the weights"):
        Ensemble([reranker, reranker], weights)
