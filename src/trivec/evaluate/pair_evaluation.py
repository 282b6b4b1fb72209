"""`evaluate_pairs`: whether like texts have like vectors, and translations the nearest ones.

Similarity: rank correlation (Spearman) and linear correlation (Pearson) of scores and grades, as the STS tasks have it
(Cer et al. 2017, 1708.00055). Translations: the share of texts whose own translation scores highest among all of its
language, in both directions, and the mean of both, as Tatoeba is measured (Artetxe and Schwenk 2019, 1812.10464); of
equal scores the first counts.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import pearsonr, spearmanr

from trivec.embeddings import Embeddings
from trivec.encode.encoder import Encoder
from trivec.errors import InputError
from trivec.evaluate.systems import System, find_systems, signals_of
from trivec.evaluate.text_pairs import TextPairs
from trivec.progress import Progress
from trivec.scoring import (
    dense_pair_scores,
    dense_scores,
    maxsim_pair_scores,
    maxsim_scores,
    sparse_pair_scores,
    sparse_scores,
)
from trivec.search.options import SearchOptions
from trivec.types import HEAD_OF_SIGNAL, FloatArray, Head, Signal


def _both_ways(first: Embeddings, second: Embeddings) -> FloatArray:
    """MaxSim is one-sided; pairs have no sides."""
    return (maxsim_pair_scores(first, second) + maxsim_pair_scores(second, first)) / np.float32(2)


Scorer = Callable[[Embeddings, Embeddings], FloatArray]
_OF_PAIRS: Mapping[Signal, Scorer] = {
    "dense": dense_pair_scores,
    "sparse": sparse_pair_scores,
    "multi": _both_ways,
}
_OF_ALL: Mapping[Signal, Scorer] = {"dense": dense_scores, "sparse": sparse_scores, "multi": maxsim_scores}


@dataclass(frozen=True)
class PairEvaluation:
    """A model on pairs.

    Attributes:
        pairs: which.
        model: its name.
        fingerprint: digest of what its vectors depend on.
        values: by system and measure.
        by_language: the first measure by language and system; empty where there is one language.
        encoding_s: what encoding took.
    """

    pairs: TextPairs
    model: str
    fingerprint: str
    values: Mapping[str, Mapping[str, float]]
    by_language: Mapping[str, Mapping[str, float]]
    encoding_s: float


def evaluate_pairs(
    encoder: Encoder, pairs: TextPairs, systems: Sequence[str | System] = (), show_progress: bool = False
) -> PairEvaluation:
    """Measure a model on pairs. Both sides are encoded alike: as queries if the model has a prompt for passages too.

    Args:
        encoder: the model.
        pairs: graded pairs, or translations.
        systems: see `trivec.evaluate.systems`; BM25 has no part in them, for pairs are no collection.
        show_progress: a bar on terminals.

    Raises:
        InputError: there are fewer than two pairs, or the model lacks a signal.
    """
    if len(pairs.first) < 2:
        raise InputError(f"{pairs.name} has {len(pairs.first)} pairs: nothing can be measured on fewer than two")
    available = tuple(signal for signal in signals_of(encoder.heads) if signal != "bm25")
    own_mix = SearchOptions.suited_to(encoder.heads, encoder.checkpoint.settings)
    mixes, baselines = find_systems(systems, available, own_mix)
    if baselines:
        raise InputError(f"{baselines[0].name} ranks documents, and {pairs.name} holds pairs: leave it out")
    used: list[Signal] = [signal for signal in available if any(signal in system.signals for system in mixes)]
    heads: list[Head] = [HEAD_OF_SIGNAL[signal] for signal in used]
    prompt = encoder.checkpoint.query_prompt if encoder.checkpoint.document_prompt else ""
    start = time.perf_counter()
    first, second = (
        encoder.encode(side, heads, prompt, progress=show_progress) for side in (pairs.first, pairs.second)
    )
    encoding_s = time.perf_counter() - start
    if pairs.grades is not None:
        signals: dict[Signal, FloatArray] = {signal: _OF_PAIRS[signal](first, second) for signal in used}
        values = {system.name: _correlations(_mixed(system, signals), np.asarray(pairs.grades)) for system in mixes}
        by_language: dict[str, dict[str, float]] = {}
    else:
        values, by_language = _translations(mixes, used, pairs.languages, first, second, show_progress)
    return PairEvaluation(pairs, encoder.name, encoder.fingerprint.digest, values, by_language, encoding_s)


def _mixed(system: System, signals: Mapping[Signal, FloatArray]) -> FloatArray:
    """(n,) scores."""
    total: FloatArray = np.sum(list(system.rule.contributions(signals).values()), axis=0, dtype=np.float32)
    return total


def _correlations(scores: FloatArray, grades: FloatArray) -> dict[str, float]:
    if np.ptp(scores) == 0 or np.ptp(grades) == 0:
        return {"Spearman": 0.0, "Pearson": 0.0}
    return {
        "Spearman": float(spearmanr(scores, grades).statistic),
        "Pearson": float(pearsonr(scores.astype(np.float64), grades).statistic),
    }


def _translations(
    systems: Sequence[System],
    signals: Sequence[Signal],
    languages: Sequence[str],
    first: Embeddings,
    second: Embeddings,
    show_progress: bool,
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, float]]]:
    """Means over languages, and the accuracy of both directions together by language."""
    own = np.asarray(languages)
    found: dict[str, dict[str, dict[str, float]]] = {}
    with Progress("matching", "texts", show_progress, len(own)) as bar:
        for language in sorted(set(languages)):
            rows = np.flatnonzero(own == language)
            sides = first.select(rows), second.select(rows)
            for name, measured in _accuracies(systems, signals, *sides).items():
                found.setdefault(name, {})[language] = measured
            bar.update(len(rows))
    measures = ("accuracy", "accuracy, from first", "accuracy, from second")
    values = {
        name: {measure: float(np.mean([one[measure] for one in by.values()])) for measure in measures}
        for name, by in found.items()
    }
    if len(set(languages)) < 2:
        return values, {}
    kinds = sorted(set(languages))
    return values, {kind: {name: by[kind]["accuracy"] for name, by in found.items()} for kind in kinds}


def _accuracies(
    systems: Sequence[System], signals: Sequence[Signal], first: Embeddings, second: Embeddings
) -> dict[str, dict[str, float]]:
    forth = {signal: _OF_ALL[signal](first, second) for signal in signals}
    back = {signal: _OF_ALL[signal](second, first) for signal in signals}
    found = {}
    for system in systems:
        ways = [_hits(system, forth), _hits(system, back)]
        found[system.name] = {
            "accuracy": (ways[0] + ways[1]) / 2,
            "accuracy, from first": ways[0],
            "accuracy, from second": ways[1],
        }
    return found


def _hits(system: System, scores: Mapping[Signal, FloatArray]) -> float:
    """The share of rows in which the diagonal is the highest."""
    count = len(next(iter(scores.values())))
    rows = ({signal: own[row] for signal, own in scores.items()} for row in range(count))
    return sum(int(_mixed(system, own).argmax()) == row for row, own in enumerate(rows)) / count
