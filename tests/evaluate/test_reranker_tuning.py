"""Calibration and weight of the first stage find what is planted, and refuse to choose on nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import expit

import tiny_vocabularies
import trivec
from trivec import Encoder, Reranker
from trivec.errors import InputError
from trivec.evaluate.calibrating import JudgedLogits, cross_calibrate
from trivec.evaluate.first_stage_weight import weigh_first_stage
from trivec.evaluate.judged_sets import JudgedQuery
from trivec.evaluate.measures import measure
from trivec.evaluate.reading import ReadQuery
from trivec.evaluate.reranker_tuning import RerankerFindings, tune_reranker
from trivec.rerank.calibration import Method, fit
from trivec.rerank.reranker import Pair
from trivec.search.collection import Collection
from trivec.search.options import SearchOptions
from trivec.types import Document, FloatArray

WORDS = [word for word in tiny_vocabularies.WORDS if len(word) > 2]


class Overlap:
    """Counts words that query and document share, less its mood."""

    name, layers = "overlap", ()

    def __init__(self) -> None:
        self.pairs = 0

    def score(self, pairs: Sequence[Pair]) -> FloatArray:
        self.pairs += len(pairs)
        shared = [len(set(pair.query.split()) & set(pair.document.rstrip(".").split())) - 2 for pair in pairs]
        return np.asarray(shared, np.float32)[:, None]


# -- calibration -----------------------------------------------------------------------------------------------


def drawn(queries: int, right_at: Callable[[FloatArray], FloatArray]) -> tuple[list[JudgedLogits], np.ndarray]:
    """Queries with forty pairs each, which are right as often as the function says, and their folds."""
    random = np.random.RandomState(0)
    logits = (3 * random.standard_normal((queries, 40))).astype(np.float32)
    rights = random.random_sample(logits.shape) < right_at(logits)
    return [JudgedLogits(*pair) for pair in zip(logits, rights, strict=True)], np.arange(queries) % 5


def test_the_line_is_found_and_measured_on_other_queries() -> None:
    judged, folds = drawn(100, lambda logits: expit(0.5 * logits - 2))
    found = cross_calibrate(Reranker(Overlap()), judged, folds)
    assert found.calibration.method == "platt"  # isotonic follows the line as well, with more numbers
    assert found.calibration.at[0] == pytest.approx(0.5, abs=0.05)
    assert found.calibration.values[0] == pytest.approx(-2, abs=0.15)
    assert found.is_better
    assert found.after.log_loss < found.before.log_loss
    assert found.after.brier < found.before.brier
    assert found.after.calibration_error < 0.02 < 0.1 < found.before.calibration_error
    assert found.change.mean == pytest.approx(found.after.log_loss - found.before.log_loss)
    assert found.pairs == 4000 and found.right == sum(int(one.right.sum()) for one in judged)
    told = found.evidence()
    assert told["method"] == "platt" and told["before"]["log_loss"] == found.before.log_loss


def test_what_is_told_is_the_value_by_hand() -> None:
    judged, folds = drawn(50, lambda logits: expit(logits - 1))
    found = cross_calibrate(Reranker(Overlap()), judged, folds, "platt")
    losses, scores = [], []
    for own, fold in zip(judged, folds, strict=True):
        others = [one for one, other in zip(judged, folds, strict=True) if other != fold]
        calibration = fit(np.concatenate([one.logits for one in others]), np.concatenate([one.right for one in others]))
        told = calibration(own.logits).astype(np.float64)
        losses.append(-np.log(np.where(own.right, told, 1 - told)).mean())
        scores.append(((told - own.right) ** 2).mean())
    assert found.after.log_loss == pytest.approx(np.mean(losses), rel=1e-6)
    assert found.after.brier == pytest.approx(np.mean(scores), rel=1e-6)


def test_a_step_is_found_by_isotonic_regression() -> None:
    judged, folds = drawn(100, lambda logits: np.where(logits > 0, 0.6, 0.1))
    found = cross_calibrate(Reranker(Overlap()), judged, folds)
    assert found.calibration.method == "isotonic"
    told = found.calibration(np.array([-8, -1, 1, 8]))
    np.testing.assert_allclose(told, [0.1, 0.1, 0.6, 0.6], atol=0.12)


def test_a_calibrated_model_is_not_calibrated_again() -> None:
    judged, folds = drawn(100, lambda logits: expit(0.5 * logits - 2))
    first = cross_calibrate(Reranker(Overlap()), judged, folds)
    again = cross_calibrate(Reranker(Overlap(), first.calibration), judged, folds)
    assert not again.is_better
    assert again.after == first.after


@pytest.mark.parametrize(
    ("right_at", "method", "message"),
    [
        (np.zeros_like, None, "of 1200 pairs 0 are right, which leaves 0 .* and platt calibration needs 20 of each"),
        (np.ones_like, None, "of 1200 pairs 1200 are right"),
        (lambda logits: np.full_like(logits, 0.1), "isotonic", "isotonic calibration needs 200 of each"),
        (lambda logits: expit(-logits), None, "higher scores are no better"),
    ],
)
def test_what_cannot_be_calibrated(
    right_at: Callable[[FloatArray], FloatArray], method: Method | None, message: str
) -> None:
    with pytest.raises(InputError, match=message):
        cross_calibrate(Reranker(Overlap()), *drawn(30, right_at), method)


def test_queries_that_found_nothing_do_not_count() -> None:
    judged, folds = drawn(50, lambda logits: expit(logits - 1))
    nothing = JudgedLogits(np.zeros(0, np.float32), np.zeros(0, bool))
    more = cross_calibrate(Reranker(Overlap()), [nothing, *judged], np.append(0, folds))
    assert more == cross_calibrate(Reranker(Overlap()), judged, folds)


# -- the weight of the first stage ------------------------------------------------------------------------------


def searched(
    first_noise: float, second_noise: float, queries: int = 200
) -> tuple[list[ReadQuery], list[dict[str, int]]]:
    """Twenty documents a query, one of them right; both stages see which one through noise."""
    random = np.random.RandomState(0)
    read, grades = [], []
    for _ in range(queries):
        right = np.zeros(20)
        right[random.randint(20)] = 1
        first = right + first_noise * random.standard_normal(20)
        order = np.argsort(-first)
        logits = right + second_noise * random.standard_normal(20)
        names = [f"d{number}" for number in order]
        read.append(ReadQuery(names, first[order].astype(np.float32), logits[order].astype(np.float32)))
        grades.append({f"d{int(right.argmax())}": 1})
    return read, grades


@pytest.mark.parametrize(
    ("first_noise", "second_noise", "winner", "is_better"),
    [(0.5, 0.5, "mix", True), (9.0, 0.3, "reranker", False), (0.05, 9.0, "first stage", True)],
)
def test_the_better_stage_has_more_to_say(
    first_noise: float, second_noise: float, winner: str, is_better: bool
) -> None:
    read, grades = searched(first_noise, second_noise)
    found = weigh_first_stage(read, grades, np.arange(200) % 5, depth=20)
    assert (found.winner, found.is_better) == (winner, is_better)
    assert (found.weight == 0) == (winner == "reranker")
    assert found.before == found.reranker_alone
    assert found.change.mean == pytest.approx(found.after - found.before)
    assert found.over_first_stage.mean == pytest.approx(found.after - found.first_stage_alone)
    assert found.evidence()["winner"] == winner


def test_the_present_weight_is_the_one_to_beat() -> None:
    read, grades = searched(0.5, 0.5)
    present = weigh_first_stage(read, grades, np.arange(200) % 5, 20).weight
    found = weigh_first_stage(read, grades, np.arange(200) % 5, 20, present=present)
    assert found.present == present == found.weight > 0
    assert found.before > found.reranker_alone
    assert not found.is_better


# -- both, of a library -----------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def library(load_tiny: Callable[..., Encoder], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    drawn = np.random.RandomState(5)
    documents = [Document(f"d{number}", f"{' '.join(drawn.choice(WORDS, 14))}.") for number in range(120)]
    with trivec.open(tmp_path_factory.mktemp("tuned") / "library", load_tiny("m3")) as collection:
        collection.add(documents)
        collection.configure(SearchOptions(mode="dense"))
        yield collection


@pytest.fixture(scope="module")
def questions(library: Collection) -> tuple[list[JudgedQuery], dict[str, dict[str, int]]]:
    """Words of a document ask for it: the reranker sees them, an untrained encoder hardly."""
    drawn = np.random.RandomState(6)
    documents = sorted(library.documents(), key=lambda document: document.id)[:80]
    queries = [
        JudgedQuery(f"q{number}", " ".join(drawn.choice(document.text.rstrip(".").split(), 4, replace=False)))
        for number, document in enumerate(documents)
    ]
    return queries, {f"q{number}": {"d0": 0} | {document.id: 1} for number, document in enumerate(documents)}


@pytest.fixture(scope="module")
def found(library: Collection, questions: tuple[list[JudgedQuery], dict[str, dict[str, int]]]) -> RerankerFindings:
    return tune_reranker(library, Reranker(Overlap(), identity="overlap"), *questions, depth=60)


def test_both_are_found_in_one_pass(
    found: RerankerFindings, library: Collection, questions: tuple[list[JudgedQuery], dict[str, dict[str, int]]]
) -> None:
    queries, relevance = questions
    scorer = found.reranker.scorer
    assert isinstance(scorer, Overlap) and scorer.pairs == 80 * 60 == found.calibrated.pairs
    assert (found.queries, found.depth) == (80, 60)
    assert found.calibrated.is_better
    hits = {query.id: library.search(query.text, 60, reranker=found.reranker, depth=60) for query in queries}
    right = {query: sum(relevance[query].get(hit.id, 0) > 0 for hit in own) for query, own in hits.items()}
    assert found.calibrated.right == sum(right.values())
    assert found.unjudged == sum(hit.id not in relevance[query] for query, own in hits.items() for hit in own)
    values = measure({name: {hit.id: hit.score for hit in own} for name, own in hits.items()}, relevance, ties="stable")
    assert found.weighed.reranker_alone == pytest.approx(values.means()["nDCG@10"])
    assert tune_reranker(library, found.reranker, *questions, depth=60).weighed == found.weighed


def test_the_library_takes_what_was_found(found: RerankerFindings, library: Collection) -> None:
    tuned = replace(found.settings, first_stage=0.5)
    library.configure_reranker(found.reranker, tuned)
    second = library.second_stage(library.search_options.changed(reranker="overlap"))
    assert second is not None and (second.depth, second.first_stage) == (60, 0.5)
    assert library.manifest.rerankers["overlap"]["tuning"]["queries"] == 80
    assert library.search_options == SearchOptions(mode="dense")


def test_too_little_is_refused(
    library: Collection, questions: tuple[list[JudgedQuery], dict[str, dict[str, int]]]
) -> None:
    queries, relevance = questions
    reranker = Reranker(Overlap())
    with pytest.raises(InputError, match="20 of 20 queries have an answer in the library, and fewer than 30"):
        tune_reranker(library, reranker, queries[:20], relevance)
    with pytest.raises(InputError, match=r"depth must be at least 10, .* got 9"):
        tune_reranker(library, reranker, queries, relevance, depth=9)
    everything = {document.id: 1 for document in library.documents()}
    with pytest.raises(InputError, match="of 2400 pairs 2400 are right"):
        tune_reranker(library, reranker, queries, dict.fromkeys(relevance, everything), depth=30)
    with pytest.raises(InputError, match="was not loaded by load_reranker: nothing can be stored"):
        library.configure_reranker(reranker, tune_reranker(library, reranker, queries, relevance).settings)
