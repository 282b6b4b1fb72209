"""How a search is done: the options of `Collection.search`, kept with the library or given per call."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias, get_args

from trivec.errors import InputError
from trivec.rerank.mixing import check_weight
from trivec.search.fusion import Fusion, make_fusion
from trivec.search.settings import changed_settings, options_from
from trivec.types import SIGNALS, Head, Signal

Mode: TypeAlias = Literal["hybrid", "dense", "sparse", "bm25", "multi"]
MODES: tuple[Mode, ...] = get_args(Mode)
_RENAMED = {"rerank": "shortlist"}
"""Names that libraries may still have in their settings."""


@dataclass(frozen=True)
class SearchOptions:
    """How a search is done.

    As in the published M3 protocol, the best of each first-stage signal are candidates, and the best 200 of their
    union, fused without multi-vectors, are scored by MaxSim. Where the protocol takes 1,000 of each signal and leaves
    them unscored by the others, half as many, scored by all, do the same (`docs/speed.md`).

    Attributes:
        mode: ``hybrid`` mixes all signals; any other ranks by one.
        fusion: the rule that mixes, a name of `trivec.search.fusion.FUSIONS`.
        weights: of the signals in the mix; None takes the rule's own.
        candidates: how many passages each first-stage signal (dense, sparse, bm25) proposes.
        shortlist: how many of the proposed passages get a MaxSim score.
        complete: score every candidate by every signal. If False, a signal that did not propose a candidate has no
            score for it, as in the published figures.
        per_passage: list every matching passage; otherwise each document once, at its best passage.
        reranker: the name or folder of a model that reads the best hits with the query and puts them in its order, see
            `trivec.rerank`; empty for none.
        depth: how many hits it reads; None is what was tuned for it, else 100.
        first_stage: weight of the scores before, as standard scores of these hits, beside its logits; 0 for its own
            alone. None is what was tuned for it, else what it came with.
    """

    mode: Mode = "hybrid"
    fusion: str = "weighted-sum"
    weights: Mapping[Signal, float] | None = None
    candidates: int = 500
    shortlist: int = 200
    complete: bool = True
    per_passage: bool = False
    reranker: str = ""
    depth: int | None = None
    first_stage: float | None = None

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise InputError(f"there is no search mode {self.mode!r}: choose one of {', '.join(MODES)}")
        for name in ("candidates", "shortlist", "depth"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")
        if self.first_stage is not None:
            check_weight(self.first_stage)
        self.rule()

    def rule(self) -> Fusion:
        """The fusion rule with its weights."""
        return make_fusion(self.fusion, self.weights)

    def signals(self, available: tuple[Signal, ...]) -> tuple[Signal, ...]:
        """Signals that this search uses of those that the library has.

        Raises:
            InputError: it has none of them.
        """
        if self.mode == "hybrid":
            weights = self.rule().weights
            used = tuple(signal for signal in SIGNALS if signal in available and weights.get(signal))
        else:
            used = tuple(signal for signal in available if signal == self.mode)
        if not used:
            raise InputError(
                f"mode {self.mode!r} needs a signal that this library does not have; it has "
                f"{', '.join(available) or 'none yet'}: choose another mode or other weights"
            )
        return used

    def changed(self, **changes: Any) -> SearchOptions:  # noqa: ANN401
        """These options with the given ones that are not None in their place.

        Another rule without weights takes its own: weights made for one rule mean something else under another. So
        does another reranker, whose depth and weight of the first stage are its own.
        """
        given = {name: value for name, value in changes.items() if value is not None}
        if given.get("fusion", self.fusion) != self.fusion:
            given.setdefault("weights", None)
        if self.reranker and given.get("reranker", self.reranker) != self.reranker:
            given = {"depth": None, "first_stage": None} | given
        return replace(self, **given)

    @property
    def first_stage_alone(self) -> SearchOptions:
        """The same without a reranker."""
        return replace(self, reranker="", depth=None, first_stage=None)

    @classmethod
    def suited_to(cls, heads: Collection[Head], settings: Mapping[str, object]) -> SearchOptions:
        """The way of searching that a model brings, or one that suits its heads.

        With a trained sparse head, M3's weighted sum; else standard scores with BM25, whose scale need not be known.

        Args:
            heads: of the model.
            settings: that it brings; empty if it brings none.
        """
        if settings:
            return cls.from_settings(settings)
        if "sparse" in heads:
            return cls()
        return cls(fusion="z-score", weights={"dense": 1.0, "bm25": 0.5, "multi": 1.0})

    def settings(self) -> dict[str, Any]:
        """What differs from the defaults; `from_settings` reads it."""
        return changed_settings(self)

    @classmethod
    def from_settings(cls, settings: Mapping[str, object]) -> SearchOptions:
        """Options from a model's or a library's settings.

        Raises:
            InputError: a setting is not known.
        """
        present = {_RENAMED.get(name, name): value for name, value in settings.items()}
        return options_from(cls, present, "search settings")
