"""What a store holds: the heads and widths of its vectors, and which passages and vectors it may take in."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from trivec.embeddings import Embeddings
from trivec.errors import InputError, LibraryMismatchError, MissingHeadError
from trivec.types import HEAD_OF_SIGNAL, HEADS, SIGNALS, Head, Passage, Signal

_INTEGERS = range(-(2**63), 2**63)
"""Whole numbers that every store can keep."""


@dataclass(frozen=True)
class VectorSchema:
    """Width of every head: the dimension of a vector, or the size of the vocabulary."""

    widths: Mapping[Head, int]

    @classmethod
    def of(cls, vectors: Embeddings) -> VectorSchema:
        """Describe these vectors.

        Raises:
            InputError: they have no head.
        """
        widths = _widths(vectors)
        if not widths:
            raise InputError("these embeddings have no vectors at all: encode with at least one head")
        return cls(widths)

    @property
    def heads(self) -> tuple[Head, ...]:
        """The heads, in their usual order."""
        return tuple(head for head in HEADS if head in self.widths)

    @property
    def signals(self) -> tuple[Signal, ...]:
        """What can be searched by."""
        return tuple(signal for signal in SIGNALS if HEAD_OF_SIGNAL[signal] in self.widths)

    def check_documents(self, vectors: Embeddings) -> None:
        """Refuse vectors that do not belong beside those already there.

        Raises:
            LibraryMismatchError: heads or widths differ.
        """
        if _widths(vectors) != dict(self.widths):
            raise LibraryMismatchError(
                f"these vectors have {_widths(vectors)}, the store holds {dict(self.widths)}: "
                "encode with the model and the heads the library was made with"
            )

    def check_query(self, signal: Signal, query: Embeddings) -> None:
        """Refuse a query that cannot be compared with what is there.

        Raises:
            InputError: it is not one text, or holds a value that is not finite.
            MissingHeadError: the query or the store has no vectors for this signal.
            LibraryMismatchError: widths differ.
        """
        head = HEAD_OF_SIGNAL[signal]
        if head not in self.widths:
            raise MissingHeadError(
                f"the store holds no {head!r} vectors, only {', '.join(self.heads)}: "
                f"search by another signal than {signal!r}, or index again with that head"
            )
        query.require(head)
        if len(query) != 1:
            raise InputError(f"a query is one text, these are {len(query)}: search for one at a time")
        if _widths(query)[head] != self.widths[head]:
            raise LibraryMismatchError(
                f"the query's {head!r} vectors have width {_widths(query)[head]}, the store's "
                f"{self.widths[head]}: encode the query with the model the library was made with"
            )
        check_values(query.with_heads(head))


def _widths(vectors: Embeddings) -> dict[Head, int]:
    widths: dict[Head, int] = {}
    if vectors.dense is not None:
        widths["dense"] = int(vectors.dense.shape[1])
    if vectors.sparse is not None:
        widths["sparse"] = int(vectors.sparse.shape[1])
    if vectors.multi is not None:
        widths["multi"] = vectors.multi.width
    if vectors.terms is not None:
        widths["terms"] = int(vectors.terms.shape[1])
    return widths


def check_upsert(passages: Sequence[Passage], vectors: Embeddings) -> None:
    """Refuse passages and vectors that no store can hold.

    Raises:
        InputError: their numbers differ, a value is not finite, a weight is negative, a text is not valid
            Unicode, or metadata is something else than scalars and lists of scalars.
    """
    if len(passages) != len(vectors):
        raise InputError(f"{len(passages)} passages and {len(vectors)} vectors: give one row for each passage")
    check_values(vectors)
    for passage in passages:
        _check_passage(passage)


def check_values(vectors: Embeddings) -> None:
    """Refuse values that cannot be ranked.

    Raises:
        InputError: a value is not finite, or a weight is negative.
    """
    if vectors.dense is not None and not np.isfinite(vectors.dense).all():
        raise InputError("a 'dense' vector holds NaN or infinity: look for an overflow in the model")
    if vectors.multi is not None and not np.isfinite(vectors.multi.values).all():
        raise InputError("a 'multi' vector holds NaN or infinity: look for an overflow in the model")
    for head, matrix in (("sparse", vectors.sparse), ("terms", vectors.terms)):
        if matrix is not None and not _are_weights(matrix):
            raise InputError(f"a {head!r} weight is negative, NaN or infinite: weights are numbers from 0 up")


def _are_weights(matrix: sp.csr_array) -> bool:
    return bool(np.isfinite(matrix.data).all() and (matrix.data >= 0).all())


def _check_passage(passage: Passage) -> None:
    for text in (passage.document_id, passage.text, passage.title, passage.content_hash):
        _check_text(passage, text)
    for field, value in passage.metadata.items():
        _check_text(passage, field)
        for scalar in value if isinstance(value, list) else (value,):
            _check_metadata_scalar(passage, field, scalar)


def _check_metadata_scalar(passage: Passage, field: str, value: object) -> None:
    problem = ""
    if isinstance(value, str):
        _check_text(passage, value)
    elif isinstance(value, int) and value not in _INTEGERS:
        problem = "give a whole number of 64 bits, or text"
    elif isinstance(value, float) and not math.isfinite(value):
        problem = "give a finite number, or null"
    elif value is not None and not isinstance(value, int | float):
        problem = "give text, a number, true, false, null, or a list of these"
    if problem:
        raise InputError(f"document {passage.document_id!r} has metadata {field!r} = {value!r}: {problem}")


def _check_text(passage: Passage, text: str) -> None:
    if not isinstance(text, str):
        raise InputError(f"document {passage.document_id!r} has {text!r} in the place of text: give a string")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"document {passage.document_id!r} has a text that is not valid Unicode ({error.reason} at "
            f"{error.start}): decode the file with errors='replace'"
        ) from None
