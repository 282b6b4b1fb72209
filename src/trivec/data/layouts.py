"""Which columns of a row are what: FlagEmbedding's names and those that sentence-transformers' data sets use."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

from trivec.errors import InputError

QUERY_COLUMNS = ("query", "anchor", "question")
POSITIVE_COLUMNS = ("positive", "positives")
ANSWER_COLUMN = "answer"
NEGATIVE_COLUMNS = ("negative", "negatives")
LABEL_COLUMNS = ("label", "labels")
JOINT_SCORE_COLUMNS = ("score", "scores")
POSITIVE_SCORE_COLUMNS = ("pos_scores", "positive_scores")
NEGATIVE_SCORE_COLUMNS = ("neg_scores", "negative_scores")
SCORE_COLUMNS = (*JOINT_SCORE_COLUMNS, *POSITIVE_SCORE_COLUMNS, *NEGATIVE_SCORE_COLUMNS)

OTHER_COLUMNS = ("prompt", "type", "query_id", "pos_ids", "neg_ids", "in_batch_negatives")
"""Columns with one name in all layouts."""

_NUMBERED = re.compile(r"(positive|negative)_(\d+)")


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a row by what they hold; ``pos`` and ``neg`` hold lists, others a text or a list."""

    query: str
    positives: tuple[str, ...]
    negatives: tuple[str, ...]
    positive_scores: str | None
    negative_scores: str | None

    joint_scores: str | None
    """A number for the only positive, or a list for the positives followed by the negatives."""

    known: frozenset[str]
    """All columns with a meaning; the rest is kept as it is."""


@functools.lru_cache(maxsize=256)
def layout_of(columns: tuple[str, ...]) -> Layout:
    """Say what the columns of a row hold.

    Raises:
        InputError: there is no query, no positive, or a label whose meaning is unclear.
    """
    query = _first(columns, QUERY_COLUMNS)
    if query is None:
        raise InputError(f"no query: there are {_listed(columns)}; name a column {_choice(QUERY_COLUMNS)}")
    positives = _texts(columns, "pos", POSITIVE_COLUMNS, "positive")
    if not positives and ANSWER_COLUMN in columns:
        positives = (ANSWER_COLUMN,)
    if not positives:
        names = _choice(("pos", *POSITIVE_COLUMNS, "positive_1 ...", ANSWER_COLUMN))
        raise InputError(f"no positives: there are {_listed(columns)}; name a column {names}")
    lists = positives == ("pos",)
    label = None if lists else _first(columns, LABEL_COLUMNS)
    if label is not None:
        raise InputError(
            f"pairs with a {label!r} do not say which text is right: keep the rows with the label for right, "
            "and leave the column out"
        )
    negatives = _texts(columns, "neg", NEGATIVE_COLUMNS, "negative")
    positive_scores = _first(columns, POSITIVE_SCORE_COLUMNS)
    negative_scores = _first(columns, NEGATIVE_SCORE_COLUMNS)
    takes_joint = not (lists or positive_scores or negative_scores)
    joint = _first(columns, JOINT_SCORE_COLUMNS) if takes_joint else None
    used = (query, *positives, *negatives, positive_scores, negative_scores, joint, *OTHER_COLUMNS)
    known = frozenset(name for name in used if name)
    return Layout(query, positives, negatives, positive_scores, negative_scores, joint, known)


def _texts(columns: tuple[str, ...], list_name: str, names: tuple[str, ...], stem: str) -> tuple[str, ...]:
    """The columns of one side, numbered ones in the order of their numbers."""
    if list_name in columns:
        return (list_name,)
    matches = [match for name in columns if (match := _NUMBERED.fullmatch(name)) and match[1] == stem]
    numbered = sorted(matches, key=lambda match: int(match[2]))
    return (*(name for name in names if name in columns), *(match[0] for match in numbered))


def _first(columns: tuple[str, ...], names: tuple[str, ...]) -> str | None:
    return next((name for name in names if name in columns), None)


def _choice(names: tuple[str, ...]) -> str:
    return " or ".join(repr(name) for name in names)


def _listed(names: tuple[str, ...]) -> str:
    more = f" and {len(names) - 12} more" if len(names) > 12 else ""
    return (", ".join(repr(name) for name in names[:12]) + more) or "no columns"
