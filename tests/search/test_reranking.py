"""The second stage of search: what a reranker reads, and how its order and the first one are mixed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

import tiny_vocabularies
import trivec
from trivec import Collection, Document, Reranker
from trivec.errors import InputError, UnknownModelError
from trivec.rerank.reranker import Pair
from trivec.search.manifest import Manifest
from trivec.search.options import SearchOptions
from trivec.search.second_stage import TunedReranker
from trivec.types import FloatArray

import tiny_models

WORDS = [word for word in tiny_vocabularies.WORDS if len(word) > 2]
QUERY = " ".join(WORDS[:3])


class Lengths:
    """Likes short documents, and remembers what it read."""

    name, layers = "lengths", ()

    def __init__(self) -> None:
        self.read: list[Pair] = []

    def score(self, pairs: Sequence[Pair]) -> FloatArray:
        self.read += pairs
        return np.asarray([[-float(len(pair.document))] for pair in pairs], np.float32)


@pytest.fixture
def library(tiny: Callable[[str], Path]) -> Iterator[Collection]:
    """Documents of different lengths, the first with a title."""
    with trivec.open(":memory:", model=tiny("m3")) as made:
        made.add(
            Document(f"d{number}", " ".join(WORDS[: 3 + number]), title="A title" if number == 0 else "")
            for number in range(12)
        )
        yield made


def test_the_best_hits_are_read_and_put_in_order(library: Collection) -> None:
    scorer = Lengths()
    before = library.search(QUERY, k=12)
    hits = library.search(QUERY, k=3, reranker=Reranker(scorer), depth=6)
    assert [pair.query for pair in scorer.read] == [QUERY] * 6
    contents = {hit.id: library.splitter.content(hit.passage) for hit in before}
    assert [pair.document for pair in scorer.read] == [contents[hit.id] for hit in before[:6]]
    expected = sorted(before[:6], key=lambda hit: len(contents[hit.id]))[:3]
    assert [hit.id for hit in hits] == [hit.id for hit in expected]
    assert [hit.rank for hit in hits] == [1, 2, 3]
    for hit, old in zip(hits, expected, strict=True):
        assert hit.reranking is not None
        assert hit.score == hit.reranking.score == -len(contents[hit.id])
        assert (hit.reranking.first_rank, hit.reranking.first_score) == (old.rank, old.score)
        assert hit.contributions == old.contributions
        assert hit.to_dict()["reranking"]["model"] == "lengths"
    assert all(hit.reranking is None and "reranking" not in hit.to_dict() for hit in before)


def test_more_hits_than_depth_are_all_read(library: Collection) -> None:
    scorer = Lengths()
    hits = library.search(QUERY, k=10, reranker=Reranker(scorer), depth=2)
    assert len(scorer.read) == len(hits) == 10
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


def test_the_first_stage_can_have_a_say(library: Collection) -> None:
    before = library.search(QUERY, k=12)
    options = library.search_options.changed(first_stage=20.0, depth=12)
    hits = library.search(QUERY, k=12, options=options, reranker=Reranker(Lengths()))
    old = np.asarray([hit.score for hit in before])
    new = np.asarray([-len(library.splitter.content(hit.passage)) for hit in before])
    totals = new + 20 * (old - old.mean()) / old.std()
    assert [hit.id for hit in hits] == [before[place].id for place in np.argsort(-totals, kind="stable")]
    np.testing.assert_allclose([hit.score for hit in hits], np.sort(totals)[::-1], rtol=1e-5)


def test_hits_are_ranked_as_a_search_does(library: Collection) -> None:
    reranker = Reranker(Lengths())
    before = library.search(QUERY, k=8)
    for weight in (0.0, 0.5):
        ranked = reranker.rank(QUERY, before, k=5, first_stage=weight)
        assert ranked == library.search(QUERY, k=5, reranker=reranker, depth=8, first_stage=weight)
        assert {hit.id: hit.contributions for hit in ranked}.items() <= {h.id: h.contributions for h in before}.items()
        assert ranked[0].explain().signals == before[[hit.id for hit in before].index(ranked[0].id)].explain().signals


def test_what_was_tuned_is_used_unless_told_otherwise(tiny: Callable[[str], Path], tmp_path: Path) -> None:
    scorer, other = Lengths(), Lengths()
    tuned, unknown = Reranker(scorer, identity="a"), Reranker(other, identity="b")
    other.name = "other"
    path = tmp_path / "library"
    with trivec.open(path, model=tiny("m3")) as library:
        library.add(Document(f"d{number}", " ".join(WORDS[: 3 + number])) for number in range(12))
        library.configure_reranker(tuned, TunedReranker("lengths", 9, 0.5, {"queries": 40}))
    assert Manifest.read(path).rerankers["a"] == {
        "name": "lengths", "depth": 9, "first_stage": 0.5, "tuning": {"queries": 40},
    }  # fmt: skip
    with trivec.open(path) as library:

        def search(reranker: Reranker, **options: object) -> list[tuple[str, float]]:
            scorer.read.clear()
            other.read.clear()
            hits = library.search(QUERY, 5, reranker=reranker, **options)  # type: ignore[arg-type]
            return [(hit.id, hit.score) for hit in hits]

        found = search(tuned)
        assert len(scorer.read) == 9
        assert found == search(tuned, depth=9, first_stage=0.5)
        assert search(tuned, first_stage=0.0) == search(tuned, depth=9, first_stage=0.0) != found
        assert search(tuned, depth=6) == search(tuned, depth=6, first_stage=0.5)
        assert search(unknown) == search(tuned, depth=12, first_stage=0.0)
        assert search(Reranker(scorer)) == search(tuned, depth=12, first_stage=0.0)
        library.configure(library.search_options.changed(reranker="lengths", first_stage=2.0))
        assert search(tuned) == search(tuned, first_stage=2.0)  # the library's own way has the last word ...
        library.configure_reranker(tuned, TunedReranker("lengths", 9, 0.25, {}))
        assert search(tuned) == search(tuned, first_stage=0.25)  # ... until it is tuned again
        assert library.search_options == SearchOptions.from_settings(Manifest.read(path).search)


def test_another_reranker_takes_its_own_depth_and_weight() -> None:
    options = SearchOptions(reranker="one", depth=20, first_stage=0.5)
    assert options.changed(reranker="one") == options.changed() == options
    assert options.changed(reranker="two", depth=5) == SearchOptions(reranker="two", depth=5)
    assert options.first_stage_alone == SearchOptions()
    assert SearchOptions(depth=20, first_stage=0.5).changed(reranker="one") == options


def test_equal_logits_keep_the_order(library: Collection) -> None:
    class Indifferent(Lengths):
        def score(self, pairs: Sequence[Pair]) -> FloatArray:
            return np.zeros((len(pairs), 1), np.float32)

    before = [hit.id for hit in library.search(QUERY, k=5)]
    for weight in (0.0, 1.0):
        options = library.search_options.changed(first_stage=weight)
        assert [
            hit.id for hit in library.search(QUERY, k=5, options=options, reranker=Reranker(Indifferent()))
        ] == before


def test_a_real_one_by_its_folder(library: Collection, tmp_path: Path) -> None:
    folder = tiny_models.write_tiny_reranker(tmp_path / "reranker")
    hits = library.search(QUERY, k=4, reranker=str(folder), depth=8)
    scores = trivec.load_reranker(folder).score(QUERY, [library.splitter.content(hit.passage) for hit in hits])
    np.testing.assert_allclose([hit.score for hit in hits], scores, atol=1e-5)
    assert library.search("nothing like it", where={"lang": "xx"}, reranker=str(folder)) == []
    with pytest.raises(UnknownModelError, match="there is no model 'nowhere'"):
        library.search(QUERY, reranker="nowhere")


def test_options_of_the_second_stage() -> None:
    with pytest.raises(InputError, match="depth must be at least 1, got 0"):
        SearchOptions(depth=0)
    with pytest.raises(InputError, match="first_stage must be a weight of at least 0, got -1"):
        SearchOptions(first_stage=-1)
    chosen = SearchOptions(reranker="some", depth=20, first_stage=0.5, shortlist=7)
    assert SearchOptions.from_settings(chosen.settings()) == chosen
    assert SearchOptions.from_settings({"rerank": 7}) == SearchOptions(shortlist=7)
