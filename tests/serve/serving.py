"""What the tests of the server share."""

from __future__ import annotations

from collections.abc import Callable

from fastapi import FastAPI

from trivec import Document

DOCUMENTS = [
    Document("paris", "Paris is the capital city of the country.", "Paris", {"lang": "en", "year": 2001}),
    Document("berlin", "Berlin ist die Hauptstadt und der Berg.", "Berlin", {"lang": "de"}),
    Document("water", "Water and night, river and mountain. The library has a book.", metadata={"lang": "en"}),
    Document("a/b c", "science book and water", metadata={"tags": ["x", "y"]}),
]

MakeApp = Callable[..., FastAPI]
