"""Tuning finds what is planted, is not fooled by chance, and refuses to choose on nothing."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import tiny_vocabularies
import trivec
from trivec import Encoder
from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedQuery
from trivec.evaluate.measures import measure
from trivec.evaluate.pseudo_queries import draw_queries
from trivec.evaluate.tuning import ndcg_at_10, tune
from trivec.search.collection import Collection
from trivec.search.options import SearchOptions
from trivec.types import Document

WORDS = [word for word in tiny_vocabularies.WORDS if len(word) > 2]


@pytest.fixture(scope="module")
def library(load_tiny: Callable[..., Encoder], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Collection]:
    drawn = random.Random(5)
    documents = [Document(f"d{number}", f"{' '.join(drawn.choices(WORDS, k=14))}.") for number in range(120)]
    with trivec.open(tmp_path_factory.mktemp("tuned") / "library", load_tiny("m3")) as collection:
        collection.add(documents)
        collection.configure(SearchOptions(mode="dense"))
        yield collection


def questions(library: Collection, count: int) -> tuple[list[JudgedQuery], dict[str, dict[str, int]]]:
    """Words of a document ask for it: lexical signals answer best, an untrained encoder hardly."""
    drawn = random.Random(6)
    documents = sorted(library.documents(), key=lambda document: document.id)[:count]
    queries = [
        JudgedQuery(f"q{number}", " ".join(drawn.sample(document.text.rstrip(".").split(), 4)))
        for number, document in enumerate(documents)
    ]
    return queries, {f"q{number}": {document.id: 1} for number, document in enumerate(documents)}


def test_a_better_way_is_found_and_told_with_its_evidence(library: Collection) -> None:
    queries, relevance = questions(library, 80)
    found = tune(library, queries, relevance)
    assert found.is_better
    assert found.after > found.before + 0.1
    assert found.change.mean == pytest.approx(found.after - found.before)
    assert found.best_signal == "bm25"
    assert (found.options.weights or {}).get("bm25")
    evidence = found.evidence()
    assert (evidence["queries"], evidence["labels"], evidence["measure"]) == (80, "judged", "nDCG@10")
    hits = {query.id: library.search(query.text, 10, options=found.options) for query in queries}
    values = measure({name: {hit.id: hit.score for hit in own} for name, own in hits.items()}, relevance)
    assert values.means()["nDCG@10"] >= found.after - 0.02
    assert tune(library, queries, relevance) == found


def test_what_a_reranker_does_stays_as_it_is(library: Collection) -> None:
    present = library.search_options
    try:
        library.configure(present.changed(reranker="some", depth=20, first_stage=0.5))
        options = tune(library, *questions(library, 40)).options
    finally:
        library.configure(present)
    assert (options.reranker, options.depth, options.first_stage) == ("some", 20, 0.5)


def test_chance_is_not_taken_for_an_improvement(library: Collection) -> None:
    queries, relevance = questions(library, 80)
    answers = list(relevance.values())
    better = 0
    for seed in range(3):
        random.Random(seed).shuffle(answers)
        better += tune(library, queries, dict(zip(relevance, answers, strict=True)), seed=seed).is_better
    assert better <= 1


def test_few_queries_are_refused(library: Collection) -> None:
    queries, relevance = questions(library, 40)
    with pytest.raises(InputError, match="20 of 20 queries have an answer in the library, and fewer than 30"):
        tune(library, queries[:20], relevance)
    elsewhere = {query: {f"x-{document}": 1 for document in grades} for query, grades in relevance.items()}
    with pytest.raises(InputError, match="0 of 40 queries have an answer"):
        tune(library, queries, elsewhere)


def test_the_quick_measure_is_the_measure() -> None:
    rng = random.Random(0)
    for _ in range(50):
        grades = {f"d{number}": rng.choice([-1, 0, 1, 3]) for number in range(12)} | {"sure": 2}
        ranking = rng.sample([*grades, "unjudged"], 11)
        run = {"q": {document: 20.0 - place for place, document in enumerate(ranking)}}
        assert ndcg_at_10(ranking, grades) == pytest.approx(measure(run, {"q": grades}).means()["nDCG@10"])


def test_pseudo_queries_come_from_their_documents(load_tiny: Callable[..., Encoder], tmp_path: Path) -> None:
    documents = [
        Document(f"d{number}", f"The city number {number} is old. Water is near it. The {word} is only here.",
                 f"About the {word} of the city" if number % 4 else "")
        for number, word in enumerate(WORDS[:30])
    ]  # fmt: skip
    with trivec.open(tmp_path / "library", load_tiny("m3")) as library:
        library.add([*documents, Document("short", "No.")])
        drawn = draw_queries(library, 31)
        assert draw_queries(library, 31) == drawn
        assert len(draw_queries(library, 7).queries) <= 7
        with pytest.raises(InputError, match="give at least 1"):
            draw_queries(library, 0)
    texts = {document.id: f"{document.title}\n{document.text}" for document in documents}
    kinds = {"title": 0, "first": 0, "telling": 0}
    assert len(drawn.queries) == 30
    for query in drawn.queries:
        [(document, grade)] = drawn.relevance[query.id].items()
        assert grade == 1 and query.text in texts[document]
        kinds["title" if query.text.startswith("About") else "first" if "number" in query.text else "telling"] += 1
    assert min(kinds.values()) >= 5
