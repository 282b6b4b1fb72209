"""A library as a whole: what is counted, where documents lie, and that both follow changes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient

import trivec
from trivec import Document
from trivec.serve.document_map import draw_map, principal_plane
from trivec.serve.libraries import ServedLibrary
from trivec.serve.library_views import LibraryViews
from trivec.serve.metrics import Metrics
from trivec.serve.overview import look_over

HERE = "/v1/libraries/library"


def test_what_is_in_a_library(client: TestClient) -> None:
    found = client.get(f"{HERE}/overview").json()
    assert (found["documents"], found["passages"]) == (4, 4)
    fields = {field["name"]: field for field in found["fields"]}
    assert fields["lang"] == {
        "name": "lang",
        "documents": 3,
        "distinct": 2,
        "complete": True,
        "values": [{"value": "en", "documents": 2}, {"value": "de", "documents": 1}],
        "lowest": None,
        "highest": None,
    }
    assert (fields["year"]["lowest"], fields["year"]["highest"]) == (2001, 2001)
    assert fields["tags"]["values"] == [{"value": "x", "documents": 1}, {"value": "y", "documents": 1}]
    assert sum(bar["documents"] for bar in found["lengths"]) == 4
    assert found["length_quantiles"][-1] == len("Water and night, river and mountain. The library has a book.")


def test_lengths_are_those_of_documents_and_not_of_passages(encoder: trivec.Encoder, tmp_path: Path) -> None:
    with trivec.open(tmp_path / "library", model=encoder) as library:
        library.add([Document("long", "water and night. " * 400), Document("none", ""), Document("short", "a")])
        found = look_over(library.store)
    assert found.passages > found.documents == 3
    assert found.length_quantiles[0] == 0
    assert found.length_quantiles[-1] == len("water and night. " * 400)
    assert sum(bar.documents for bar in found.lengths) == 3


def test_true_is_not_one(encoder: trivec.Encoder, tmp_path: Path) -> None:
    metadata: list[dict[str, Any]] = [{"a": True}, {"a": 1}, {"a": [1, 1, None]}, {"a": None}, {}]
    with trivec.open(tmp_path / "library", model=encoder) as library:
        library.add([Document(str(number), "water", metadata=one) for number, one in enumerate(metadata)])
        (field,) = look_over(library.store).fields
    assert field.documents == 3
    assert [(value.value, value.documents) for value in field.values] == [(1, 2), (True, 1)]
    assert field.values[1].value is True
    assert (field.lowest, field.highest) == (1, 1)


def test_an_empty_library(encoder: trivec.Encoder, tmp_path: Path) -> None:
    with trivec.open(tmp_path / "library", model=encoder) as library:
        assert look_over(library.store).documents == 0
        assert draw_map(library.store).points == ()


def test_the_plane_is_that_of_the_covariance() -> None:
    vectors = np.random.default_rng(5).normal(size=(60, 6)).astype(np.float32) * [5, 3, 1, 1, 1, 0.1]
    places, shares = principal_plane(vectors.astype(np.float32))
    variances = np.linalg.eigvalsh(np.cov(vectors.T))[::-1]
    np.testing.assert_allclose(shares, variances[:2] / variances.sum(), rtol=1e-5)
    np.testing.assert_allclose(places.var(axis=0, ddof=1), variances[:2], rtol=1e-5)
    np.testing.assert_allclose(places.mean(axis=0), 0, atol=1e-5)


@pytest.mark.parametrize("count", [1, 2])
def test_few_points_are_a_plane_too(count: int) -> None:
    places, shares = principal_plane(np.eye(3, dtype=np.float32)[:count])
    assert places.shape == (count, 2)
    assert shares[1] == pytest.approx(0, abs=1e-6)


def test_where_documents_lie(client: TestClient, library: trivec.Collection) -> None:
    found = client.get(f"{HERE}/map").json()
    assert [point["id"] for point in found["points"]] == ["a/b c", "berlin", "paris", "water"]
    assert [point["title"] for point in found["points"]][1:3] == ["Berlin", "Paris"]
    assert found["fields"] == {"lang": [None, "de", "en", "en"]}
    dense = library.store.vectors(["a/b c#0", "berlin#0", "paris#0", "water#0"]).dense
    assert dense is not None
    places, shares = principal_plane(dense)
    np.testing.assert_allclose([[point["x"], point["y"]] for point in found["points"]], places, atol=1e-4)
    assert found["shares"] == pytest.approx(shares)


def test_a_sample_is_always_the_same(library: trivec.Collection) -> None:
    first = draw_map(library.store, most_points=3)
    assert (first.documents, len(first.points)) == (4, 3)
    assert draw_map(library.store, most_points=3) == first


def test_views_are_kept_until_the_library_changes(library: trivec.Collection) -> None:
    served = ServedLibrary("library", library, Metrics())
    views = LibraryViews()

    async def look() -> None:
        first = await views.overview(served)
        assert await views.overview(served) is first
        assert (await views.map(served)) is (await views.map(served))
        await served.add([Document("new", "night")])
        assert (await views.overview(served)).documents == 5
        assert len((await views.map(served)).points) == 5

    asyncio.run(look())
    served.close()


def test_unknown_libraries(client: TestClient) -> None:
    assert client.get("/v1/libraries/none/overview").status_code == 404
    assert client.get("/v1/libraries/none/map").status_code == 404
