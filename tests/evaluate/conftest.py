"""A judged set over the words of the tiny models, with documents that are longer than their window."""

from __future__ import annotations

import random

import pytest

import tiny_vocabularies
from trivec.evaluate.judged_sets import JudgedQuery, JudgedSet
from trivec.types import Document


@pytest.fixture(scope="session")
def judged() -> JudgedSet:
    """Forty documents, some with a title, some of several passages; twelve queries in two languages."""
    drawn = random.Random(0)
    words = [word for word in tiny_vocabularies.WORDS if len(word) > 2]
    documents = [
        Document(
            f"d{number}",
            " ".join(drawn.choices(words, k=700 if number % 8 == 0 else 8)) + ".",
            " ".join(drawn.choices(words, k=2)) if number % 3 == 0 else "",
        )
        for number in range(40)
    ]
    queries = [
        JudgedQuery(f"q{number}", " ".join(drawn.sample(documents[3 * number].text.rstrip(".").split(), 3)),
                    language="de" if number % 3 == 0 else "en")
        for number in range(12)
    ]  # fmt: skip
    relevance = {f"q{number}": {f"d{3 * number}": 2, f"d{3 * number + 1}": 1} for number in range(12)}
    return JudgedSet("set", queries, documents, relevance)
