"""Searching over proposals gives what the library gives."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import trivec
from trivec import Encoder
from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.library_pass import propose_from
from trivec.evaluate.offline_search import OfflineSearch
from trivec.search.options import SearchOptions

WAYS = [
    SearchOptions(),
    SearchOptions(weights={"dense": 1.0, "sparse": 0.5, "bm25": 0.2, "multi": 1.0}),
    SearchOptions(weights={"dense": 0.5, "bm25": 1.0}),
    SearchOptions(weights={"multi": 1.0}),
    SearchOptions(fusion="rrf"),
    SearchOptions(fusion="z-score", weights={"dense": 1.0, "sparse": 0.5, "multi": 2.0}),
    SearchOptions(fusion="min-max"),
    SearchOptions(candidates=12, shortlist=11),
    SearchOptions(fusion="rrf", candidates=15, shortlist=12),
    *(SearchOptions(mode=mode) for mode in ("dense", "sparse", "bm25", "multi")),
]


@pytest.mark.parametrize("store", ["native", "embedded"])
def test_every_way_gives_what_the_library_gives(
    store: str, judged: JudgedSet, load_tiny: Callable[..., Encoder], tmp_path: Path
) -> None:
    with trivec.open(tmp_path / "library", load_tiny("m3"), store=store) as library:
        library.add(judged.documents)
        found = list(propose_from(library, judged.queries, 1000))
        for way in WAYS:
            for query, own in zip(judged.queries, found, strict=True):
                offline = OfflineSearch(own).documents(way, 10)
                hits = library.search(query.text, 10, options=way)
                assert list(offline) == [hit.id for hit in hits]
                assert list(offline.values()) == pytest.approx([hit.score for hit in hits], abs=1e-5)


def test_what_cannot_be_tried_is_refused(judged: JudgedSet, load_tiny: Callable[..., Encoder], tmp_path: Path) -> None:
    with trivec.open(tmp_path / "library", load_tiny("m3")) as library:
        with pytest.raises(InputError, match="no passages"):
            list(propose_from(library, judged.queries, 10))
        library.add(judged.documents)
        search = OfflineSearch(next(propose_from(library, judged.queries, 10)))
        with pytest.raises(InputError, match="leave out complete and per_passage"):
            search.documents(SearchOptions(complete=False), 10)
