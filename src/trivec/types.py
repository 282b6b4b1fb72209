"""The small values that pass between rooms: documents, passages, and the names of heads and signals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Head: TypeAlias = Literal["dense", "sparse", "multi", "terms"]
"""What an encoder can give for a text. ``terms`` are subword counts, the input of BM25."""

Signal: TypeAlias = Literal["dense", "sparse", "bm25", "multi"]
"""What a query and a passage can be compared by."""

HEADS: tuple[Head, ...] = ("dense", "sparse", "multi", "terms")
SIGNALS: tuple[Signal, ...] = ("dense", "sparse", "bm25", "multi")
HEAD_OF_SIGNAL: dict[Signal, Head] = {"dense": "dense", "sparse": "sparse", "bm25": "terms", "multi": "multi"}

FloatArray: TypeAlias = NDArray[np.float32]
IntArray: TypeAlias = NDArray[np.int64]

Scalar: TypeAlias = str | int | float | bool | None
MetadataValue: TypeAlias = Scalar | list[Scalar]
Metadata: TypeAlias = Mapping[str, MetadataValue]


@dataclass(frozen=True, slots=True)
class Document:
    """A text with a name.

    ``metadata`` holds scalars or lists of scalars; filters speak of them. ``id`` is unique in a library:
    adding a document whose id is already there replaces it.
    """

    id: str
    text: str
    title: str = ""
    metadata: Metadata = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of a document that is encoded and stored as one unit.

    ``text`` is exactly ``document.text[start:end]``. The passages of a document, numbered from 0, cover its
    text without gaps; they overlap only if the chunker was asked to.
    """

    document_id: str
    text: str
    title: str = ""
    metadata: Metadata = field(default_factory=dict)
    number: int = 0
    count: int = 1
    start: int = 0
    end: int = 0
    content_hash: str = ""

    @property
    def id(self) -> str:
        """The passage's own name in a library: ``document_id#number``."""
        return passage_id(self.document_id, self.number)


def passage_id(document_id: str, number: int) -> str:
    """Name of passage ``number`` of a document."""
    return f"{document_id}#{number}"


def document_of(passage: str) -> str:
    """Id of the document that a passage with this name is from."""
    return passage.rpartition("#")[0]


def join_title(title: str, text: str) -> str:
    """Title and text as one string, as the published evaluation protocols do it."""
    return f"{title} {text}" if title else text
