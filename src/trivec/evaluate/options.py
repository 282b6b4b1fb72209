"""`EvaluateOptions`: how a model is measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from trivec.encode.encoder import Encoder
from trivec.errors import InputError
from trivec.evaluate.judged_sets import JudgedSet
from trivec.evaluate.measures import Ties, parse_measures
from trivec.evaluate.systems import System
from trivec.search.long_documents import LongDocuments

MEASURES = ("nDCG@10", "R@100", "RR@10")
_LEAST_DEPTH = 100


@dataclass(frozen=True)
class EvaluateOptions:
    """How a model is measured.

    Attributes:
        systems: names or weights, see `trivec.evaluate.systems`, or systems as they are; none: the default ones.
        measures: see `trivec.evaluate.measures`.
        ties: how equal scores are ordered.
        long_documents: how documents become passages; each document counts by its best one.
        candidates: passages that each signal lists for the mixes. A mix is exact where no other passage could enter.
        without_self: leave out a document whose id is that of the query, for sets whose queries are documents.
        max_length: tokens that the model sees of a text, if it has room for so many; None is all it has room for.
    """

    systems: Sequence[str | System] = ()
    measures: Sequence[str] = MEASURES
    ties: Ties = "trec"
    long_documents: LongDocuments = field(default_factory=LongDocuments)
    candidates: int = 1000
    without_self: bool = False
    max_length: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("candidates", self.candidates), ("max_length", self.max_length)):
            if value is not None and value < 1:
                raise InputError(f"{name} must be at least 1, got {value}")

    def check(self, judged: JudgedSet) -> None:
        """Refuse measures that a set has no judgements for.

        Raises:
            InputError: naming them.
        """
        others = [name for name in parse_measures(self.measures) if not name.startswith(("Success@", "RR@"))]
        if judged.answers and others:
            raise InputError(
                f"{judged.name} has answers and no judgements, so {', '.join(others)} cannot be measured: give such as "
                "Success@20 and Success@100, which the papers call recall"
            )

    def shortened(self, encoder: Encoder) -> Encoder:
        """The model with as much room as it is to see of a text."""
        return encoder if self.max_length is None else encoder.shortened(min(self.max_length, encoder.max_length))

    @property
    def depth(self) -> int:
        """Documents of a ranking that are kept: as many as the deepest measure sees."""
        cuts = [name.rpartition("@")[2] for name in parse_measures(self.measures)]
        return max(_LEAST_DEPTH, *(int(cut) if cut.isdigit() else 1000 for cut in cuts))
