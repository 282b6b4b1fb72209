"""`Example`: a query, what answers it, and what does not. Everything in `trivec.data` reads, keeps or writes these.

The field names in files are those of FlagEmbedding's jsonl: ``query``, ``pos``, ``neg``, ``pos_scores``,
``neg_scores``, ``prompt``, ``type``; ours beside them: ``query_id``, ``pos_ids``, ``neg_ids``, ``in_batch_negatives``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from trivec.errors import InputError

OWN_GROUP_KINDS = frozenset({"no_in_batch_neg", "symmetric_class", "symmetric_clustering"})
"""Kinds whose passages are labels or members of clusters, so that another query's positive may well be right here."""

ONE_NEGATIVE_KINDS = frozenset({"only_1neg"})
"""Kinds of which each group takes a single negative."""

PROMPTED_PASSAGE_KINDS = frozenset({"symmetric_sts", "symmetric_clustering"})
"""Kinds whose passages are of the same sort as queries, and get the query's prompt too."""

UNREPEATED_KINDS = frozenset({"symmetric_class"})
"""Kinds whose groups are smaller, rather than repeat a negative, when there are too few: labels are few."""


@dataclass(frozen=True, slots=True)
class Example:
    """A query with its positives and negatives.

    Raises:
        InputError: a text is blank, there is no positive, a score is no finite number, or scores or ids are not one
            for each text.
    """

    query: str
    positives: tuple[str, ...]
    """At least one."""

    negatives: tuple[str, ...] = ()

    positive_scores: tuple[float, ...] | None = None
    """A teacher's scores, as it gave them: any finite numbers, higher is better."""

    negative_scores: tuple[float, ...] | None = None

    prompt: str | None = None
    """Stands before the query instead of the model's own query prompt; None keeps the model's."""

    kind: str = ""
    """``type`` in the file. Values with a meaning: see `in_batch_negatives`, `prompts_passages`, `most_negatives`."""

    query_id: str = ""
    positive_ids: tuple[str, ...] = ()
    """One for each positive, or none."""

    negative_ids: tuple[str, ...] = ()

    own_group_only: bool = False
    """Compare the query with its own passages only, whatever its kind."""

    place: str = field(default="", compare=False)
    """Where it was read, ``FILE:LINE``; no part of its value."""

    extra: Mapping[str, Any] = field(default_factory=dict, hash=False)
    """Fields of the file that have no meaning here; they are written back."""

    def __post_init__(self) -> None:
        if not self.query.strip():
            raise InputError("the query is empty: fill it, or leave the example out")
        if not self.positives:
            raise InputError("no positives: give at least one text in 'pos', or leave the example out")
        _check_side("pos", self.positives, self.positive_scores, self.positive_ids)
        _check_side("neg", self.negatives, self.negative_scores, self.negative_ids)

    @property
    def in_batch_negatives(self) -> bool:
        """Whether passages of other queries in the batch count as negatives of this one."""
        return not self.own_group_only and self.kind not in OWN_GROUP_KINDS

    @property
    def prompts_passages(self) -> bool:
        """Whether passages get the query's prompt."""
        return self.kind in PROMPTED_PASSAGE_KINDS

    @property
    def most_negatives(self) -> int | None:
        """How many negatives a group may hold at most because of the kind; None leaves it to the group size."""
        if self.kind in ONE_NEGATIVE_KINDS:
            return 1
        return len(self.negatives) if self.kind in UNREPEATED_KINDS else None


def _check_side(name: str, texts: Sequence[str], scores: Sequence[float] | None, ids: Sequence[str]) -> None:
    """Check one side; ``name`` is its name in files."""
    for i, text in enumerate(texts):
        if not text.strip():
            raise InputError(f"text {i + 1} of {name!r} is empty: fill it, or take it out with its score and id")
    if ids and len(ids) != len(texts):
        raise InputError(f"{name!r} has {len(texts)} texts and {len(ids)} ids: give one id for each text, or none")
    if scores is None:
        return
    if len(scores) != len(texts):
        raise InputError(
            f"{name!r} has {len(texts)} texts and {len(scores)} scores: give one score for each text, or none"
        )
    for i, score in enumerate(scores):
        if not math.isfinite(score):
            raise InputError(f"score {i + 1} of {name!r} is {score}: give a finite number")


def to_json(example: Example) -> dict[str, Any]:
    """The example as the fields of a jsonl line; what has no value is left out, but ``neg`` is always there."""
    fields: dict[str, Any] = {
        "query": example.query,
        "pos": list(example.positives),
        "neg": list(example.negatives),
        "pos_scores": None if example.positive_scores is None else list(example.positive_scores),
        "neg_scores": None if example.negative_scores is None else list(example.negative_scores),
        "prompt": example.prompt,
        "type": example.kind or None,
        "query_id": example.query_id or None,
        "pos_ids": list(example.positive_ids) or None,
        "neg_ids": list(example.negative_ids) or None,
        "in_batch_negatives": False if example.own_group_only else None,
    }
    return {**{name: value for name, value in fields.items() if value is not None}, **example.extra}
