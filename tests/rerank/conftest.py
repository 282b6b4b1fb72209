"""Tiny rerankers, built once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

import tiny_models

QUERIES = ("what is the capital city of the country", "Was ist die Hauptstadt?", "东京在哪里", "river")
DOCUMENTS = (
    "The capital city is on the river.",
    "",
    "Die Hauptstadt und der Berg. " * 8,
    "東京は日本の都市。水と火と木と金。",
    "science book",
    "water",
)


@pytest.fixture(scope="session")
def reranker_folder(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Folders by architecture. They belong to all tests: copy one before changing it."""
    workplace = tmp_path_factory.mktemp("rerankers")
    return cache(lambda kind: tiny_models.write_tiny_reranker(workplace / kind, kind))


@pytest.fixture(scope="session")
def pairs() -> list[tuple[str, str]]:
    """Every query with every document."""
    return [(query, document) for query in QUERIES for document in DOCUMENTS]
