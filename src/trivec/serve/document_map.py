"""`draw_map`: documents as points of a plane, along the two directions in which their dense vectors differ most."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trivec.index.store import Store
from trivec.types import FloatArray, Passage, Scalar

MOST_POINTS = 2000
_SEED = 0
_BLOCK = 128
"""Passages whose vectors are read at once: with them come all other vectors of theirs."""
_MOST_VALUES = 40
"""A field with more values among the points gives no colours."""
_TITLE = 120


@dataclass(frozen=True)
class MapPoint:
    """A document, by its first passage."""

    id: str
    title: str
    x: float
    y: float


@dataclass(frozen=True)
class DocumentMap:
    """Documents in a plane.

    Attributes:
        documents: of the library; if there are more than points, the points are a random sample, always the same.
        points: of the documents, ordered by id.
        shares: of the variance of the vectors that x and y hold.
        fields: values of the points, in their order, for metadata fields with few values; None where there is none.
    """

    documents: int
    points: tuple[MapPoint, ...]
    shares: tuple[float, float]
    fields: Mapping[str, tuple[Scalar, ...]]


def draw_map(store: Store, most_points: int = MOST_POINTS) -> DocumentMap:
    """A map of the documents in a store.

    Raises:
        MissingHeadError: it has no dense vectors.
    """
    total = store.stats().documents
    drawn = list(_drawn(store, total, most_points))
    if not drawn:
        return DocumentMap(total, (), (0.0, 0.0), {})
    places, shares = principal_plane(_dense(store, [passage.id for passage in drawn]))
    points = tuple(
        MapPoint(passage.document_id, _name(passage), round(x, 5), round(y, 5))
        for passage, (x, y) in zip(drawn, places.tolist(), strict=True)
    )
    return DocumentMap(total, points, shares, _fields(drawn))


def principal_plane(vectors: FloatArray) -> tuple[NDArray[np.float64], tuple[float, float]]:
    """The first two principal components of some vectors.

    Args:
        vectors: (n, d), at least one.

    Returns:
        (n, 2) coordinates, and the share of the variance that each axis holds. An axis points to where its largest
        loading is positive, so that the picture does not turn over by itself.
    """
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    _, strengths, axes = np.linalg.svd(centred, full_matrices=False)
    axes = np.pad(axes[:2], ((0, max(0, 2 - len(axes))), (0, 0)))
    signs = np.sign(axes[np.arange(2), np.abs(axes).argmax(axis=1)])
    variances = np.pad(strengths**2, (0, 2))
    whole = float(variances.sum())
    shares = (variances[:2] / whole).tolist() if whole else [0.0, 0.0]
    return centred @ (axes * signs[:, None]).T, (shares[0], shares[1])


def _drawn(store: Store, total: int, most: int) -> Iterator[Passage]:
    """The first passages of the documents, or of a sample of them."""
    kept = range(total) if total <= most else np.random.default_rng(_SEED).choice(total, most, replace=False).tolist()
    chosen = set(kept)
    firsts = (passage for passage in store.select() if passage.number == 0)
    return (passage for place, passage in enumerate(firsts) if place in chosen)


def _dense(store: Store, names: Sequence[str]) -> FloatArray:
    blocks = []
    for start in range(0, len(names), _BLOCK):
        vectors = store.vectors(names[start : start + _BLOCK])
        vectors.require("dense")
        assert vectors.dense is not None
        blocks.append(vectors.dense)
    return np.concatenate(blocks)


def _name(passage: Passage) -> str:
    return (passage.title or " ".join(passage.text[: 2 * _TITLE].split()) or passage.document_id)[:_TITLE]


def _fields(passages: Sequence[Passage]) -> dict[str, tuple[Scalar, ...]]:
    names = dict.fromkeys(name for passage in passages for name in passage.metadata)
    columns = {name: tuple(_scalar(passage, name) for passage in passages) for name in names}
    return {name: column for name, column in columns.items() if 1 < len(set(column) - {None}) <= _MOST_VALUES}


def _scalar(passage: Passage, name: str) -> Scalar:
    value = passage.metadata.get(name)
    return None if isinstance(value, list) else value
